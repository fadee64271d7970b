import type { Clock } from '../../../../src/base/clock.ts';
import type { Logger } from '../../../../src/base/logger.ts';
import { type NodeCounters, type NodeRates, ratesBetween } from '../server/node-info.ts';
import type { ClusterView } from '../topology/cluster-view.ts';
import type { ClusterTopology } from '../topology/topology.ts';

export interface WatchedMaster {
  readonly counters: NodeCounters;
  /** A second, over the time between looks; null at the first one, and after a restart of the server. */
  readonly rates: NodeRates | null;
}

/** Rates over less are chance, and our own looks: a cycle may look a moment after the watch. */
const RATES_MS_MIN = 1_000;

/** Reads INFO of every master, look by look: what it holds, and what it has done since. */
export class MasterWatch {
  readonly #view: Pick<ClusterView, 'counters'>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** What rates are counted from, and the last ones. */
  readonly #before = new Map<string, WatchedMaster & { readonly atMs: number }>();

  constructor(
    view: Pick<ClusterView, 'counters'>,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#view = view;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** @returns by node id; a master that does not answer is left out. */
  async look({ masters }: Pick<ClusterTopology, 'masters'>): Promise<ReadonlyMap<string, WatchedMaster>> {
    const found = new Map<string, WatchedMaster>();
    await Promise.all(
      masters.map(async ({ nodeId, host, port }) => {
        try {
          const counters = await this.#view.counters(nodeId);
          const atMs = this.#clock.monotonicMs();
          const before = this.#before.get(nodeId);
          if (
            before !== undefined &&
            before.counters.runId === counters.runId &&
            atMs - before.atMs < RATES_MS_MIN
          ) {
            found.set(nodeId, { counters, rates: before.rates });
            return;
          }
          const rates =
            before === undefined ? null : ratesBetween(before.counters, counters, atMs - before.atMs);
          this.#before.set(nodeId, { atMs, counters, rates });
          found.set(nodeId, { counters, rates });
        } catch (error) {
          this.#logger.warn(
            { node: `${host}:${port}`, fault: (error as Error).message },
            'a master is silent',
          );
        }
      }),
    );
    return found;
  }
}
