import { ForeshardError } from '../../../../src/base/errors.ts';
import type { RedisSettings } from '../../../../src/redis-settings.ts';
import { countersOf, countReadOnlyClients, type NodeCounters, parseInfo } from '../server/node-info.ts';
import { type RedisAddress, RedisConnection } from '../server/redis-connection.ts';
import { RedisConnections } from '../server/redis-connections.ts';
import { accepted, numberOf, RedisRefusal, textOf } from '../server/redis-node.ts';
import { clientCommands } from '../steps/client-load.ts';
import { type ClusterTopology, readTopology } from './topology.ts';

/** @throws ForeshardError FORESHARD_CONFIG where nobody could be asked. */
export function assertNodesNamed({ nodes }: RedisSettings): void {
  if (nodes.length === 0)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      'redis.nodes is empty: name some nodes of the Redis Cluster, "HOST:PORT" each',
    );
}

/** Looks at the cluster: whoever answers first is asked for the others, and each master for itself. */
export class ClusterView {
  readonly nodes: RedisConnections;
  readonly #settings: RedisSettings;
  /** Where nodes were last: the seeds of the config file may have gone. */
  #lastAddresses: readonly RedisAddress[] = [];

  constructor(settings: RedisSettings) {
    this.#settings = settings;
    this.nodes = new RedisConnections(settings);
  }

  /** @throws ForeshardError FORESHARD_UNAVAILABLE, FORESHARD_CONFIG as readTopology. */
  async topology(): Promise<ClusterTopology> {
    const topology = await readTopology({
      seeds: [...this.#lastAddresses, ...this.#settings.nodes.map(addressOf)],
      connect: (address) => new RedisConnection(address, this.#settings),
      onAddresses: (addresses) => this.nodes.setAddresses(addresses),
      node: (nodeId) => this.nodes.node(nodeId),
    });
    this.#lastAddresses = [...topology.addresses.values()];
    return topology;
  }

  /** Totals of one server; commands are those of applications. @throws ForeshardError FORESHARD_UNAVAILABLE. */
  async counters(nodeId: string): Promise<NodeCounters> {
    const [reply, commands] = await this.nodes.node(nodeId).pipeline([['INFO'], ['INFO', 'commandstats']]);
    const counters = countersOf(parseInfo(textOf(reply)));
    // A cycle of ours asks for the keys of 16,384 slots, which the server's own total counts.
    return { ...counters, commands: clientCommands(textOf(commands)) };
  }

  /** Keys in each of these slots of one master. */
  async keyCounts(nodeId: string, slots: readonly number[]): Promise<readonly number[]> {
    const replies = await this.nodes
      .node(nodeId)
      .pipeline(slots.map((slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot]));
    return replies.map(numberOf);
  }

  /** Clients in READONLY mode; 0 where the server does not say. */
  async readOnlyClients(nodeId: string): Promise<number> {
    const [reply] = await this.nodes.node(nodeId).pipeline([['CLIENT', 'LIST']]);
    return reply instanceof RedisRefusal ? 0 : countReadOnlyClients(String(accepted(reply)));
  }

  close(): void {
    this.nodes.close();
  }
}

function addressOf(text: string): RedisAddress {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
}
