import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { checkSolution } from '../../../bench/roadef/checker.ts';
import { compileRoadef, createRoadefMemory, type RoadefBuild } from '../../../bench/roadef/kernel.ts';
import { placeProblem, placeSearch, SearchState } from '../../../bench/roadef/problem.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';
import { randomInstance } from './instances.ts';

const SEED = testSeed('roadef kernel');
const FORBIDDEN = 2n ** 63n - 1n;

function makeSearch(build: RoadefBuild, random: Random) {
  const instance = randomInstance(random);
  const { arena, memory, exports } = createRoadefMemory(compileRoadef(build));
  const problem = placeProblem(arena, instance.model, instance.initial);
  const pointer = placeSearch(arena, problem, random.fork('search'));
  const search = new SearchState(memory, pointer);
  search.start(instance.initial);
  exports.roadefReset(pointer);
  return { ...instance, exports, pointer, search };
}

for (const build of ['release', 'debug'] as const) {
  const test = suite(`roadef kernel, ${build}`);

  test('the price of every shift and swap is the difference of two full judgements', () => {
    const random = seededRandom(SEED);
    let allowed = 0;
    let forbidden = 0;
    for (let round = 0; round < 6; round++) {
      const { model, initial, exports, pointer, search } = makeSearch(build, random.fork(`round ${round}`));
      const present = initial.slice();
      let cost = checkSolution(model, initial, present).cost.total;
      check.is(search.cost, cost, 'cost of the start');
      for (let step = 0; step < 600; step++) {
        const p = random.nextBelow(model.processCount);
        const isSwap = random.nextBelow(2) === 0;
        const q = isSwap ? random.nextBelow(model.processCount) : model.processCount;
        const source = present[p] as number;
        const target = isSwap ? (present[q] as number) : random.nextBelow(model.machineCount);
        if (source === target) continue;
        const changed = present.slice();
        changed[p] = target;
        if (isSwap) changed[q] = source;
        const verdict = checkSolution(model, initial, changed);
        const delta = exports.roadefDelta(pointer, p, q, target);
        if (verdict.violations.length > 0) {
          check.is(delta, FORBIDDEN, verdict.violations[0]?.what);
          forbidden++;
          continue;
        }
        check.is(delta, verdict.cost.total - cost, `round ${round}, step ${step}`);
        allowed++;
        exports.roadefApply(pointer, p, q, target);
        present.set(changed);
        cost = verdict.cost.total;
        check.is(search.cost, cost, 'cost after the move');
      }
    }
    check.ok(
      allowed > 100 && forbidden > 100,
      `${allowed} allowed and ${forbidden} forbidden proposals were tried`,
    );
  });

  test('the best map of a run is legal and costs what the kernel says', () => {
    const random = seededRandom(SEED).fork('runs');
    for (let round = 0; round < 4; round++) {
      const { model, initial, exports, pointer, search } = makeSearch(build, random.fork(`round ${round}`));
      const start = search.cost;
      search.setOperators([4, 4, 1, 1, 1, 1, 1, 1]);
      for (const temperature of [1e4, 1e3, 1e2, 10, 0]) {
        search.temperature = temperature;
        exports.roadefRun(pointer, 3000);
        const { violations, cost } = checkSolution(model, initial, search.bestOwnerOf);
        check.equal(violations, []);
        check.is(search.bestCost, cost.total);
      }
      check.ok(search.bestCost < start, 'something was gained');
    }
  });

  test('chunks of any size give the same run', () => {
    const run = (chunk: number): Int32Array => {
      const { exports, pointer, search } = makeSearch(build, seededRandom(SEED).fork('chunks'));
      search.setOperators([1, 1, 1, 1, 1, 1, 1, 1]);
      search.temperature = 500;
      for (let done = 0; done < 6000; done += chunk) exports.roadefRun(pointer, chunk);
      return search.bestOwnerOf.slice();
    };
    check.equal(run(6000), run(500));
  });

  test.run();
}
