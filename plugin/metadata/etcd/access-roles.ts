import { clusterKeys } from '../cluster-keys.ts';

/** What a kind of process may do in etcd, so that one that is broken into cannot change what is not its own. */
export interface AccessRole {
  /** Of etcd's role, and of the user that has it. */
  readonly name: string;
  readonly who: string;
  readonly grants: readonly { readonly access: 'read' | 'readwrite'; readonly prefix: string }[];
}

/**
 * Storage nodes only announce themselves: what they own they read. A query node without the plugin routes, and reports how reads
 * at copies fare; one with the plugin may be elected, and changes the map. A cluster is formed by whoever may write it.
 */
export function accessRoles(clusterName: string): readonly AccessRole[] {
  const { nodePrefix, memberPrefix, mapPrefix } = clusterKeys(clusterName);
  const root = mapPrefix.replace(/map\/$/, '');
  const reads = { access: 'read', prefix: root } as const;
  const announces = [nodePrefix, memberPrefix].map((prefix) => ({ access: 'readwrite', prefix }) as const);
  return [
    { name: `foreshard-${clusterName}-storage`, who: 'storage nodes', grants: [reads, ...announces] },
    {
      name: `foreshard-${clusterName}-router`,
      who: 'query nodes that only route (plugin.modules: [])',
      grants: [reads, ...announces, { access: 'readwrite', prefix: `${root}reads/` }],
    },
    {
      name: `foreshard-${clusterName}-coordinator`,
      who: "query nodes with the plugin, and operators' commands",
      grants: [{ access: 'readwrite', prefix: root }],
    },
  ];
}
