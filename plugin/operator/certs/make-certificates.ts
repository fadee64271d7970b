import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ForeshardError } from '../../../src/base/errors.ts';
import { makeFolder } from '../../make-folder.ts';
import { QUERY_NODE_ID_MIN } from '../../node/node-options.ts';
import type { CertificateIdentity } from '../../rpc/peer-certificate.ts';
import {
  type CertificateAndKey,
  makeAuthority,
  signClient,
  signPeer,
  signServer,
} from './development-authority.ts';

export interface CertsOptions {
  readonly folder: string;
  readonly clusterName: string;
  readonly storageNodeCount: number;
  readonly queryNodeCount: number;
  /** Names and addresses by which clients reach query nodes. */
  readonly serverNames: readonly string[];
  readonly days: number;
}

/** Its key lies beside it, as `.key`. */
export interface MadeCertificate {
  readonly certificate: string;
  /** Null where the name says it. */
  readonly use: string | null;
}

/** The authority outlives what it signs, so that a renewal is one run of the command. */
const AUTHORITY_DAYS_MIN = 3650;

/**
 * Certificates for every node of a cluster from an authority in the same folder, which is made where there is none: for
 * development, and for small clusters whose operator keeps the folder. Run again, it renews the nodes' and keeps the authority.
 *
 * @returns what was written.
 * @throws ForeshardError FORESHARD_CONFIG when the folder holds half an authority, or cannot be written to.
 */
export async function makeCertificates(options: CertsOptions): Promise<MadeCertificate[]> {
  const { folder, clusterName: clusterId, storageNodeCount, queryNodeCount, serverNames, days } = options;
  const made: MadeCertificate[] = [];
  try {
    makeFolder(folder);
    const fromMs = Date.now();
    let authority = readAuthority(folder);
    if (authority === null) {
      authority = await newAuthority(folder, { fromMs, days });
      made.push({
        certificate: `${join(folder, 'authority')}.pem`,
        use: 'whose key signs all others: keep it off the nodes',
      });
    }
    const identities: CertificateIdentity[] = [
      ...Array.from({ length: storageNodeCount }, (_, nodeId) => ({
        clusterId,
        nodeId,
        role: 'storage' as const,
      })),
      ...Array.from({ length: queryNodeCount }, (_, index) => ({
        clusterId,
        nodeId: QUERY_NODE_ID_MIN + index,
        role: 'query' as const,
      })),
      { clusterId, nodeId: 0, role: 'operator' },
    ];
    for (const identity of identities) {
      const name = identity.role === 'operator' ? 'operator' : `${identity.role}-${identity.nodeId}`;
      write(folder, name, await signPeer(authority, identity, { fromMs, days }));
      made.push({ certificate: `${join(folder, name)}.pem`, use: null });
    }
    write(folder, 'server', await signServer(authority, serverNames, { fromMs, days }));
    made.push({
      certificate: `${join(folder, 'server')}.pem`,
      use: `for clients, of ${serverNames.join(', ')}`,
    });
    write(folder, 'client', await signClient(authority, 'client', { fromMs, days }));
    made.push({
      certificate: `${join(folder, 'client')}.pem`,
      use: 'for clients to show where security.clientAuthorityFile is set',
    });
    return made;
  } catch (error) {
    if (error instanceof ForeshardError) throw error;
    throw configError(
      `--out: cannot write certificates to ${folder}: ${(error as Error).message}: name a folder that this process may make and write to`,
    );
  }
}

function readAuthority(folder: string): CertificateAndKey | null {
  const [certificate, key] = [join(folder, 'authority.pem'), join(folder, 'authority.key')];
  const found = [certificate, key].filter((file) => existsSync(file));
  if (found.length === 0) return null;
  if (found.length === 1)
    throw configError(
      `${folder} holds ${found[0]} alone: an authority is a certificate and its key; name an empty folder, or put the other file back`,
    );
  return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
}

async function newAuthority(
  folder: string,
  { fromMs, days }: { readonly fromMs: number; readonly days: number },
): Promise<CertificateAndKey> {
  const authority = await makeAuthority({ fromMs, days: Math.max(AUTHORITY_DAYS_MIN, 2 * days) });
  write(folder, 'authority', authority);
  return authority;
}

function write(folder: string, name: string, { certificate, key }: CertificateAndKey): void {
  writeFileSync(join(folder, `${name}.pem`), certificate, { mode: 0o644 });
  writeFileSync(join(folder, `${name}.key`), key, { mode: 0o600 });
}

const configError = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', message);
