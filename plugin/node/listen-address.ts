import { ForeshardError } from '../../src/base/errors.ts';
import { isLoopback } from '../../src/base/loopback.ts';
import type { SecuritySettings } from '../../src/settings.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `host:port` or `[v6]:port`.
 *
 * @param setting names where it came from, for the error.
 * @throws ForeshardError FORESHARD_CONFIG.
 */
export function parseListenAddress(text: string, setting: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw configError(`${setting}: found "${text}", it must be "host:port", such as "127.0.0.1:6379"`);
  return { host: (match[1] ?? match[2]) as string, port };
}

type NodeRole = 'storage' | 'query';

/**
 * Whether strangers who reach the listener are kept out: storage nodes take peers, who show each other certificates; query
 * nodes take clients, who need TLS so that nobody listens, and AUTH so that not everybody may.
 */
export function isListenerGuarded(role: NodeRole, security: SecuritySettings): boolean {
  if (role === 'storage') return security.peerKeyFile !== null;
  return security.serverKeyFile !== null && (security.password !== null || security.usersFile !== null);
}

const GUARDS: Readonly<Record<NodeRole, string>> = {
  storage: 'security.peerKeyFile and what belongs to it',
  query: 'security.serverCertificateFile and serverKeyFile, and security.usersFile or passwordFile',
};

/** @throws ForeshardError FORESHARD_CONFIG for an address that others can reach, unless that is what is wanted. */
export function assertListenAllowed(
  address: ListenAddress,
  options: { readonly role: NodeRole; readonly isGuarded: boolean; readonly isInsecureAllowed: boolean },
): void {
  if (isLoopback(address.host) || options.isGuarded || options.isInsecureAllowed) return;
  throw configError(
    `listen address ${address.host}: not a loopback address, and whoever reaches it would be let in: listen on 127.0.0.1, set ${GUARDS[options.role]}, or accept the risk with --insecure-listen`,
  );
}

function configError(message: string): ForeshardError {
  return new ForeshardError('FORESHARD_CONFIG', 'fix-config', message);
}
