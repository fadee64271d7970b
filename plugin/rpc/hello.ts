import { ForeshardError } from '../../src/base/errors.ts';
import { PEER_ROLES, type PeerIdentity, type PeerRole } from './connection.ts';
import { decodeMessage, encodeMessage } from './control.ts';
import { corrupt, FRAME_VERSION, HELLO_BYTES_MAX } from './frames.ts';

/** The first message each way: who is there, and which protocol it speaks. */
export function encodeHello(identity: PeerIdentity): Buffer {
  return encodeMessage({ version: FRAME_VERSION, ...identity }, HELLO_BYTES_MAX);
}

/** @throws ForeshardError when the peer speaks another version, or does not say who it is. */
export function parseHello(payload: Buffer): PeerIdentity {
  const { version, clusterId, nodeId, role } = decodeMessage(payload);
  if (version !== FRAME_VERSION)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `the peer speaks protocol ${String(version)}, this node ${FRAME_VERSION}: run one version of foreshard`,
    );
  if (typeof clusterId !== 'string' || !Number.isInteger(nodeId) || !PEER_ROLES.includes(role as PeerRole))
    throw corrupt('a hello that does not say who the peer is');
  return { clusterId, nodeId: nodeId as number, role: role as PeerRole };
}
