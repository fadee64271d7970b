/** Settings of the section `metadata`: where the cluster's map is kept, and how this process is let in there. */
import type { Inconsistency } from './base/claims.ts';
import { isLoopback } from './base/loopback.ts';

export interface MetadataSettings {
  /** `embedded`: one file shared by the processes of one machine. `etcd`: for more machines than one. */
  readonly kind: 'embedded' | 'etcd';
  /** Folder of the embedded store; a relative path starts at the config file's folder. */
  readonly path: string;
  /** Of etcd's members: `http://HOST:PORT` or `https://HOST:PORT`. */
  readonly endpoints: readonly string[];
  /** Files of etcd's TLS, PEM; null where its authority is one the machine knows, and it asks for no certificate of ours. */
  readonly authorityFile: string | null;
  readonly certificateFile: string | null;
  readonly keyFile: string | null;
  /** Of etcd's own users; null where it has none. */
  readonly user: string | null;
  /** Only from `passwordFile` or the environment, never from the config file. */
  readonly password: string | null;
  /** A file that only its owner may read (mode 0600) whose first line is the password. */
  readonly passwordFile: string | null;
}

/** Claims over several settings of the section; paths are relative to it. */
export function metadataInconsistencies(metadata: MetadataSettings): readonly Inconsistency[] {
  const { kind, endpoints, certificateFile, keyFile, user, password } = metadata;
  const found: Inconsistency[] = [];
  if ((certificateFile === null) !== (keyFile === null))
    found.push({
      path: keyFile === null ? 'keyFile' : 'certificateFile',
      expected: 'set as well: a certificate and its key come together',
    });
  if (user !== null && password === null)
    found.push({
      path: 'passwordFile',
      expected: 'a file with the password of metadata.user: set it, or FORESHARD_METADATA_PASSWORD',
    });
  const overheard = user === null || kind !== 'etcd' ? undefined : endpoints.find(isOverheard);
  if (overheard !== undefined)
    found.push({
      path: 'endpoints',
      expected:
        `https:// instead of ${overheard}, or a loopback address: metadata.user is set, ` +
        'and over http:// its password could be read on the way',
    });
  return found;
}

/** Whether others than this machine carry what is sent there, in the clear. */
function isOverheard(endpoint: string): boolean {
  if (endpoint.startsWith('https://')) return false;
  const [, v6, host] = /^http:\/\/(?:\[([^\]]+)\]|([^[\]:@]+)):\d+$/.exec(endpoint) ?? [];
  return !isLoopback(v6 ?? host ?? '');
}
