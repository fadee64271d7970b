/** Single rules, each in the smallest instance that shows it; `test/plugin/operator/plan-properties.test.ts` has them all at once. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { lowerBound } from '../../../../src/affinity/bound.ts';
import { PlacementState } from '../../../../src/affinity/cost-model.ts';
import { neededBefore } from '../../../../src/affinity/evidence/move-evidence.ts';
import { buildRuledInstance, type PlacementInputs } from '../../../../src/affinity/instance.ts';
import { copySeconds, movePriceTo } from '../../../../src/affinity/move-price.ts';
import { greedy } from '../../../../src/affinity/optimisers/greedy.ts';
import { orderMoves } from '../../../../src/affinity/order-moves.ts';
import { AffinityManager } from '../../../../src/affinity/planner.ts';
import {
  type AffinitySettings,
  affinityInconsistencies,
  DEFAULT_AFFINITY_SETTINGS,
  type RuleSettings,
} from '../../../../src/affinity/settings.ts';
import { mergeUnits } from '../../../../src/affinity/units.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { dimensionIndex } from '../../../../src/model/load-profile.ts';
import { DEFAULT_SETTINGS } from '../../../../src/settings.ts';
import { inconsistencies } from '../../../../src/settings-claims.ts';
import { forecastOf, inputsOf, nodeOf } from '../../../support/placement.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('affinity/rules');
const SEED = testSeed('affinity/rules');

/** One partition a load, constant over a day; `nodes` of capacity 10. */
function inputsWith(
  loads: readonly number[],
  ownerOf: readonly number[],
  nodeCount: number,
  changes: Partial<PlacementInputs> = {},
): PlacementInputs {
  const queries = dimensionIndex('queries');
  const forecast = forecastOf({
    horizonSteps: 24,
    partitionCount: loads.length,
    loadOf: (_, p, dimension) => (dimension === queries ? (loads[p] as number) : 0),
  });
  return inputsOf({
    ownerOf,
    forecast,
    nodes: Array.from({ length: nodeCount }, (_, n) => nodeOf(n, 10)),
    changes,
  });
}

const settingsWith = (
  rules: Partial<RuleSettings> = {},
  changes: Partial<AffinitySettings> = {},
): AffinitySettings => ({
  ...DEFAULT_AFFINITY_SETTINGS,
  ...changes,
  rules: { ...DEFAULT_AFFINITY_SETTINGS.rules, ...rules },
});

function stateOf(inputs: PlacementInputs, settings: AffinitySettings): PlacementState {
  return new PlacementState(buildRuledInstance(inputs, settings).instance);
}

const propose = (inputs: PlacementInputs, settings: AffinitySettings) =>
  new AffinityManager(settings, {
    random: seededRandom(1n),
    logger: silentLogger,
    optimiser: greedy,
  }).propose(inputs);

test('members of a group never meet on a node, and may come back to where they were', () => {
  const state = stateOf(
    inputsWith([1, 1, 1], [0, 1, 2], 4),
    settingsWith({ apart: [{ partitions: [0, 1] }] }),
  );
  check.is(state.refusal(0, 1), 'apart');
  check.is(state.refusal(0, 2), null, 'the third is no member');
  state.move(1, 3);
  check.is(state.refusal(0, 1), null, 'it has gone');
  state.move(0, 1);
  check.is(state.refusal(1, 1), 'apart', 'its home has been taken');
});

test('a group that begins on one node may stay there, may not grow there, and is moved apart first of all', async () => {
  const rules = settingsWith({ apart: [{ partitions: [0, 1, 2] }] });
  const inputs = inputsWith([1, 1, 1, 1], [0, 0, 1, 2], 4);
  const state = stateOf(inputs, rules);
  check.is(state.refusal(2, 0), 'apart');
  state.move(0, 3);
  check.is(state.refusal(0, 0), null, 'no worse than at the start');
  const { moves } = await propose(inputs, rules);
  check.is(moves.length, 1, 'two equal loads on one of four nodes would not pay for a move');
  check.match(moves[0]?.reason ?? '', /the rules do not want partition [01] on node 0/);
});

test('a breach is mended even where so much is wrong that the rest is as good as the bound', async () => {
  const rules = settingsWith(
    { pinned: [{ partitions: [0, 1] }], forbidden: [{ partitions: [2], nodes: [0] }] },
    { isCapacityHard: false },
  );
  const { moves } = await propose(inputsWith([30, 30, 0.001], [0, 1, 0], 2), rules);
  check.equal(
    moves.map(({ partitionId, targetNodeId }) => [partitionId, targetNodeId]),
    [[2, 1]],
  );
});

test('a group keeps its zones, and wins them where it has too few', async () => {
  const rules = settingsWith({
    nodeZones: ['east', 'west', 'east', 'west'],
    apart: [{ partitions: [0, 1], zonesMin: 2 }],
  });
  const kept = stateOf(inputsWith([1, 1], [0, 1], 4), rules);
  check.is(kept.refusal(0, 3), 'zones-min');
  check.is(kept.refusal(0, 2), null);
  const inputs = inputsWith([1, 1, 1, 1], [0, 2, 1, 3], 4);
  const { targetOwnerOf } = await propose(inputs, rules);
  const zones = [targetOwnerOf[0], targetOwnerOf[1]].map((n) => rules.rules.nodeZones[n as number]);
  check.equal([...new Set(zones)].sort(), ['east', 'west']);
});

test('a node is never brought above its capacity at the upper quantile; one that is above may only fall', () => {
  // Means of 8.5 would fit, the upper bounds of 20 % each do not.
  const state = stateOf(inputsWith([4.5, 4.5, 11, 1], [0, 1, 2, 2], 4), settingsWith());
  check.is(state.refusal(0, 1), 'capacity');
  check.is(state.refusal(0, 3), null);
  check.is(state.refusal(0, 2), 'capacity');
  state.move(3, 3);
  check.is(state.refusal(3, 2), null, 'home again: as high as it was');
  const free = stateOf(inputsWith([4.5, 4.5], [0, 1], 2), settingsWith({}, { isCapacityHard: false }));
  check.is(free.refusal(0, 1), null);
});

test('an overload may be shared with a node that stays below what relieves it, and memory may not', () => {
  // 8 and 7 on one node are 1.5 of its capacity; 7 beside 5 would be 1.2, which is above as well.
  const { instance } = buildRuledInstance(inputsWith([8, 7, 5, 9], [0, 0, 1, 2], 3), settingsWith());
  const state = new PlacementState(instance);
  check.is(state.refusal(1, 1), null);
  check.is(state.refusal(1, 2), 'capacity', '16 are more than 15');
  state.move(1, 1);
  check.is(state.refusal(2, 2), 'capacity', '14 are more than 12');
  const memory = new PlacementState({ ...instance, isTransient: Uint8Array.of(1) });
  check.is(memory.refusal(1, 1), 'capacity');
});

test('an overload may be shared with a larger node, which has more of it then and is less full', () => {
  // 16 of 10; 10 of it beside 20 of 20 are 1.5 of that node, 12 would be 1.6.
  const stateWith = (load: number): PlacementState =>
    stateOf(
      inputsWith([load, 16 - load, 20], [0, 0, 1], 2, { nodes: [nodeOf(0, 10), nodeOf(1, 20)] }),
      settingsWith({}, { commonError: 0, riskZ: 0, capacityZ: 0 }),
    );
  check.is(stateWith(10).refusal(0, 1), null);
  check.is(stateWith(12.1).refusal(0, 1), 'capacity');
});

test('one hour far above capacity weighs more than many that are hardly above', () => {
  // The partition's node has 15 of 10 in the first hour; its coming lifts the other to 10.4 in 23 hours: 5 of overload for 9.2.
  const stateWith = (others: number): PlacementState => {
    const forecast = forecastOf({
      horizonSteps: 24,
      partitionCount: 3,
      spread: 0,
      loadOf: (t, p) => (p === 2 ? (t === 0 ? 1 : others) : p === 0 ? (t === 0 ? 7 : 1) : t === 0 ? 8 : 1),
    });
    const inputs = inputsOf({ ownerOf: [0, 0, 1], forecast, nodes: [nodeOf(0, 10), nodeOf(1, 10)] });
    return stateOf(inputs, settingsWith({}, { commonError: 0, riskZ: 0 }));
  };
  check.is(stateWith(9.4).refusal(0, 1), null, '23 x 0.4 x 0.4 are less than 5 x 5');
  check.is(stateWith(10.2).refusal(0, 1), 'capacity', 'they are 33 at 11.2, and were 0.9');
});

test('an overload may be exchanged for a lesser one at another time, and not for a worse one', () => {
  // Of capacity 10, node 0 has 15 by day and node 1 has 15 by night; each partition keeps a little load at the other time.
  const loadsOf = (byDay: number, byNight: number): PlacementInputs => {
    const isDay = (t: number): boolean => t % 24 < 12;
    const forecast = forecastOf({
      horizonSteps: 24,
      partitionCount: 4,
      spread: 0,
      loadOf: (t, p) => (p < 2 ? (isDay(t) ? 7.5 : byNight) : isDay(t) ? byDay : 7.5),
    });
    return inputsOf({ ownerOf: [0, 0, 1, 1], forecast, nodes: [nodeOf(0, 10), nodeOf(1, 10)] });
  };
  const sure = settingsWith({}, { commonError: 0, riskZ: 0 });
  const state = stateOf(loadsOf(0.5, 0.5), sure);
  check.is(state.refusal(0, 1), null, '15.5 by night for 7.5 by day');
  state.move(0, 1);
  check.is(state.refusal(2, 0), null, 'and back the other way: 8 by day');
  state.move(2, 0);
  check.ok([0, 1].every((n) => state.utilisation(n, 0, 0) < 1 && state.utilisation(n, 0, 12) < 1));
  check.is(stateOf(loadsOf(4, 4), sure).refusal(0, 1), 'capacity', '19 by night are worse than 15 by day');
  const { instance } = buildRuledInstance(loadsOf(0.5, 0.5), sure);
  const memory = new PlacementState({ ...instance, isTransient: Uint8Array.of(1) });
  check.is(memory.refusal(0, 1), 'capacity');
});

test('whatever is moved in whatever order, overload beyond capacity and the start never grows by a move', () => {
  let above = 0;
  const hours = 6;
  // The first five are busy in the first half of the hours, the others in the second: as are, then, the first two nodes.
  const isBusy = (i: number): boolean => i % hours < hours / 2 === i < 5 * hours;
  const loads = fc
    .array(fc.integer({ min: 0, max: 100 }), { minLength: 10 * hours, maxLength: 10 * hours })
    .map((percents) => percents.map((percent, i) => (isBusy(i) ? 1 + percent / 50 : percent / 200)));
  const moves = fc.array(fc.record({ partition: fc.nat(9), target: fc.nat(2) }), { maxLength: 30 });
  const sure = settingsWith({}, { commonError: 0, riskZ: 0 });
  fc.assert(
    fc.property(loads, moves, (load, suggested) => {
      const forecast = forecastOf({
        horizonSteps: hours,
        partitionCount: 10,
        spread: 0,
        loadOf: (t, p) => load[p * hours + t] as number,
      });
      const ownerOf = [0, 0, 0, 0, 2, 1, 1, 1, 1, 2];
      const capacities = [5, 6, 8];
      const state = stateOf(
        inputsOf({ ownerOf, forecast, nodes: capacities.map((capacity, n) => nodeOf(n, capacity)) }),
        sure,
      );
      const loadOn = (n: number, t: number): number =>
        load.reduce(
          (sum, own, i) => sum + (ownerOf[Math.floor(i / hours)] === n && i % hours === t ? own : 0),
          0,
        );
      const all = Array.from({ length: 3 * hours }, (_, i) => [Math.floor(i / hours), i % hours] as const);
      const start = all.map(([n, t]) => loadOn(n, t));
      const overload = (pair: readonly number[]): number =>
        all.reduce((sum, [n, t]) => {
          const excess = pair.includes(n) ? Math.max(0, loadOn(n, t) - (capacities[n] as number)) : 0;
          return sum + excess ** 2 / (capacities[n] as number);
        }, 0);
      for (const { partition, target } of suggested) {
        const source = ownerOf[partition] as number;
        if (source === target || !state.canMove(partition, target)) continue;
        const pair = [source, target];
        const before = overload(pair);
        const share = (n: number, t: number): number => loadOn(n, t) / (capacities[n] as number);
        const giver = all.map(([, t]) => share(source, t));
        state.move(partition, target);
        ownerOf[partition] = target;
        const worse = all.filter(
          ([n, t], i) =>
            n === target &&
            loadOn(n, t) > Math.max(capacities[n] as number, start[i] as number) * (1 + 1e-6) &&
            share(n, t) >= (giver[i] as number) * (1 + 1e-6),
        );
        if (worse.length === 0) continue;
        above++;
        check.ok(overload(pair) < before, `${before} to ${overload(pair)}`);
      }
    }),
    { numRuns: 300, seed: Number(SEED % 2n ** 31n) },
  );
  check.ok(above > 20, `${above} moves brought a node above where it may be otherwise`);
});

test('two nodes that are full at different times of the week exchange partitions by the planner alone', async () => {
  // Four nodes of capacity 10: the first two carry 4 x 3.2 on weekdays from 8 to 18, the others as much at weekends.
  const forecast = forecastOf({
    horizonSteps: 168,
    partitionCount: 16,
    spread: 0.1,
    loadOf: (t, p) => {
      const isDay = t % 24 >= 8 && t % 24 < 18;
      const isWeekend = Math.floor(t / 24) % 7 >= 5;
      return (isDay && isWeekend === p >= 8 ? 3.2 : 0.32) * (1 + 0.05 * Math.sin(t + p));
    },
  });
  const inputs = inputsOf({
    ownerOf: Array.from({ length: 16 }, (_, p) => p >> 2),
    forecast,
    nodes: Array.from({ length: 4 }, (_, n) => nodeOf(n, 10)),
  });
  const { moves, costBefore, costAfter, targetOwnerOf } = await propose(inputs, settingsWith());
  check.ok(costAfter < costBefore / 20, `${costBefore} to ${costAfter}`);
  check.is(moves.length, 8);
  for (let n = 0; n < 4; n++)
    check.is(targetOwnerOf.subarray(0, 8).filter((owner) => owner === n).length, 2, 'of both kinds two');
});

test('what may share only what another move brings is not approved without that one', () => {
  // 15 of 10 on node 0. With 5 of it node 1 is at 11; only then may node 2 go to 10.5 to relieve it.
  const { instance } = buildRuledInstance(
    inputsWith([5, 10, 4.5, 1.5, 6], [0, 0, 1, 1, 2], 3),
    settingsWith(),
  );
  const state = new PlacementState(instance);
  check.is(state.refusal(2, 2), 'capacity');
  const brings = { partition: 0, source: 0, target: 1 };
  state.move(0, 1);
  check.is(state.refusal(2, 2), null);
  check.equal(neededBefore(state, { partition: 2, source: 1, target: 2 }, [brings]), [0]);
  check.equal(state.ownerOf[0], 1, 'it is put back');
  check.equal(neededBefore(state, { partition: 3, source: 1, target: 2 }, [brings]), [], '7.5 fit anyway');
});

test('what its group lets go only as another member comes to a second zone is not approved without that one', () => {
  // 0 and 1 are to be in two zones: n0 and n2 are in one, n1 and n3 in the other.
  const settings = settingsWith({
    nodeZones: ['a', 'b', 'a', 'b'],
    apart: [{ partitions: [0, 1], zonesMin: 2 }],
  });
  const state = stateOf(inputsWith([3, 3, 3], [0, 1, 0], 4), settings);
  check.is(state.refusal(1, 2), 'zones-min');
  const brings = { partition: 0, source: 0, target: 3 };
  const other = { partition: 2, source: 0, target: 3 };
  state.move(0, 3);
  state.move(2, 3);
  check.equal(neededBefore(state, { partition: 1, source: 1, target: 2 }, [brings, other]), [0]);
  check.equal([...state.ownerOf], [3, 1, 3], 'they are put back');
});

test('what leaves frees no memory until the plan is done', () => {
  const inputs = inputsWith([6, 6, 1], [0, 1, 1], 3);
  const { instance } = buildRuledInstance(inputs, settingsWith());
  const state = new PlacementState({ ...instance, isTransient: Uint8Array.of(1) });
  state.move(1, 2);
  check.is(state.refusal(0, 1), 'capacity', 'the copy that leaves is there still');
  check.is(state.refusal(1, 1), null);
  const plain = new PlacementState(instance);
  plain.move(1, 2);
  check.is(plain.refusal(0, 1), null);
});

test('budgets of moves, bytes and nodes end a plan', () => {
  const inputs = inputsWith([1, 1, 1, 1], [0, 0, 0, 1], 3);
  const refusalAfter = (changes: Partial<AffinitySettings>): (string | null)[] => {
    const state = stateOf(inputs, settingsWith({}, changes));
    state.move(0, 1);
    return [
      state.refusal(1, 1),
      state.refusal(1, 2),
      state.refusal(3, 2),
      state.refusal(0, 2),
      state.refusal(0, 0),
    ];
  };
  check.equal(refusalAfter({ movesMax: 1 }), ['budget-moves', 'budget-moves', 'budget-moves', null, null]);
  check.equal(refusalAfter({ bytesMovedMax: 1.5e6 }), [
    'budget-bytes',
    'budget-bytes',
    'budget-bytes',
    null,
    null,
  ]);
  check.equal(refusalAfter({ nodeMovesMax: 1 }), ['node-moves', 'node-moves', 'node-moves', null, null]);
});

test('a copy has the bandwidth of its slower end, and never ends where it is slower than the writes', () => {
  const inputs = inputsWith([1, 1], [0, 1], 3, {
    nodes: [1e8, 4e7, 1e9].map((bandwidthBytesPerSecond, n) => nodeOf(n, 10, { bandwidthBytesPerSecond })),
    partitionBytes: Float64Array.of(3e9, 3e9),
  });
  const { instance } = buildRuledInstance(inputs, settingsWith());
  check.is(copySeconds(instance, 0, 0, 1), 75);
  check.is(copySeconds(instance, 0, 0, 2), 30);
  const written = { ...instance, dirtyRate: Float64Array.of(2e7, 6e7) };
  check.is(copySeconds(written, 0, 0, 1), 150);
  const state = new PlacementState(written);
  check.is(state.refusal(0, 1), null);
  check.is(state.refusal(1, 0), 'dirty-rate');
  check.ok(movePriceTo(instance, 0, 1) > movePriceTo(instance, 0, 2), 'slower is dearer');
  check.ok(
    Math.abs(movePriceTo(instance, 0, 2) - (instance.movePrice[0] as number)) < 1e-12,
    'a search that knows one price a partition has the least one',
  );
});

test('copying is dearer out of a hot node than out of a cool one, and more so the more of it it takes', () => {
  const inputs = inputsWith([8, 1, 1], [0, 1, 2], 3, { partitionBytes: new Float64Array(3).fill(1e11) });
  const priceOf = (copyUtilisation: number, p: number, n: number): number =>
    movePriceTo(
      buildRuledInstance(inputs, settingsWith({}, { copyUtilisation, moveBlipIndexHours: 0 })).instance,
      p,
      n,
    );
  check.ok(priceOf(0.05, 1, 0) > priceOf(0.05, 1, 2));
  check.ok(priceOf(0.1, 1, 0) > priceOf(0.05, 1, 0));
  check.is(priceOf(0, 1, 0), priceOf(0, 1, 2));
});

test('co-located partitions move as one, a scattered set is gathered where most of it is', async () => {
  const rules = settingsWith({ together: [{ partitions: [0, 1] }, { partitions: [1, 2] }] });
  const hot = await propose(inputsWith([2, 2, 2, 3, 1], [0, 0, 0, 0, 1], 2), rules);
  const owners = [...hot.targetOwnerOf];
  check.ok(hot.moves.length > 0);
  check.is(owners[0], owners[1]);
  check.is(owners[1], owners[2]);
  const scattered = inputsWith([1, 1, 1, 1], [0, 1, 1, 0], 3);
  const gathered = await propose(scattered, rules);
  check.equal([...gathered.targetOwnerOf].slice(0, 3), [1, 1, 1]);
});

test('a scattered set is gathered where there is room, not on a node that is down or would be too full', async () => {
  const rules = settingsWith({ together: [{ partitions: [0, 1] }] });
  const gatheredOn = async (inputs: PlacementInputs): Promise<number[]> =>
    [...(await propose(inputs, rules)).targetOwnerOf].slice(0, 2);
  const partitionBytes = Float64Array.of(9e6, 1e6, 1e6);
  const down = inputsWith([1, 1, 1], [0, 1, 2], 3, {
    partitionBytes,
    nodes: [0, 1, 2].map((n) => ({ ...nodeOf(n, 10), isAlive: n !== 0 })),
  });
  check.equal(await gatheredOn(down), [1, 1]);
  const hot = inputsWith([4, 4, 5], [0, 1, 0], 2, { partitionBytes });
  check.equal(await gatheredOn(hot), [1, 1]);
  const small = inputsWith([2, 2], [0, 1], 3, {
    partitionBytes: Float64Array.of(9e6, 1e6),
    nodes: [3, 3, 10].map((capacity, n) => nodeOf(n, capacity)),
  });
  check.equal(await gatheredOn(small), [2, 2]);
});

test('of two that are to be apart the one that can leave does, and the plan no longer pays for the breach', async () => {
  const inputs = inputsWith([1, 1, 2], [0, 0, 1], 2, { partitionBytes: Float64Array.of(2e6, 1e6, 1e6) });
  const apart = [{ partitions: [0, 1] }];
  for (const bound of [{ pinned: [{ partitions: [1] }] }, { forbidden: [{ partitions: [1], nodes: [1] }] }]) {
    const proposal = await propose(inputs, settingsWith({ apart, ...bound }));
    check.equal([...proposal.targetOwnerOf], [1, 0, 1]);
    check.ok(proposal.costAfter < proposal.costBefore - 0.5);
  }
});

test('a group pays for its breach, not a member: whoever leaves, it is mended, and the bound knows', () => {
  const inputs = inputsWith([1, 1, 2], [0, 0, 1], 3, { partitionBytes: Float64Array.of(2e6, 1e6, 1e6) });
  const { instance } = buildRuledInstance(inputs, settingsWith({ apart: [{ partitions: [0, 1] }] }));
  const unruled = { ...instance, breachPrice: 0 };
  const charged = (ownerOf: readonly number[]): number =>
    new PlacementState(instance, Int32Array.from(ownerOf)).cost() -
    new PlacementState(unruled, Int32Array.from(ownerOf)).cost();
  const isNear = (value: number, expected: number): void =>
    check.ok(Math.abs(value - expected) < 1e-9, `${value} is ${expected}`);
  isNear(charged([0, 0, 1]), instance.breachPrice);
  isNear(charged([2, 0, 1]), 0);
  isNear(charged([0, 2, 1]), 0);
  isNear(charged([2, 2, 1]), instance.breachPrice);
  for (const ownerOf of [Int32Array.of(2, 0, 1), Int32Array.of(0, 2, 1)])
    check.ok(lowerBound(instance, ownerOf) <= new PlacementState(instance, ownerOf).cost() + 1e-9);
});

test('a group in too few zones pays for each that it lacks', () => {
  const inputs = inputsWith([1, 1, 1], [0, 1, 2], 4);
  const settings = settingsWith({
    nodeZones: ['x', 'x', 'x', 'y'],
    apart: [{ partitions: [0, 1, 2], zonesMin: 2 }],
  });
  const { instance } = buildRuledInstance(inputs, settings);
  const state = new PlacementState(instance);
  for (const p of [0, 1, 2]) {
    check.ok(Math.abs(state.penaltyRelief(p, 3) - instance.breachPrice) < 1e-9, `partition ${p} mends it`);
    check.ok(new PlacementState(instance).penaltyRelief(p, (p + 1) % 3) < 0, 'two on one node');
  }
});

test('units carry what their members carry', () => {
  const { instance, units } = buildRuledInstance(
    inputsWith([1, 2, 3, 4], [0, 0, 1, 1], 2),
    settingsWith({ together: [{ partitions: [2, 3] }], apart: [{ partitions: [1, 3] }] }),
  );
  const merged = mergeUnits(instance, units);
  check.equal(merged.membersOf, [[2, 3], [0], [1]]);
  check.equal([...merged.instance.home], [1, 0, 0]);
  check.is(merged.instance.bytes[0], 2e6);
  check.equal([...merged.instance.memberCount], [2, 1, 1]);
  check.is(merged.instance.groupOf[0], merged.instance.groupOf[2]);
  const cost = (ownerOf: number[]): number =>
    new PlacementState(merged.instance, Int32Array.from(ownerOf)).cost();
  const split = merged.split(Int32Array.of(0, 0, 1));
  check.equal([...split], [0, 1, 0, 0]);
  check.ok(Math.abs(cost([0, 0, 1]) - new PlacementState(instance, split).cost()) < 1e-12);
});

test('a set that is together goes where it has to, and one of its members that may not move keeps it', async () => {
  const nodes = [nodeOf(0, 10), nodeOf(1, 30)];
  const loads = inputsWith([4.6, 4.6, 0.4], [0, 0, 0], 2, { restingPartitions: new Set([2]), nodes });
  const together = settingsWith({ together: [{ partitions: [0, 1] }] });
  const { moves, costAfter, lowerBound } = await propose(loads, together);
  check.equal(
    moves.map(({ partitionId, targetNodeId }) => [partitionId, targetNodeId]),
    [
      [0, 1],
      [1, 1],
    ],
  );
  check.ok(lowerBound <= costAfter);
  const held = await propose({ ...loads, restingPartitions: new Set([1, 2]) }, together);
  check.equal(held.moves, []);
  check.ok(held.lowerBound <= held.costAfter);
});

test('two partitions that could only change places at one instant stay, and it is said why', () => {
  const { instance } = buildRuledInstance(inputsWith([6, 7], [0, 1], 2), settingsWith());
  const { order, left, state } = orderMoves(instance, Int32Array.of(1, 0));
  check.equal(order, []);
  check.equal([...left.values()], ['capacity', 'capacity']);
  check.equal([...state.ownerOf], [0, 1]);
  const soft = orderMoves({ ...instance, capacityZ: null }, Int32Array.of(1, 0));
  check.equal([...soft.left.values()], ['worse', 'worse']);
});

test('an order is found in which what stands in the way leaves first', () => {
  const { instance } = buildRuledInstance(inputsWith([6, 6], [0, 1], 3), settingsWith());
  const free = { ...instance, movePrice: new Float64Array(2), leastCopyPrice: new Float64Array(2) };
  const { order, left } = orderMoves(free, Int32Array.of(1, 2));
  check.equal(order, [1, 0]);
  check.is(left.size, 0);
});

test('rules of a config file are checked with it: form, names, contradictions', () => {
  const withRules = (rules: Record<string, unknown>) => ({
    ...DEFAULT_SETTINGS,
    affinity: settingsWith(rules as Partial<RuleSettings>),
  });
  const cases: readonly [Record<string, unknown>, string, RegExp][] = [
    [{ pinned: [{ partition: 3 }] }, 'affinity.rules.pinned', /partitions, node/],
    [{ forbidden: [{ partitions: [1] }] }, 'affinity.rules.forbidden', /partitions, nodes/],
    [{ apart: [{ partitions: [1, 2], zonesMin: 0 }] }, 'affinity.rules.apart', /zonesMin/],
    [{ together: [{ partitions: ['a'] }] }, 'affinity.rules.together', /ids/],
    [{ pinned: [{ partitions: [99_999] }] }, 'affinity.rules', /partition 99999/],
    [{ zones: [{ partitions: [1], zones: ['moon'] }] }, 'affinity.rules', /zone "moon"/],
    [
      { pinned: [{ partitions: [1], node: 0 }], forbidden: [{ partitions: [1], nodes: [0] }] },
      'affinity.rules',
      /rules\.pinned\[0\].*rules\.forbidden\[0\]/,
    ],
  ];
  for (const [rules, path, message] of cases) {
    const found = inconsistencies(withRules(rules));
    check.equal(
      found.map((one) => one.path),
      [path],
    );
    check.match(found[0]?.expected ?? '', message);
  }
  check.equal(
    inconsistencies(withRules({ pinned: [{ partitions: [1] }], apart: [{ partitions: [1, 2] }] })),
    [],
  );
  check.is(
    affinityInconsistencies(settingsWith({}, { isCapacityHard: 1 as never }))[0]?.path,
    'isCapacityHard',
  );
});

test('a contradiction that only the present map makes is refused when it is planned', async () => {
  const rules = settingsWith({ apart: [{ partitions: [0, 1] }], pinned: [{ partitions: [0, 1] }] });
  try {
    await propose(inputsWith([1, 1], [0, 0], 2), rules);
    check.unreachable();
  } catch (error) {
    check.instance(error, ForeshardError);
    check.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
    check.match((error as Error).message, /rules\.pinned\[0\].*rules\.apart\[0\]/);
  }
});

test.run();
