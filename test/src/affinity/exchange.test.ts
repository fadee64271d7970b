/** Moves that keep capacities only one shortly after the other. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { neededBefore } from '../../../src/affinity/evidence/move-evidence.ts';
import { findExchange } from '../../../src/affinity/exchange.ts';
import { buildInstance, type PlacementInputs } from '../../../src/affinity/instance.ts';
import type { Optimiser } from '../../../src/affinity/optimisers/optimiser.ts';
import { orderMoves } from '../../../src/affinity/order-moves.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import type { Candidate } from '../../../src/affinity/timetable/candidate.ts';
import { keepsCapacities } from '../../../src/affinity/timetable/maps-in-effect.ts';
import { firstBadPrefix } from '../../../src/affinity/timetable/prefixes.ts';
import type { ScheduledMove } from '../../../src/affinity/timetable/problem.ts';
import { schedule } from '../../../src/affinity/timetable/schedule.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { dimensionIndex } from '../../../src/model/load-profile.ts';
import { forecastOf, inputsOf, nodeOf } from '../../support/placement.ts';
import { timetableOf } from '../../support/timetable.ts';

const test = suite('affinity/exchange');
const SURE: AffinitySettings = { ...DEFAULT_AFFINITY_SETTINGS, commonError: 0, riskZ: 0 };

test('two nodes that are just full at different times exchange by day what is busy by day, and nothing where there is no time', async () => {
  // 9.9 of 9.92 by day on one and by night on the other; whoever goes first brings 0.033 to the full hours of the other.
  const inputsWith = ({ lastHour = 0.033, bytes = 1e6 }): PlacementInputs =>
    inputsOf({
      ownerOf: [0, 0, 0, 1, 1, 1],
      forecast: forecastOf({
        horizonSteps: 24,
        partitionCount: 6,
        spread: 0,
        loadOf: (t, p) => (p === 2 && t === 23 ? lastHour : t % 24 < 12 === p < 3 ? 3.3 : 0.033),
      }),
      nodes: [nodeOf(0, 9.92), nodeOf(1, 9.92)],
      changes: { partitionBytes: new Float64Array(6).fill(bytes) },
    });
  const exchange: Optimiser = {
    name: 'exchange',
    optimise: async () => ({ ownerOf: Int32Array.of(0, 0, 1, 1, 1, 0), iterations: 1 }),
  };
  const planOf = (changes: Partial<AffinitySettings>, inputs: Parameters<typeof inputsWith>[0] = {}) => {
    const settings = { ...SURE, ...changes };
    const components = { random: seededRandom(1n), logger: silentLogger, optimiser: exchange };
    return new AffinityManager(settings, components).propose(inputsWith(inputs));
  };
  const refusalWith = async (...how: Parameters<typeof planOf>) => {
    const { moves, refusal } = await planOf(...how);
    return moves.length > 0 ? `${moves.length} moves` : refusal;
  };
  const hourOf = (ms: number | undefined): number => new Date(ms as number).getUTCHours();
  for (const windows of [[], ['daily 09:00-15:00'], ['daily 10:00-03:00'], ['daily 12:00-15:00']]) {
    const timetable = { ...DEFAULT_AFFINITY_SETTINGS.timetable, windows };
    const { moves } = await planOf({ timetable });
    check.is(moves.length, 2, String(windows));
    const [first, second] = moves;
    const hours = [hourOf(first?.schedule?.startMs), hourOf((second?.schedule?.endMs as number) - 1)];
    const isByDay = (first?.partitionId as number) < 3;
    check.ok(
      hours.every((hour) => hour < 12 === isByDay),
      `partition ${first?.partitionId} first, ${hours.join(' to ')}, windows ${windows}`,
    );
    check.is(second?.unit?.partitionIds.length, 2, 'nobody approves one without the other');
    check.is(first?.unit?.partitionIds.length, 2);
  }
  // Forty minutes a copy: the second would end a day later.
  const timetable = { ...DEFAULT_AFFINITY_SETTINGS.timetable, windows: ['daily 09:00-10:00'] };
  check.is(await refusalWith({ timetable }, { bytes: 40 * 60e8 }), 'no-time');
  check.is(await refusalWith({ timetable }, { bytes: 20 * 60e8 }), '2 moves');
  check.is(await refusalWith({ isCapacityHard: false }), '2 moves');
  check.is(await refusalWith({ benefitCostRatio: 1e6 }), 'below-minimum-gain', 'of what nobody would want');
  check.is(
    await refusalWith({}, { lastHour: 3.4 }),
    'below-minimum-gain',
    'of a map that is itself above a capacity: 10 in the last hour',
  );
});

test('two nodes that are full of different things all the time can exchange nothing step by step, and the refusal says so', async () => {
  const readBytes = dimensionIndex('readBytes');
  const inputs = inputsOf({
    ownerOf: [0, 0, 0, 1, 1, 1],
    forecast: forecastOf({
      horizonSteps: 24,
      partitionCount: 6,
      spread: 0,
      loadOf: (_, p, dimension) => ((dimension === readBytes) === p < 3 ? 3.3 : 0.033),
    }),
    nodes: [nodeOf(0, 9.92), nodeOf(1, 9.92)],
  });
  const exchange: Optimiser = {
    name: 'exchange',
    optimise: async () => ({ ownerOf: Int32Array.of(0, 0, 1, 1, 1, 0), iterations: 1 }),
  };
  const dimensions = (['queries', 'readBytes'] as const).map((dimension) => ({ dimension, weight: 1 }));
  const components = { random: seededRandom(1n), logger: silentLogger, optimiser: exchange };
  const { moves, refusal } = await new AffinityManager({ ...SURE, dimensions }, components).propose(inputs);
  check.equal([moves.length, refusal], [0, 'no-order']);
});

test('a map that gains nothing is no map that lacks an order', async () => {
  // Equals change places: one alone would make it worse, both are worth nothing.
  const loads = [5, 1, 5, 0.9];
  const inputs = inputsOf({
    ownerOf: [0, 0, 1, 1],
    forecast: forecastOf({
      horizonSteps: 24,
      partitionCount: 4,
      spread: 0,
      loadOf: (_, p) => loads[p] as number,
    }),
    nodes: [nodeOf(0, 10), nodeOf(1, 10)],
  });
  const swap: Optimiser = {
    name: 'swap',
    optimise: async () => ({ ownerOf: Int32Array.of(1, 0, 0, 1), iterations: 1 }),
  };
  const components = { random: seededRandom(1n), logger: silentLogger, optimiser: swap };
  const settings = { ...SURE, isCapacityHard: false, boundTolerance: 0 };
  const { refusal } = await new AffinityManager(settings, components).propose(inputs);
  check.is(refusal, 'below-minimum-gain');
});

/** Three nodes, each full in eight hours of its own; partition 2 n is to go to the next node. */
function ringOfThree(lastCapacity = 9.9) {
  const forecast = forecastOf({
    horizonSteps: 24,
    partitionCount: 6,
    spread: 0,
    loadOf: (t, p) => (Math.floor(t / 8) === p >> 1 ? 4.9 : 0.4),
  });
  const nodes = [nodeOf(0, 9.9), nodeOf(1, 9.9), nodeOf(2, lastCapacity)];
  const instance = buildInstance(inputsOf({ ownerOf: [0, 0, 1, 1, 2, 2], forecast, nodes }), SURE);
  return { instance, ownerOf: Int32Array.of(1, 0, 2, 1, 0, 2) };
}

test('three nodes pass on a partition each, and no node is above its capacity in any hour on the way', () => {
  const { instance, ownerOf } = ringOfThree();
  const state = new PlacementState(instance);
  check.equal(
    [0, 2, 4].map((p) => state.refusal(p, ownerOf[p] as number)),
    ['capacity', 'capacity', 'capacity'],
  );
  const { order, left } = orderMoves(instance, ownerOf);
  check.is(left.size, 0);
  const planned = order.map((partition) => ({
    partition,
    source: instance.home[partition] as number,
    target: ownerOf[partition] as number,
  }));
  const { moves, leftOut } = schedule(timetableOf(instance), planned);
  check.equal([leftOut.length, moves.length], [0, 3]);
  for (let t = 0; t < 24; t++) {
    // Within an hour one follows the other.
    for (let done = moves.filter(({ endSlot }) => endSlot < t).length; done <= 3; done++) {
      if (done > 0 && (moves[done - 1]?.startSlot ?? 0) > t) break;
      const now = instance.home.slice();
      for (const { partition, target } of moves.slice(0, done)) now[partition] = target;
      const map = new PlacementState(instance, now);
      for (const n of [0, 1, 2])
        check.ok(map.utilisation(n, 0, t) <= 1, `node ${n} in hour ${t} after ${done} moves`);
    }
  }
});

test('what a node is above its limit until a later move has gone gives no right to overload another', () => {
  const { instance } = ringOfThree(10.1);
  const state = new PlacementState(instance);
  const passing = (state.excessWith(0, 1, []) ?? []).map((cell) => ({ node: 1, cell }));
  check.is(passing.length, 8);
  state.move(0, 1);
  // 10.2 of 10.1 on node 2 for 10.2 of 9.9 on node 1: the lesser overload, if that were one.
  check.is(state.excessWith(2, 2, [])?.length, 0);
  check.is(state.excessWith(2, 2, passing)?.length, 8);
});

test('the last look at a plan sees a node that is too full in one hour, as it is planned or as copies take turns', () => {
  const { instance, ownerOf } = ringOfThree();
  const problem = timetableOf(instance);
  const timed = (hours: readonly number[], seconds = 60): ScheduledMove[] =>
    [0, 2, 4].map((partition, i) => ({
      partition,
      source: instance.home[partition] as number,
      target: ownerOf[partition] as number,
      startSlot: hours[i] as number,
      endSlot: hours[i] as number,
      endShare: (i + 1) / 60,
      seconds,
      bytesPerSecond: 1e8,
      price: { fixed: 0, copy: 0, load: 0, blip: 0 },
      gain: 0,
    }));
  // Partition 0 goes to node 1, which is full from hour 8 to 16, until 2 has left it.
  check.ok(keepsCapacities(problem, timed([0, 0, 0])));
  check.ok(keepsCapacities(problem, timed([0, 7, 7])));
  check.not(keepsCapacities(problem, timed([0, 9, 9])), 'in hours 8 and 9');
  check.not(keepsCapacities(problem, timed([6, 6, 6], 2 * 3600)), 'the second ends in hour 10');
  check.ok(keepsCapacities(problem, timed([0, 9, 9]).slice(0, 0)));
});

test('an exchange is not begun whose map on the way costs more than the start, or whose second move does not pay', () => {
  const { instance, ownerOf } = ringOfThree();
  const state = new PlacementState(instance);
  const costMax = state.cost();
  const open = new Set([0, 2, 4]);
  check.is(findExchange(state, open, { ownerOf, costMax }).length, 3);
  check.is(findExchange(state, open, { ownerOf, costMax: 0 }).length, 0);
  check.is(findExchange(state, new Set([0, 2]), { ownerOf, costMax }).length, 0, 'nobody ends it');
  const dear = { ...instance, movePrice: instance.movePrice.map((own, p) => (p === 0 ? own : 1e3)) };
  check.is(findExchange(new PlacementState(dear), open, { ownerOf, costMax: 1e6 }).length, 0);
  check.equal(state.ownerOf, instance.home, 'the map is as it was');
});

test('of an exchange the first needs nobody before it: what has gone makes no room that is enough', () => {
  // Partition 6 is next to nothing; its going from node 1 does not let 0 come there, which only 2 can.
  const forecast = forecastOf({
    horizonSteps: 24,
    partitionCount: 7,
    spread: 0,
    loadOf: (t, p) => (p === 6 ? 0.001 : Math.floor(t / 8) === p >> 1 ? 4.9 : 0.4),
  });
  const nodes = [0, 1, 2].map((n) => nodeOf(n, 9.9));
  const instance = buildInstance(inputsOf({ ownerOf: [0, 0, 1, 1, 2, 2, 1], forecast, nodes }), SURE);
  const state = new PlacementState(instance);
  state.move(6, 2);
  check.is(state.refusal(0, 1), 'capacity');
  check.ok(state.loadDelta(0, 1) < 0);
  const before = [{ partition: 6, source: 1, target: 2 }];
  check.equal(neededBefore(state, { partition: 0, source: 0, target: 1 }, before), []);
});

test('within an hour the second of an exchange arrives when the first has ended and its own copy is done', () => {
  const { instance, ownerOf } = ringOfThree();
  const problem = timetableOf(instance);
  /** Partition 0, which fills node 1 from hour 8 on, ends in hour 7 when nine tenths are over; 2 leaves node 1 in the same hour. */
  const badWith = (hours: number): number | undefined => {
    const candidates = [0, 2, 4].map((partition, order): Candidate => {
      const seconds = order === 1 ? 3600 * hours : 60;
      const run = {
        startSlot: 7,
        endSlot: 7,
        endShare: order === 0 ? 0.9 : hours,
        seconds,
        bytesPerSecond: 1e8,
        secondsOf: [seconds],
      };
      const source = instance.home[partition] as number;
      const target = ownerOf[partition] as number;
      const price = { fixed: 0, copy: 0, load: 0, blip: 0 };
      return {
        ...{ partition, source, target, relief: 0, order, keptSlot: -1, firstSlot: 0 },
        ...{ run, price, gain: 0, code: null },
      };
    });
    return firstBadPrefix(problem, candidates, true)?.partition;
  };
  check.is(badWith(0.05), undefined);
  check.is(badWith(0.3), 0, 'it would be there at a fifth of hour 8');
});

test('the second copy of an exchange does not run into the hours in which its node is too full', () => {
  // Full by day, full by night; copies take an hour and forty minutes, from nine in the morning to four in the afternoon.
  const loadOf = (t: number, p: number): number => (t < 12 === p < 3 ? 3.3 : 0.033);
  const forecast = forecastOf({ horizonSteps: 24, partitionCount: 6, spread: 0, loadOf });
  const nodes = [nodeOf(0, 9.92), nodeOf(1, 9.92)];
  const built = buildInstance(inputsOf({ ownerOf: [0, 0, 0, 1, 1, 1], forecast, nodes }), SURE);
  const instance = {
    ...built,
    bytes: new Float64Array(6).fill(5.94e11),
    bytesFree: new Float64Array(2).fill(1e15),
  };
  const isOpen = Uint8Array.from({ length: 24 }, (_, t) => (t >= 9 && t < 16 ? 1 : 0));
  const planned = [
    { partition: 2, source: 0, target: 1 },
    { partition: 5, source: 1, target: 0 },
  ];
  const { moves } = schedule(timetableOf(instance, { isOpen, copyUtilisation: 0 }), planned);
  // Before noon there is no time for both.
  check.equal(
    moves.map(({ partition, startSlot, endSlot }) => [partition, startSlot, endSlot]),
    [
      [5, 11, 12],
      [2, 12, 14],
    ],
  );
});

test.run();
