/** What holds for every instance: checked by an oracle of its own, on random files with random rules. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { PlanInstanceFile } from '../../../plugin/operator/plan/instance-schema.ts';
import { makeInstance, type NamedInstance } from '../../../plugin/operator/plan/make-instance.ts';
import { planResult } from '../../../plugin/operator/plan/plan-result.ts';
import { planNamed } from '../../../plugin/operator/plan/plan-search.ts';
import { schedulePlan } from '../../../plugin/operator/plan/time-plan.ts';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import type { Optimiser } from '../../../src/affinity/optimisers/optimiser.ts';
import { planInstance } from '../../../src/affinity/plan-instance.ts';
import { DEFAULT_AFFINITY_SETTINGS, type OptimizerName } from '../../../src/affinity/settings.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { breaches, type OracleFile, objective, ownersAlong, startOwners } from '../../oracles/placement.ts';
import { barelyFullFile, fullAtTimesFiles, instanceFiles } from '../../support/plan-instances.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('foreshard plan, on random instances');
const SEED = testSeed('operator/plan-properties');
const SETTINGS = { ...DEFAULT_AFFINITY_SETTINGS, iterations: 2_000 };
const ONCE_OVER = [55n, 137n, 875n, 1432n, 2486n, 3447n, 3542n, 3765n];
const RUNS = { numRuns: 70, seed: Number(SEED % 2n ** 31n) };

/** Null where the rules contradict each other. */
function named(file: OracleFile): NamedInstance | null {
  try {
    return makeInstance('random.json', file as unknown as PlanInstanceFile, SETTINGS);
  } catch (error) {
    if (error instanceof ForeshardError && error.code === 'FORESHARD_CONFIG') return null;
    throw error;
  }
}

async function plan(instance: NamedInstance, optimizer: OptimizerName, seed = 1) {
  return planResult(instance, await planNamed(instance, { seed }, { ...SETTINGS, optimizer }), SETTINGS);
}

test('every plan keeps every rule at every step, and is no worse than staying or than the greedy plan', async () => {
  let feasible = 0;
  let moves = 0;
  await fc.assert(
    fc.asyncProperty(instanceFiles, async (file) => {
      const instance = named(file);
      if (instance === null) return;
      feasible++;
      const greedy = await plan(instance, 'greedy');
      for (const optimizer of ['anneal', 'naive-hill-climb'] as const) {
        const result = await plan(instance, optimizer);
        moves += result.moves.length;
        check.equal(breaches(file, result.moves, SETTINGS), [], optimizer);
        check.ok(result.costAfter <= result.costBefore, 'staying');
        check.ok(result.costAfter <= greedy.costAfter, 'greedy');
        for (const { unit, costThen, partition } of result.moves) {
          const earned = SETTINGS.benefitCostRatio * unit.cost;
          check.ok(unit.gain >= earned - 1e-9 * (1 + result.costBefore), `${partition} pays with its unit`);
          check.is(unit.partitions[0], partition);
          check.ok(costThen <= result.costBefore * (1 + 1e-9), 'no prefix is worse than the start');
        }
        check.ok(
          result.lowerBound <= result.costAfter * (1 + 1e-9),
          `${result.lowerBound} <= ${result.costAfter}`,
        );
        check.is(result.moves.length === 0, result.refusal !== null, 'an empty plan says why');
      }
    }),
    RUNS,
  );
  check.ok(feasible > RUNS.numRuns / 2, `${feasible} instances had rules that can hold`);
  check.ok(moves > RUNS.numRuns, `${moves} moves were looked at`);
});

test('nodes that are full at different hours exchange partitions, and none is above its capacity in any hour on the way', async () => {
  let exchanges = 0;
  await fc.assert(
    fc.asyncProperty(fullAtTimesFiles, async (file) => {
      const instance = named(file) as NamedInstance;
      const result = await plan(instance, 'anneal');
      check.equal(breaches(file, result.moves, SETTINGS), []);
      check.ok(result.costAfter <= (await plan(instance, 'greedy')).costAfter, 'greedy');
      for (const { costThen } of result.moves)
        check.ok(costThen <= result.costBefore * (1 + 1e-9), 'no prefix is worse than the start');
      const stoppedAfter = (last: number) =>
        result.moves.map((move, i) => ({ ...move, startSlot: i <= last ? 0 : 100 }));
      const isFull = (_: unknown, i: number): boolean => breaches(file, stoppedAfter(i), SETTINGS).length > 0;
      if (result.moves.some(isFull)) exchanges++;
    }),
    RUNS,
  );
  check.ok(exchanges > RUNS.numRuns / 4, `${exchanges} plans keep capacities at their hours alone`);
});

test('where every node is below its capacity in every slot, every node is so on the map that a plan leads to', async () => {
  const settings = { ...SETTINGS, commonError: 0, riskZ: 0, optimizer: 'anneal' as const };
  let moves = 0;
  const overAt = (file: OracleFile, ownerOf: ReadonlyMap<string, string>): string[] =>
    file.nodes.flatMap(({ id, capacity }) => {
      const held = file.partitions.filter((partition) => ownerOf.get(partition.id) === id);
      const loads = held[0]?.load.cpu?.map((_, t) =>
        held.reduce((sum, { load }) => sum + (load.cpu?.[t] ?? 0), 0),
      );
      return Math.max(0, ...(loads ?? [])) > (capacity.cpu as number) + 1e-9 ? [id] : [];
    });
  // Those of which a plan once was above a capacity at its end, and others.
  for (const seed of [...ONCE_OVER, ...Array.from({ length: 60 }, (_, i) => SEED + BigInt(i))]) {
    const file = barelyFullFile(seed);
    check.equal(overAt(file, startOwners(file)), [], 'at the start');
    const instance = makeInstance('full.json', file as unknown as PlanInstanceFile, settings);
    const result = planResult(instance, await planNamed(instance, { seed: 1 }, settings), settings);
    check.equal(overAt(file, ownersAlong(file, result.moves).at(-1) as Map<string, string>), [], `${seed}`);
    moves += result.moves.length;
  }
  check.ok(moves > 60, `${moves} moves were looked at`);
});

test('a node that is to be emptied keeps only what no rule lets go, however full the others get', async () => {
  let left = 0;
  let gone = 0;
  await fc.assert(
    fc.asyncProperty(instanceFiles, fc.nat(), async (file, draw) => {
      const draining = draw % file.nodes.length;
      const nodes = file.nodes.map((node, n) => ({ ...node, isDraining: n === draining }));
      const instance = named({ ...file, nodes });
      if (instance === null) return;
      const result = await plan(instance, draw % 2 === 0 ? 'anneal' : 'greedy');
      const late = result.leftOut.map(({ partition }) => partition);
      const partitions = result.notDrained.flatMap(({ partitions: own }) => own);
      check.equal(
        partitions.filter(({ id, refusal }) => refusal === 'not-in-plan' && !late.includes(id)),
        [],
      );
      left += partitions.length;
      gone += result.moves.filter(({ source }) => source === `n${draining}`).length;
    }),
    { ...RUNS, numRuns: 150 },
  );
  check.ok(left > 20 && gone > 20, `${left} stay, ${gone} went`);
});

test('whatever an optimiser suggests, what comes out keeps the rules and is no worse than staying', async () => {
  const wild: Optimiser = {
    name: 'wild',
    optimise: ({ partitionCount, nodeCount }, _, { random }) =>
      Promise.resolve({
        ownerOf: Int32Array.from({ length: partitionCount }, () => random.nextBelow(nodeCount)),
        iterations: 1,
      }),
  };
  await fc.assert(
    fc.asyncProperty(instanceFiles, async (file) => {
      const instance = named(file);
      if (instance === null) return;
      const made = await planInstance(instance.instance, {
        optimiser: wild,
        context: { random: seededRandom(1n) },
        benefitCostRatio: 1,
        boundTolerance: 0,
        units: instance.units,
      });
      const result = planResult(instance, schedulePlan(instance, made, SETTINGS), SETTINGS);
      check.equal(breaches(file, result.moves, SETTINGS), []);
      check.ok(result.costAfter <= result.costBefore);
      for (const { unit, partition } of result.moves)
        check.ok(unit.gain >= unit.cost - 1e-9 * (1 + result.costBefore), `${partition} pays with its unit`);
    }),
    RUNS,
  );
});

test('without rules, the cost is that of the definition, and no prefix of the moves is worse than the start', async () => {
  let moves = 0;
  await fc.assert(
    fc.asyncProperty(instanceFiles, async (file) => {
      const free = { ...file, rules: {}, nodes: file.nodes.map(({ isDraining: _, ...node }) => node) };
      const instance = named(free) as NamedInstance;
      const result = await plan(instance, 'anneal');
      const start = objective(free, startOwners(free), SETTINGS);
      const near = (value: number, expected: number): void =>
        check.ok(Math.abs(value - expected) <= 1e-9 * (1 + expected), `${value} is ${expected}`);
      near(result.costBefore, start);
      for (const owners of ownersAlong(free, result.moves))
        check.ok(objective(free, owners, SETTINGS) <= start * (1 + 1e-8));
      near(
        result.costAfter,
        objective(free, ownersAlong(free, result.moves).at(-1) as Map<string, string>, SETTINGS),
      );
      moves += result.moves.length;
    }),
    RUNS,
  );
  check.ok(moves > RUNS.numRuns / 2, `${moves} moves were looked at`);
});

test('the change that a move is said to make is the difference of two full computations, rules or none', () => {
  fc.assert(
    fc.property(
      instanceFiles,
      fc.infiniteStream(fc.nat()),
      fc.double({ min: 0, max: 50, noNaN: true }),
      (file, draws, peakWeight) => {
        const instance = named(file)?.instance;
        if (instance === undefined) return;
        const state = new PlacementState({ ...instance, peakWeight });
        const draw = (below: number): number => (draws.next().value as number) % below;
        const near = (value: number, expected: number): void =>
          check.ok(
            Math.abs(value - expected) <= 1e-9 * (1 + Math.abs(expected) + state.cost()),
            `${value} is ${expected}`,
          );
        for (let step = 0; step < 10; step++) {
          const p = draw(instance.partitionCount);
          const q = draw(instance.partitionCount);
          const n = draw(instance.nodeCount);
          const swapped = state.ownerOf.slice();
          [swapped[p], swapped[q]] = [swapped[q] as number, swapped[p] as number];
          const isPriced = (owners: Int32Array): boolean =>
            Number.isFinite(new PlacementState(state.instance, owners).cost());
          if (isPriced(swapped))
            near(state.swapDelta(p, q), new PlacementState(state.instance, swapped).cost() - state.cost());
          if (!state.canMove(p, n)) continue;
          const before = state.cost();
          const delta = state.moveDelta(p, n);
          state.move(p, n);
          near(delta, state.cost() - before);
          near(state.cost(), new PlacementState(state.instance, state.ownerOf).cost());
        }
      },
    ),
    RUNS,
  );
});

test('the same file and seed give the same plan', async () => {
  await fc.assert(
    fc.asyncProperty(instanceFiles, fc.nat(), async (file, seed) => {
      const [first, second] = [named(file), named(file)];
      if (first === null || second === null) return;
      check.equal(await plan(first, 'anneal', seed), await plan(second, 'anneal', seed));
    }),
    { ...RUNS, numRuns: 15 },
  );
});

test.run();
