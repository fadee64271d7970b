import { ForeshardError } from '../../../src/base/errors.ts';
import type { ControlReply } from '../../hooks.ts';
import { type RpcAddress, RpcClient } from '../../rpc/client.ts';
import type { PeerIdentity } from '../../rpc/connection.ts';
import type { PeerTls } from '../../rpc/peer-tls.ts';
import type { MigrationTransport } from './migration-transport.ts';

export interface RpcTransportOptions {
  /** Who asks: a coordinator, or a storage node that pulls. */
  readonly identity: PeerIdentity;
  /** Where a storage node listens now; null while it is not known. */
  readonly addressOf: (nodeId: number) => RpcAddress | null;
  readonly tls?: PeerTls | null;
  readonly timeoutMs?: number;
}

/** Longer than a storage node keeps a request for log entries, shorter than anybody's patience. */
const TIMEOUT_MS_DEFAULT = 2_000;

/** Control requests to storage nodes, one connection to each, made when first needed. */
export class RpcTransport implements MigrationTransport {
  readonly #options: RpcTransportOptions;
  readonly #clients = new Map<number, RpcClient>();
  #isClosed = false;

  constructor(options: RpcTransportOptions) {
    this.#options = options;
  }

  request(nodeId: number, operation: string, body: Record<string, unknown>): Promise<ControlReply> {
    if (this.#isClosed)
      return Promise.reject(new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the transport is closed'));
    return this.#clientOf(nodeId).control(operation, body, {
      timeoutMs: this.#options.timeoutMs ?? TIMEOUT_MS_DEFAULT,
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #clientOf(nodeId: number): RpcClient {
    let client = this.#clients.get(nodeId);
    if (!client) {
      const { identity, addressOf, tls = null } = this.#options;
      client = new RpcClient({ identity, address: () => addressOf(nodeId), peerNodeId: nodeId, tls });
      this.#clients.set(nodeId, client);
    }
    return client;
  }
}
