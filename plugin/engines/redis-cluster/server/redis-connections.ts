import { ForeshardError } from '../../../../src/base/errors.ts';
import type { RedisSettings } from '../../../../src/redis-settings.ts';
import { type RedisAddress, RedisConnection } from './redis-connection.ts';
import type { RedisNode, RedisNodes } from './redis-node.ts';

/** Connections by node id; addresses come from the topology and may change. */
export class RedisConnections implements RedisNodes {
  readonly #settings: RedisSettings;
  readonly #connections = new Map<string, RedisConnection>();
  #addresses: ReadonlyMap<string, RedisAddress> = new Map();

  constructor(settings: RedisSettings) {
    this.#settings = settings;
  }

  /** What a new look at the cluster has shown: connections to nodes that have gone or moved are closed. */
  setAddresses(addresses: ReadonlyMap<string, RedisAddress>): void {
    this.#addresses = addresses;
    for (const [nodeId, connection] of this.#connections) {
      const address = addresses.get(nodeId);
      if (address?.host === connection.address.host && address.port === connection.address.port) continue;
      connection.close();
      this.#connections.delete(nodeId);
    }
  }

  node(nodeId: string): RedisNode {
    const known = this.#connections.get(nodeId);
    if (known !== undefined) return known;
    const connection = this.dedicated(nodeId);
    this.#connections.set(nodeId, connection);
    return connection;
  }

  /** A connection of its own, which whoever asked for it closes. */
  dedicated(nodeId: string): RedisConnection {
    const address = this.#addresses.get(nodeId);
    if (address === undefined)
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', `no address is known of node ${nodeId}`);
    return new RedisConnection(address, this.#settings);
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }
}
