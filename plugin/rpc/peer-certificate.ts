import { ForeshardError } from '../../src/base/errors.ts';
import { PEER_ROLES, type PeerIdentity, type PeerRole } from './connection.ts';

/** What a certificate is given out for: a process. A query node's process also coordinates; its coordinator shows the same. */
export type CertificateRole = 'query' | 'storage' | 'operator';

export interface CertificateIdentity {
  readonly clusterId: string;
  readonly role: CertificateRole;
  readonly nodeId: number;
}

const ROLES_OF: Readonly<Record<CertificateRole, readonly PeerRole[]>> = {
  query: ['query', 'coordinator'],
  storage: ['storage'],
  operator: ['operator'],
};

/** The one name in a peer's certificate: a subject alternative name of kind URI. */
export const peerUri = ({ clusterId, role, nodeId }: CertificateIdentity): string =>
  `foreshard://${encodeURIComponent(clusterId)}/${role}/${nodeId}`;

/**
 * @param subjectAltName as node tells it: `URI:foreshard://default/storage/3, DNS:…`.
 * @returns null of a certificate that names no node, or more than one.
 */
export function identityIn(subjectAltName: string | undefined): CertificateIdentity | null {
  const uris = (subjectAltName ?? '').split(', ').filter((name) => name.startsWith('URI:foreshard://'));
  const match = /^URI:foreshard:\/\/([^/]+)\/(query|storage|operator)\/(0|[1-9]\d{0,8})$/.exec(uris[0] ?? '');
  if (match === null || uris.length > 1) return null;
  const [, clusterId = '', role = '', nodeId = ''] = match;
  try {
    return {
      clusterId: decodeURIComponent(clusterId),
      role: role as CertificateRole,
      nodeId: Number(nodeId),
    };
  } catch {
    return null; // a stray %
  }
}

/**
 * Whoever says hello must be who its certificate says.
 *
 * @throws ForeshardError FORESHARD_CONFIG.
 */
export function assertIsOf(certificate: CertificateIdentity | null, peer: PeerIdentity): void {
  const says = `node ${peer.nodeId}, role ${peer.role}, of cluster ${peer.clusterId}`;
  if (certificate === null)
    throw refused(
      `a peer that says it is ${says} shows a certificate of no node: it needs the name foreshard://CLUSTER/ROLE/ID`,
    );
  const isSame =
    certificate.clusterId === peer.clusterId &&
    certificate.nodeId === peer.nodeId &&
    PEER_ROLES.includes(peer.role) &&
    ROLES_OF[certificate.role].includes(peer.role);
  if (!isSame) throw refused(`a peer says it is ${says}, its certificate is ${peerUri(certificate)}`);
}

const refused = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', message);
