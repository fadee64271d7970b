import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../../src/affinity/cost-model.ts';
import { buildInstance, type PlacementInstance } from '../../../../src/affinity/instance.ts';
import { descend } from '../../../../src/affinity/optimisers/greedy.ts';
import { phi } from '../../../../src/affinity/phi.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../../src/affinity/settings.ts';
import { type PlannedMove, priceSum, type Timetable } from '../../../../src/affinity/timetable/problem.ts';
import { schedule } from '../../../../src/affinity/timetable/schedule.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { forecastOf, inputsOf, nodeOf, randomInputs } from '../../../support/placement.ts';
import { testSeed } from '../../../support/seed.ts';
import { timetableOf } from '../../../support/timetable.ts';

const test = suite('affinity/timetable');
const SEED = testSeed('affinity/timetable');

/** Two nodes of 10; partitions 0 and 1 on node 0 by `loadOf(slot, partition)`, and no more. */
function twoNodes(
  slotCount: number,
  loadOf: (t: number, p: number) => number,
  partitionCount = 2,
): PlacementInstance {
  const forecast = forecastOf({ horizonSteps: slotCount, partitionCount, spread: 0, loadOf });
  const inputs = inputsOf({
    ownerOf: new Int32Array(partitionCount),
    nodes: [nodeOf(0, 10), nodeOf(1, 10)],
    forecast,
  });
  return buildInstance(inputs, DEFAULT_AFFINITY_SETTINGS);
}

const move = (partition: number, source = 0, target = 1): PlannedMove => ({ partition, source, target });
const startsOf = ({ moves }: Timetable): Record<number, number> =>
  Object.fromEntries(moves.map(({ partition, startSlot }) => [partition, startSlot]));

/** The plain twin of Timeline: each slot judged on its own, with the share of it that each partition spends on each node. */
function costOverTime(instance: PlacementInstance, { moves }: Pick<Timetable, 'moves'>): number {
  const { nodeCount, partitionCount, slotCount, slotStride, resourceCount, depth } = instance;
  const shareOn = (p: number, n: number, t: number): number => {
    const own = moves.find(({ partition }) => partition === p);
    const left = own === undefined ? 0 : t > own.endSlot ? 1 : t < own.endSlot ? 0 : 1 - own.endShare;
    return (n === instance.home[p] ? 1 - left : 0) + (n === own?.target ? left : 0);
  };
  let cost = 0;
  for (let t = 0; t < slotCount; t++)
    for (let n = 0; n < nodeCount; n++)
      for (let r = 0; r < resourceCount; r++) {
        const d = r * slotStride + t;
        let load = instance.background[n * depth + d];
        let variance = 0;
        for (let p = 0; p < partitionCount; p++) {
          load += shareOn(p, n, t) * instance.load[p * depth + d];
          variance += shareOn(p, n, t) * instance.variance[p * depth + d];
        }
        const spread = Math.sqrt(variance + (instance.commonError * load) ** 2);
        const rho = (load + instance.riskZ * spread) / instance.capacity[n * resourceCount + r];
        const overload = instance.overloadFactor[r] * Math.max(0, rho - instance.safeUtilisation);
        cost += instance.slotWeight[d] * (load * phi(rho) + overload);
      }
  return cost;
}

/** A random problem with the moves that a descent finds. */
function randomProblem(seed: bigint, slotCount: number) {
  const inputs = randomInputs(seededRandom(seed), {
    partitionCount: 32,
    nodeCount: 5,
    horizonSteps: slotCount,
  });
  const instance = buildInstance(inputs, DEFAULT_AFFINITY_SETTINGS);
  const { ownerOf } = descend(instance, instance.home);
  const moves = [...ownerOf.keys()]
    .filter((p) => ownerOf[p] !== instance.home[p])
    .map((p) => move(p, instance.home[p], ownerOf[p]));
  return { instance, moves };
}

test('a move waits for the quiet hour before the load that it relieves', () => {
  // Both are busy in the day, asleep in slots 4 to 7; from slot 12 on their node is beyond its capacity.
  const instance = twoNodes(24, (t) => (t >= 4 && t < 8 ? 0.05 : t < 12 ? 0.9 : 5.5));
  const found = schedule(timetableOf(instance, { price: { fixed: 1e-4, perSecond: 0, blip: 1 } }), [move(1)]);
  check.equal(found.leftOut, []);
  const start = startsOf(found)[1];
  check.ok(start >= 4 && start < 8, `starts in slot ${start}`);
});

test('what is overloaded now does not wait for a quiet hour', () => {
  const instance = twoNodes(24, (t) => (t >= 4 && t < 8 ? 0.05 : 5.5));
  check.is(startsOf(schedule(timetableOf(instance), [move(1)]))[1], 0);
});

test('the start found for one move is the best of all slots', () => {
  for (let seed = SEED; seed < SEED + 5n; seed++) {
    const { instance, moves } = randomProblem(seed, 12);
    const problem = timetableOf(instance);
    const [first] = moves;
    check.ok(first !== undefined, `seed ${seed}: a descent found a move`);
    const best = schedule(problem, [first]);
    for (let slot = 0; slot < 11; slot++) {
      const isOpen = new Uint8Array(12);
      isOpen[slot] = 1;
      const there = schedule({ ...problem, isOpen }, [first]);
      if (there.moves.length === 1)
        check.ok(
          best.cost <= there.cost + 1e-9,
          `seed ${seed}: ${best.cost} > ${there.cost} in slot ${slot}`,
        );
    }
  }
});

test('its cost is that of each slot judged on its own, and prices', () => {
  for (let seed = SEED; seed < SEED + 5n; seed++) {
    const { instance, moves } = randomProblem(seed, 24);
    const found = schedule(timetableOf(instance), moves);
    check.ok(found.moves.length > 1, `seed ${seed}: ${found.moves.length} moves`);
    const prices = found.moves.reduce((sum, { price }) => sum + priceSum(price), 0);
    const expected = costOverTime(instance, found) + prices;
    check.ok(Math.abs(found.cost - expected) < 1e-9, `seed ${seed}: ${found.cost}, expected ${expected}`);
    for (const { partition } of found.moves) {
      const without = found.moves.filter((other) => other.partition !== partition);
      const gain = costOverTime(instance, { moves: without }) - costOverTime(instance, found);
      const own = found.moves.find((other) => other.partition === partition)?.gain as number;
      check.ok(
        Math.abs(gain - own) < 1e-9,
        `seed ${seed}: partition ${partition} gains ${own}, expected ${gain}`,
      );
    }
  }
});

test('no prefix in order of time leaves a map worse than the present one', () => {
  for (let seed = SEED; seed < SEED + 12n; seed++) {
    const { instance, moves } = randomProblem(seed, 24);
    // The order is turned round, so that it is the timetable's to see to it.
    const found = schedule(timetableOf(instance), [...moves].reverse());
    const state = new PlacementState(instance);
    const stay = state.loadCost();
    let slot = 0;
    for (const { partition, target, startSlot } of found.moves) {
      check.ok(startSlot >= slot, 'in order of time');
      slot = startSlot;
      state.move(partition, target);
      check.ok(state.loadCost() <= stay + 1e-9, `seed ${seed}: worse after partition ${partition}`);
    }
  }
});

test('one copy at a time out of a node: what does not fit an hour goes to the next', () => {
  const instance = twoNodes(12, () => 2.4, 4);
  // Forty minutes each.
  const bytes = new Float64Array(4).fill(2340e8);
  const found = schedule(timetableOf({ ...instance, bytes, bytesFree: new Float64Array(2).fill(1e15) }), [
    move(1),
    move(2),
  ]);
  check.is(found.moves.length, 2);
  const [first, second] = found.moves;
  check.is(first.startSlot, 0);
  check.is(first.endSlot, 0);
  check.is(second.endSlot, 1, 'twenty minutes in this hour, twenty in the next');
  check.ok(Math.abs(second.seconds - 2400) < 1);
});

test('moves without time, place, speed, room or worth are left out, each with its code', () => {
  const instance = twoNodes(8, () => 4.5);
  const codeOf = (changes: Parameters<typeof timetableOf>[1]): string | undefined => {
    const { moves, leftOut } = schedule(timetableOf(changes?.instance ?? instance, changes), [move(1)]);
    check.is(moves.length + leftOut.length, 1);
    return leftOut[0]?.code;
  };
  check.is(codeOf({}), undefined);
  check.is(codeOf({ isOpen: new Uint8Array(8) }), 'no-window');
  check.is(codeOf({ dirtyRate: new Float64Array(16).fill(2e8) }), 'dirty-rate');
  check.is(codeOf({ fixedSeconds: 9 * 3600 }), 'horizon');
  check.is(codeOf({ copiesMax: 0 }), 'no-place');
  check.is(codeOf({ instance: { ...instance, bytesFree: Float64Array.of(1e9, 10) } }), 'no-space');
  check.is(codeOf({ price: { fixed: 1e3, perSecond: 0, blip: 0 } }), 'gain-too-late');
});

test('a start of the last plan is kept unless another is clearly better', () => {
  const instance = twoNodes(24, (t) => (t >= 4 && t < 8 ? 0.05 : t < 12 ? 0.06 : 5.5));
  const problem = timetableOf(instance);
  const kept = (slot: number, startKeepShare: number): number =>
    startsOf(schedule(problem, [move(1)], { keptSlots: Int32Array.of(slot), startKeepShare }))[1];
  const best = kept(-1, 0.5);
  check.ok(best < 12);
  const other = best === 10 ? 9 : 10;
  check.is(kept(other, 0.5), other, 'nearly as good');
  check.is(kept(other, 0), best);
  check.is(kept(20, 0.5), best, 'after the overload has come');
});

test('a node that is down is left at once, whatever the hour costs', () => {
  const forecast = forecastOf({ horizonSteps: 24, partitionCount: 2, loadOf: (t) => (t < 6 ? 4 : 0.5) });
  const nodes = [nodeOf(0, 10, { isAlive: false }), nodeOf(1, 20)];
  const instance = buildInstance(inputsOf({ ownerOf: [0, 0], nodes, forecast }), DEFAULT_AFFINITY_SETTINGS);
  check.equal(startsOf(schedule(timetableOf(instance), [move(0), move(1)])), { 0: 0, 1: 0 });
});

test.run();
