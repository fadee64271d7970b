import type { Worker } from 'node:worker_threads';
import { createRingMemory, RingProducer } from '../plugin/capture/ring.ts';
import { emptyQueryNodeHooks } from '../plugin/hooks.ts';
import { QueryNodeHost } from '../plugin/host/host.ts';
import { definePlugin } from '../plugin/host/plugin.ts';
import { startThread } from '../plugin/threads/thread.ts';
import { systemClock } from '../src/base/clock.ts';
import { silentLogger } from '../src/base/logger.ts';
import type { MetadataStore } from '../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS } from '../src/settings.ts';
import { CapturePath } from './capture-path.ts';
import { median } from './median.ts';
import { requestCostsRow } from './request-costs.ts';
import type { BenchOutcome } from './types.ts';

export const area = 'capture';

/** The most that capture may add to a query: what the design promises. */
const ADDED_NS_MAX = 150;

/**
 * What capture adds to a query on the query node: the router's own completion of reply frames (`Router.onReplies`: find the
 * pending query, count, call the hook, settle it, hand the reply to its client's queue) with the ring attached, against the
 * same router with the hooks empty. Blocks of the two alternate, so that both meet the same weather; a second thread drains
 * the ring. Sending the requests, answering them and writing to the clients' sockets are not in the figure.
 */
export async function run({ isSmall }: { isSmall: boolean }): Promise<BenchOutcome> {
  // Short blocks: on a busy machine few of them are interrupted, and the median is of those that were not.
  const blockPairs = isSmall ? 200 : 3_000;
  const memory = createRingMemory(DEFAULT_SETTINGS.capture.ringSlots);
  const producer = new RingProducer(memory, { keyPrefixBytes: 24, keyHash: true, readClock: Date.now });
  const consumer = startThread(new URL('./capture-consumer.ts', import.meta.url), { workerData: memory });
  // Through the host, guard and all, as a node calls it.
  const host = new QueryNodeHost(silentLogger);
  const plugin = definePlugin({
    name: 'capture',
    attachQueryNode: () => ({ hooks: { onQueryCompleted: producer.hook() }, detach() {} }),
  });
  const metadata = {} as MetadataStore; // passed on to plugins; this one asks nothing of it
  const context = {
    settings: DEFAULT_SETTINGS,
    nodeId: 0,
    clock: systemClock(),
    logger: silentLogger,
    metadata,
  };
  await host.attachAll([plugin], context);
  const { onQueryCompleted } = host.hooks;
  const hooks = emptyQueryNodeHooks();
  const path = new CapturePath(hooks);
  let blockQueries = 0;
  const attached: number[] = [];
  const empty: number[] = [];
  let offered = 0;
  let checksum = 0;
  // Until the compiler has settled: the first blocks cost several times as much.
  const warmUpPairs = isSmall ? 100 : 500;
  for (let pair = -warmUpPairs; pair < blockPairs; pair++) {
    // Which of the two goes first alternates as well.
    for (const isAttached of pair % 2 === 0 ? [true, false] : [false, true]) {
      const replies = path.ask();
      blockQueries = replies.queryCount;
      hooks.onQueryCompleted = isAttached ? onQueryCompleted : null;
      const startedNs = process.hrtime.bigint();
      path.complete(replies);
      const nanoseconds = Number(process.hrtime.bigint() - startedNs) / blockQueries;
      path.flush();
      if (pair >= 0) (isAttached ? attached : empty).push(nanoseconds);
      if (isAttached) {
        offered += blockQueries;
        checksum = replies.checksumAfter(checksum);
      }
    }
    // The event loop turns between batches of a real node, too, and no real node offers millions a second: let the
    // consumer empty the ring, so that it is records that are measured, not drops.
    producer.tick();
    while (producer.freeSlots() < blockQueries) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  producer.publish();
  const seen = await finish(consumer);
  if (seen.recordCount + seen.droppedCount !== offered)
    throw new Error(`offered ${offered}, recorded ${seen.recordCount}, dropped ${seen.droppedCount}`);
  if (seen.droppedCount === 0 && seen.checksum !== checksum)
    throw new Error(`the records differ from what was offered: ${seen.checksum} against ${checksum}`);
  const attachedNs = median(attached);
  const emptyNs = median(empty);
  return {
    results: [
      {
        name: 'capture/added-per-query',
        metric: 'ns added to the completion of a query, median of blocks',
        value: attachedNs - emptyNs,
        unit: 'ns',
        baseline: 'hooks-empty',
        baselineValue: emptyNs,
        ratio: (attachedNs - emptyNs) / emptyNs,
        settings: { barNs: ADDED_NS_MAX, blockQueries, blockPairs, keyBytes: 24, dropped: seen.droppedCount },
        hash: (checksum >>> 0).toString(16),
      },
      requestCostsRow(isSmall),
    ],
    skipped: [],
  };
}

function finish(consumer: Worker): Promise<{ recordCount: number; droppedCount: number; checksum: number }> {
  return new Promise((resolve, reject) => {
    consumer.once('message', resolve);
    consumer.once('error', reject);
    consumer.postMessage('finish');
  });
}
