import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { Annealer } from '../../../bench/roadef/annealer.ts';
import { checkSolution } from '../../../bench/roadef/checker.ts';
import { inlineCrew } from '../../../bench/roadef/crew.ts';
import { excessOf } from '../../../bench/roadef/emphasis.ts';
import { improveExactly, secondsForPairs } from '../../../bench/roadef/exact.ts';
import { compileRoadef, createRoadefMemory } from '../../../bench/roadef/kernel.ts';
import type { Model } from '../../../bench/roadef/model.ts';
import { placeProblem, placeSearch } from '../../../bench/roadef/problem.ts';
import { Subproblems } from '../../../bench/roadef/subproblem.ts';
import { highsSolver } from '../../../plugin/solver/highs-solver.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';
import { randomInstance, tinyModel } from './instances.ts';

const test = suite('roadef exact parts');
const SEED = testSeed('roadef exact parts');
const solver = highsSolver();

test.after(() => solver.close());

const PROCESSES = 5;
const MACHINES = 3;

/** Five processes on three machines, loads in thousands, so that no price of moves is worth any load; two are of one service. */
function smallInstance(random: Random): { readonly model: Model; readonly initial: Int32Array } {
  const thousands = (length: number, least: number, count: number): Float64Array =>
    Float64Array.from({ length }, () => 1000 * (least + random.nextBelow(count)));
  const model = tinyModel({
    resourceCount: 2,
    machineCount: MACHINES,
    processCount: PROCESSES,
    serviceCount: PROCESSES - 1,
    isTransient: Uint8Array.of(0, 1),
    loadWeight: Float64Array.of(10, 3),
    neighbourhoodOf: new Int32Array(MACHINES),
    locationOf: Int32Array.of(0, 1, 1),
    capacity: thousands(MACHINES * 2, 20, 10),
    safetyCapacity: thousands(MACHINES * 2, 2, 8),
    machineMoveCost: Float64Array.of(0, 2, 3, 2, 0, 1, 2, 1, 0),
    spreadMin: new Int32Array(PROCESSES - 1),
    dependsOn: Array.from({ length: PROCESSES - 1 }, () => new Int32Array(0)),
    serviceOf: Int32Array.of(0, 1, 2, 3, 3),
    requirement: thousands(PROCESSES * 2, 1, 6),
    processMoveCost: Float64Array.of(1, 2, 3, 4, 5),
    balances: [{ firstResource: 0, secondResource: 1, target: 2, weight: 5 }],
    serviceMoveWeight: 0,
  });
  return { model, initial: Int32Array.of(0, 0, 1, 2, 1) };
}

/** The least cost of all legal maps in which the two of one service stay in their location. */
function leastOfAll(model: Model, initial: Int32Array): bigint {
  let least: bigint | undefined;
  for (let code = 0; code < MACHINES ** PROCESSES; code++) {
    const map = Int32Array.from(initial, (_, p) => Math.floor(code / MACHINES ** p) % MACHINES);
    if (map[3] === 0 || map[4] === 0) continue;
    const { violations, cost } = checkSolution(model, initial, map);
    if (violations.length === 0 && (least === undefined || cost.total < least)) least = cost.total;
  }
  return least as bigint;
}

test('a part that is the whole is solved to the best of all maps', async () => {
  const random = seededRandom(SEED);
  let moved = 0;
  for (let round = 0; round < 12; round++) {
    const { model, initial } = smallInstance(random.fork(`small ${round}`));
    const { program, start, decode } = new Subproblems(model, initial).at(initial, [0, 1, 2]);
    const { status, columnValue } = await solver.solve(program, { secondsMax: 5, start });
    check.is(status, 'optimal');
    const chosen = decode(columnValue);
    const map = initial.map((_, p) => chosen?.get(p) as number);
    const { violations, cost } = checkSolution(model, initial, map);
    check.equal(violations, []);
    check.is(cost.total, leastOfAll(model, initial), `round ${round}`);
    moved += map.filter((machine, p) => machine !== initial[p]).length;
  }
  check.ok(moved > 0, 'staying is not the best everywhere');
});

test('the machines at fault are those that keep a load above its bound, and no others', () => {
  const random = seededRandom(SEED);
  for (let round = 0; round < 20; round++) {
    const { model, initial } = randomInstance(random.fork(`faults ${round}`));
    const { cost } = checkSolution(model, initial, initial);
    const { columns } = excessOf(model, initial, Number(cost.total));
    const excess = columns.reduce((sum, own) => sum + own, 0);
    const faults = new Subproblems(model, initial).faults(initial);
    check.is(
      faults.reduce((sum, own) => sum + own, 0),
      excess,
    );
  }
});

test('values that break a capacity by rounding are no map', () => {
  const { model, initial } = smallInstance(seededRandom(SEED).fork('rounding'));
  const capacity = model.capacity.slice();
  // Processes 0 and 1 no longer fit machine 0, by one unit of the first resource.
  capacity[0] = (model.requirement[0] as number) + (model.requirement[2] as number) - 1;
  const { start, decode } = new Subproblems({ ...model, capacity }, initial).at(initial, [0, 1, 2]);
  check.is(decode(start), undefined);
  check.ok(new Subproblems(model, initial).at(initial, [0, 1, 2]).decode(start));
});

test('a part keeps the rules of services, and no map is worse for it', async () => {
  const { model: any, initial } = randomInstance(seededRandom(SEED).fork('services'));
  const model = { ...any, serviceMoveWeight: 0 };
  const parts = new Subproblems(model, initial);
  let map = initial;
  for (const machines of [
    [0, 4],
    [1, 5],
    [2, 6, 7],
  ]) {
    const { program, start, decode } = parts.at(map, machines);
    const before = checkSolution(model, initial, map).cost.total;
    const { columnValue } = await solver.solve(program, { secondsMax: 2, start });
    const chosen = decode(columnValue);
    map = map.map((machine, p) => chosen?.get(p) ?? machine);
    const { violations, cost } = checkSolution(model, initial, map);
    check.equal(violations, []);
    check.ok(cost.total <= before, `${machines}`);
  }
});

test('a search by parts finds what one part of everything is solved to, also where there is a machine for each solver and no more', async () => {
  const { model, initial } = smallInstance(seededRandom(SEED).fork('search'));
  const { arena, exports, memory } = createRoadefMemory(compileRoadef());
  const random = seededRandom(SEED);
  const annealer = new Annealer(model, {
    crew: inlineCrew({ exports, memory }),
    blocks: [placeSearch(arena, placeProblem(arena, model, initial), random.fork('block'))],
    budget: { milliseconds: 1000 },
  });
  await annealer.look(0, initial);
  const solvers = [solver, solver];
  await improveExactly(annealer, { random, model, initial, solvers, secondsMax: 0.5, onBetter: () => {} });
  check.is(BigInt(annealer.best.cost), leastOfAll(model, initial));
});

test('a hundred machines take a minute of solvers, a thousand take longer than anybody has', () => {
  check.ok(secondsForPairs(100) < 60);
  check.ok(secondsForPairs(1000) > 1000);
});

test.run();
