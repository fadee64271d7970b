import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { buildInstance } from '../../../../src/affinity/instance.ts';
import { annealer, DEFAULT_ANNEAL_SETTINGS } from '../../../../src/affinity/optimisers/anneal.ts';
import type { RememberedMove } from '../../../../src/affinity/plan-memory.ts';
import { AffinityManager } from '../../../../src/affinity/planner.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../../src/affinity/settings.ts';
import { isTakenBack } from '../../../../src/affinity/timetable/replay.ts';
import { schedule } from '../../../../src/affinity/timetable/schedule.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { loadKernels } from '../../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../../src/kernels/pool.ts';
import { forecastOf, inputsOf, nodeOf } from '../../../support/placement.ts';
import { timetableOf } from '../../../support/timetable.ts';

const test = suite('affinity/timetable replay');
const HOUR_SECONDS = 3600;

test('what the season does harm with is taken back, what gains over it is not', () => {
  // Half a day of harm, half a day of gain.
  const day = (harm: number, gain: number) =>
    Float64Array.from({ length: 24 }, (_, t) => (t < 12 ? -harm : gain));
  const isBack = (gains: Float64Array, endSlot: number, pricePerReturn = 0.5): boolean =>
    isTakenBack({ gains, settledGains: gains, endSlot, pricePerReturn }, HOUR_SECONDS);
  check.is(isBack(day(1, 0.9), 12), true, 'the next morning it is gone back');
  check.is(isBack(day(1, 0.9), 12, 2), false, 'not for that price');
  check.is(isBack(day(0.9, 1), 12), false, 'over the whole day it gains');
  check.is(isBack(day(1, 0.9), 23), false, 'nothing comes after its arrival');
});

test('of a horizon without a season the rest decides, unless it is less than a day', () => {
  // Thirty hours: gains in the first, harm in so many at the end.
  const isBack = (harmful: number): boolean => {
    const gains = Float64Array.from({ length: 30 }, (_, t) => (t >= 30 - harmful ? -1 : 1));
    return isTakenBack(
      { gains, settledGains: new Float64Array(30), endSlot: 0, pricePerReturn: 1 },
      HOUR_SECONDS,
    );
  };
  check.is(isBack(10), false, 'ten hours of harm against fourteen of gain in the last day');
  check.is(isBack(15), true);
});

test('a move that gains this evening and would be taken back tomorrow is left out, with its code', () => {
  // Node 1 is nearly full until noon, node 0 from noon on; partition 1 would rather be where it is quiet. What the moves of
  // nodes 2 and 3 gain is far more, so that no map on the way is worse than the present one.
  const loads = (t: number, p: number): number => {
    if (p >= 3) return 5;
    if (p === 1) return 2;
    const isMorning = t < 12;
    if (p === 0) return isMorning ? 0.5 : 6;
    return isMorning ? 7 : 0.5;
  };
  const inputs = inputsOf({
    ownerOf: [0, 0, 1, 2, 2],
    nodes: [0, 1, 2, 3].map((nodeId) => nodeOf(nodeId, 10)),
    forecast: forecastOf({ horizonSteps: 24, partitionCount: 5, spread: 0, loadOf: loads }),
  });
  const instance = buildInstance(inputs, { ...DEFAULT_AFFINITY_SETTINGS, isCapacityHard: false });
  const problem = timetableOf(instance);
  const evening = { partition: 1, source: 0, target: 1 };
  const moves = [{ partition: 4, source: 2, target: 3 }, evening];
  const unchecked = schedule(problem, moves);
  check.equal(
    unchecked.moves.map(({ partition }) => partition),
    [4, 1],
    'from noon on it pays',
  );
  check.ok((unchecked.moves[1]?.startSlot ?? 0) >= 11);
  const checked = schedule(problem, moves, { benefitCostRatio: 1.5 });
  check.equal(
    checked.moves.map(({ partition }) => partition),
    [4],
  );
  check.equal(checked.leftOut, [{ ...evening, code: 'taken-back' }]);
});

test('replayed on weekdays and weekends cycle by cycle, no plan takes a move back', async () => {
  const isWeekend = (t: number): boolean => Math.floor(t / 24) % 7 >= 5;
  // Half of the partitions work on weekdays, half at the weekend; all of the former are on node 0.
  const loadAt = (t: number, p: number): number =>
    (isWeekend(t) === p >= 8 ? 2 : 0.1) * (1 + 0.3 * Math.sin((2 * Math.PI * (t + p)) / 24));
  const optimiser = annealer(inlineRunner(loadKernels()), { ...DEFAULT_ANNEAL_SETTINGS, iterations: 5_000 });
  const ownerOf = Int32Array.from({ length: 16 }, (_, p) => (p < 8 ? 0 : 1));
  const leftBy = new Set<string>();
  const returned: string[] = [];
  let lastMoves: readonly RememberedMove[] = [];
  let moveCount = 0;
  for (let hour = 0; hour < 2 * 168; hour += 12) {
    const startMs = Date.UTC(2001, 0, 1) + hour * HOUR_SECONDS * 1000;
    const forecast = {
      ...forecastOf({ horizonSteps: 168, partitionCount: 16, loadOf: (t, p) => loadAt(hour + t, p) }),
      startMs,
    };
    const nodes = [nodeOf(0, 28), nodeOf(1, 28)];
    const manager = new AffinityManager(DEFAULT_AFFINITY_SETTINGS, {
      random: seededRandom(BigInt(hour)),
      logger: silentLogger,
      optimiser,
    });
    // What was moved lately is not remembered: the bar on returns is not what is tried here.
    const memory = { lastMoves, recentMoves: [] };
    const { moves } = await manager.propose(inputsOf({ ownerOf, nodes, forecast, changes: { memory } }));
    lastMoves = moves.map((move) => ({ ...move, startMs: move.schedule?.startMs ?? 0 }));
    for (const { partitionId, sourceNodeId, targetNodeId, schedule: when } of moves) {
      if ((when?.startMs ?? 0) >= startMs + 12 * HOUR_SECONDS * 1000) continue;
      moveCount++;
      ownerOf[partitionId] = targetNodeId;
      leftBy.add(`${partitionId}/${sourceNodeId}`);
      if (leftBy.has(`${partitionId}/${targetNodeId}`))
        returned.push(`partition ${partitionId}, hour ${hour}`);
    }
  }
  check.ok(moveCount >= 8, `${moveCount} moves`);
  check.equal(returned, []);
});

test.run();
