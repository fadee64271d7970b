import type { Worker } from 'node:worker_threads';
import { createRingMemory, RingProducer } from '../plugin/capture/ring.ts';
import { emptyQueryNodeHooks, type QueryNodeHooks } from '../plugin/host/hooks.ts';
import { QueryNodeHost } from '../plugin/host/host.ts';
import { definePlugin } from '../plugin/host/plugin.ts';
import { startThread } from '../plugin/host/thread.ts';
import { systemClock } from '../src/base/clock.ts';
import { silentLogger } from '../src/base/logger.ts';
import { seededRandom } from '../src/base/random.ts';
import type { MetadataStore } from '../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS } from '../src/settings.ts';
import type { BenchOutcome } from './types.ts';

export const area = 'capture';

/** Where a reply's fields stand in a data reply frame: see docs/protocol.md. */
const REPLY_HEADER_BYTES = 24;
const QUERY_KINDS = 1024;
const PARTITION_COUNT = 256;

/**
 * What capture adds to a query on the query node: the completion of a query (read the reply's header, find the pending
 * request, hand the reply bytes to the client's output, call the hook) with the ring attached, against the same with the
 * hooks empty. Blocks of the two alternate, so that both meet the same weather; a second thread drains the ring.
 */
export async function run({ isSmall }: { isSmall: boolean }): Promise<BenchOutcome> {
  // Short blocks: on a busy machine few of them are interrupted, and the median is of those that were not.
  const blockQueries = 1_000;
  const blockPairs = isSmall ? 400 : 4_000;
  const memory = createRingMemory(DEFAULT_SETTINGS.capture.ringSlots);
  const producer = new RingProducer(memory, { keyPrefixBytes: 24, readClock: Date.now });
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
  const path = new CompletionPath(hooks);
  const attached: number[] = [];
  const empty: number[] = [];
  let offered = 0;
  let checksum = 0;
  // Until the compiler has settled: the first blocks cost several times as much.
  const warmUpPairs = 300;
  for (let pair = -warmUpPairs; pair < blockPairs; pair++) {
    // Which of the two goes first alternates as well.
    for (const isAttached of pair % 2 === 0 ? [true, false] : [false, true]) {
      hooks.onQueryCompleted = isAttached ? onQueryCompleted : null;
      const startedNs = process.hrtime.bigint();
      path.completeQueries(blockQueries);
      const nanoseconds = Number(process.hrtime.bigint() - startedNs) / blockQueries;
      if (pair >= 0) (isAttached ? attached : empty).push(nanoseconds);
      if (isAttached) {
        offered += blockQueries;
        checksum = path.checksumAfter(checksum, blockQueries);
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
        settings: { blockQueries, blockPairs, keyBytes: 24, dropped: seen.droppedCount },
        hash: (checksum >>> 0).toString(16),
      },
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

const median = (values: number[]): number =>
  values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

interface Pending {
  readonly commandIndex: number;
  readonly partitionId: number;
  readonly nodeId: number;
  readonly clientId: number;
  readonly key: Uint8Array;
  readonly keyOffset: number;
  readonly keyLength: number;
  readonly requestBytes: number;
}

/** The completion path of a query node, cut free of sockets: a frame of replies in, bytes for the client out. */
class CompletionPath {
  readonly #hooks: QueryNodeHooks;
  readonly #pending: Pending[] = [];
  readonly #frame: Buffer;
  readonly #frameStarts: number[] = [];
  readonly #output = Buffer.alloc(1 << 16);
  #outputEnd = 0;
  #at = 0;

  constructor(hooks: QueryNodeHooks) {
    this.#hooks = hooks;
    const random = seededRandom(7n);
    const replies: Buffer[] = [];
    let frameEnd = 0;
    for (let i = 0; i < QUERY_KINDS; i++) {
      const name = `flight:{${String.fromCharCode(65 + random.nextBelow(26))}TL}:${random.nextBelow(1e9)}`;
      const request = Buffer.from(`*2\r\n$3\r\nGET\r\n$${name.length}\r\n${name}\r\n`);
      this.#pending.push({
        commandIndex: 12,
        partitionId: random.nextBelow(PARTITION_COUNT),
        nodeId: random.nextBelow(8),
        clientId: random.nextBelow(50),
        key: request,
        keyOffset: request.length - name.length - 2,
        keyLength: name.length,
        requestBytes: request.length,
      });
      const body = Buffer.from(`$64\r\n${'x'.repeat(64)}\r\n`);
      const reply = Buffer.alloc(REPLY_HEADER_BYTES + body.length);
      reply.writeUInt32LE(i, 0);
      reply.writeUInt32LE(1, 8);
      reply.writeUInt32LE(body.length, 12);
      body.copy(reply, REPLY_HEADER_BYTES);
      this.#frameStarts.push(frameEnd);
      frameEnd += reply.length;
      replies.push(reply);
    }
    this.#frame = Buffer.concat(replies);
  }

  completeQueries(count: number): void {
    const frame = this.#frame;
    for (let done = 0; done < count; done++) {
      const start = this.#frameStarts[this.#at % QUERY_KINDS] as number;
      this.#at++;
      const pending = this.#pending[frame.readUInt32LE(start)] as Pending;
      const replyBytes = frame.readUInt32LE(start + 12);
      if (this.#outputEnd + replyBytes > this.#output.length) this.#outputEnd = 0;
      frame.copy(
        this.#output,
        this.#outputEnd,
        start + REPLY_HEADER_BYTES,
        start + REPLY_HEADER_BYTES + replyBytes,
      );
      this.#outputEnd += replyBytes;
      if (this.#hooks.onQueryCompleted !== null)
        this.#hooks.onQueryCompleted(
          pending.commandIndex,
          pending.partitionId,
          pending.nodeId,
          pending.clientId,
          pending.key,
          pending.keyOffset,
          pending.keyLength,
          100 + (done & 63),
          pending.requestBytes,
          replyBytes,
          frame[start + 4] as number,
        );
    }
  }

  /** What the consumer's sum must be after the last `count` queries. */
  checksumAfter(checksum: number, count: number): number {
    let sum = checksum;
    for (let i = this.#at - count; i < this.#at; i++) {
      const pending = this.#pending[i % QUERY_KINDS] as Pending;
      const lastKept = pending.key[pending.keyOffset + Math.min(pending.keyLength, 24) - 1] as number;
      const replyBytes = this.#frame.readUInt32LE((this.#frameStarts[i % QUERY_KINDS] as number) + 12);
      sum = (Math.imul(sum, 31) + pending.partitionId * 7 + pending.clientId + replyBytes + lastKept) | 0;
    }
    return sum;
  }
}
