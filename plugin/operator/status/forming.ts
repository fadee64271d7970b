import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { coordinatorText, readCoordinator } from '../../metadata/coordinator-status.ts';
import { awaitedText, readFounders } from '../../metadata/founders.ts';
import { asSecond } from '../units-text.ts';

/** Of a cluster that is not there yet. */
export interface FormingStatus {
  readonly cluster: string;
  readonly isFormed: false;
  readonly registered: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  /** Storage nodes without which it is not formed. */
  readonly missing: readonly number[];
  readonly alarms: readonly string[];
}

/** Null where the cluster has been formed. */
export async function readForming(
  metadata: MetadataStore,
  { cluster: { name, storageNodeCount }, redis }: Settings,
): Promise<FormingStatus | null> {
  if ((await metadata.get(clusterKeys(name).cluster)) !== undefined) return null;
  if (redis.nodes.length > 0)
    return {
      ...{ cluster: name, isFormed: false, registered: [], missing: [] },
      alarms: [await whyNoMirror(metadata, name)],
    };
  const founders = await readFounders(metadata, name, storageNodeCount);
  const { present, missing } = founders;
  const remedy = missing.length === 0 ? '' : ': start them, or set cluster.storageNodeCount';
  return {
    cluster: name,
    isFormed: false,
    registered: present.map(({ nodeId, host, port }) => ({ nodeId, host, port })),
    missing,
    alarms: [`${awaitedText(founders)}${remedy}`],
  };
}

/** The agent that leads writes it, and it leads once the lease of one before it, which was killed, has run out. */
async function whyNoMirror(metadata: MetadataStore, clusterName: string): Promise<string> {
  const coordinator = await readCoordinator(metadata, clusterName, Date.now());
  const { state, heartbeatAtMs, ttlMs } = coordinator;
  const none = 'no agent has written the map of the Redis Cluster yet';
  if (state === 'leading')
    return `${none}: ${coordinatorText(coordinator)} leads, and does so within seconds, if the cluster answers: its log tells`;
  const lease =
    state === 'silent' && heartbeatAtMs !== null && ttlMs !== null
      ? `; the lease of the one before ends at ${asSecond(heartbeatAtMs + ttlMs)}`
      : '';
  return `${none}: \`foreshard agent\` does so within seconds of its start${lease}`;
}

export const formingLines = ({ cluster, registered, alarms }: FormingStatus): string[] => [
  `cluster ${cluster}: not formed yet`,
  ...registered.map(({ nodeId, host, port }) => `storage node ${nodeId}: registered at ${host}:${port}`),
  ...alarms.map((alarm) => `ALARM: ${alarm}`),
];
