import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { ScoreBook } from '../../../../src/migration/progress/score-book.ts';
import {
  latencyRatioOf,
  NOT_MEASURED,
  realisedShareOf,
} from '../../../../src/migration/progress/scorecard.ts';
import { LATENCY_BUCKET_COUNT, latencyBucket } from '../../../../src/migration/reads/read-latency.ts';
import type { OpenRecord } from '../../../../src/migration/records/record-changes.ts';
import type { NodeLatency } from '../../../../src/migration/throttle/client-latency.ts';
import type { MigrationPhase } from '../../../../src/model/migration.ts';

const test = suite('scorecard of a move');
const predicted = { gain: 3, price: 1, sizeBytes: 10, seconds: 5, queriesPerSecond: 100 };
const loads = (sourceBefore: number, sourceAfter: number, targetBefore: number, targetAfter: number) => ({
  predicted,
  measured: { ...NOT_MEASURED, sourceBefore, sourceAfter, targetBefore, targetAfter },
});

test('a move whose load has gone from the source to the target has brought all, whatever else rose on both', () => {
  check.is(realisedShareOf(loads(500, 400, 200, 300)), 1);
  check.is(realisedShareOf(loads(500, 800, 200, 700)), 1, 'both have 400 more by now');
  check.is(realisedShareOf(loads(500, 450, 200, 250)), 0.5);
  check.is(realisedShareOf(loads(500, 600, 200, 100)), 0, 'never below nothing');
});

test('what was not seen, or is too little to be told apart, gives no share', () => {
  check.is(realisedShareOf({ predicted, measured: NOT_MEASURED }), null);
  const quiet = { ...loads(500, 400, 200, 300), predicted: { ...predicted, queriesPerSecond: 0.1 } };
  check.is(realisedShareOf(quiet), null);
  check.is(latencyRatioOf({ ...NOT_MEASURED, latencyMs: 6, calmLatencyMs: 4 }), 1.5);
  check.is(latencyRatioOf(NOT_MEASURED), null);
});

const emptyCounts = (): number[] => new Array<number>(LATENCY_BUCKET_COUNT).fill(0);

class World {
  readonly clock = new VirtualClock();
  readonly totals = [0, 1].map(() => ({ reads: emptyCounts(), writes: emptyCounts() }));
  readonly calmPerSecond = [500, 200];
  isTold = true;
  readonly book = new ScoreBook({
    clock: this.clock,
    watch: {
      latencyOf: async (nodeId): Promise<NodeLatency | null> => {
        if (!this.isTold) return null;
        const reads = emptyCounts();
        reads[latencyBucket(2)] = 1_000;
        const calm = { reads, writes: emptyCounts() };
        return {
          total: structuredClone(this.totals[nodeId]!),
          calm,
          calmPerSecond: this.calmPerSecond[nodeId]!,
        };
      },
    },
  });

  answer(nodeId: number, count: number, latencyMs: number): void {
    const counts = (this.totals[nodeId] as { reads: number[] }).reads;
    const bucket = latencyBucket(latencyMs);
    counts[bucket] = (counts[bucket] as number) + count;
  }

  async look(phase: MigrationPhase, afterMs: number): Promise<void> {
    this.clock.advanceTo(this.clock.monotonicMs() + afterMs);
    await this.book.observed(recordIn(phase));
  }
}

const recordIn = (phase: MigrationPhase): OpenRecord =>
  ({
    partitionId: 4,
    migration: { migrationId: 7, sourceNodeId: 0, targetNodeId: 1, phase },
  }) as unknown as OpenRecord;

test('loads are those before the copy and those of the grace; latencies those until the switch, of the node that suffered most', async () => {
  const world = new World();
  await world.look('COPY', 0);
  world.calmPerSecond[0] = 9; // learnt later, and of no matter
  world.answer(0, 500, 3);
  world.answer(1, 500, 8);
  await world.look('SHIFT', 1_000);
  world.answer(1, 500, 900); // the hand-over, after the last look
  await world.look('GRACE', 1_000);
  for (let i = 0; i < 4; i++) {
    world.answer(0, 2_000, 3);
    world.answer(1, 1_500, 3);
    await world.look('GRACE', 5_000);
  }
  const measured = world.book.measuresOf(recordIn('CLEANUP'));
  check.equal(
    [measured.sourceBefore, measured.sourceAfter, measured.targetBefore, measured.targetAfter],
    [500, 400, 200, 300],
  );
  check.is(realisedShareOf({ predicted, measured }), 1);
  const ratio = latencyRatioOf(measured) as number;
  check.ok(ratio > 3 && ratio < 5, `${ratio}`);
});

test('a coordinator that came after the copy, a query node that started anew and a short grace are told as not seen', async () => {
  const late = new World();
  await late.look('SHIFT', 0);
  check.equal(late.book.measuresOf(recordIn('SHIFT')), NOT_MEASURED);
  const world = new World();
  world.answer(0, 50, 1);
  await world.look('COPY', 0);
  await world.look('GRACE', 1_000);
  world.answer(0, 100, 1);
  await world.look('GRACE', 5_000);
  check.is(world.book.measuresOf(recordIn('GRACE')).sourceAfter, null);
  world.totals[0] = { reads: emptyCounts(), writes: emptyCounts() };
  await world.look('GRACE', 6_000);
  check.is(world.book.measuresOf(recordIn('GRACE')).sourceAfter, null);
  check.is(world.book.measuresOf(recordIn('GRACE')).targetAfter, 0);
  world.book.ended(4);
  check.equal(world.book.measuresOf(recordIn('GRACE')), NOT_MEASURED);
});

test.run();
