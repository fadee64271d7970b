import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { checkSolution } from '../../../bench/roadef/checker.ts';
import { compileRoadef, createRoadefMemory, type RoadefBuild } from '../../../bench/roadef/kernel.ts';
import { ROADEF_OPERATORS } from '../../../bench/roadef/layout.ts';
import { placeProblem, placeSearch, setOperators } from '../../../bench/roadef/problem.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';
import { randomInstance } from './instances.ts';

const SEED = testSeed('roadef kernel');

function makeSearch(build: RoadefBuild, random: Random) {
  const instance = randomInstance(random);
  const { arena, exports } = createRoadefMemory(compileRoadef(build));
  const problem = placeProblem(arena, instance.model, instance.initial);
  const block = placeSearch(arena, problem, random.fork('search'));
  setOperators(block, new Array(ROADEF_OPERATORS.length).fill(1));
  block.owner.set(instance.initial);
  exports.roadefReset(block.pointer);
  return { ...instance, exports, block };
}

for (const build of ['release', 'debug'] as const) {
  const test = suite(`roadef kernel, ${build}`);

  test('the price of every shift, swap and chain is the difference of two full judgements', () => {
    const random = seededRandom(SEED);
    let allowed = 0;
    let forbidden = 0;
    for (let round = 0; round < 6; round++) {
      const { model, initial, exports, block } = makeSearch(build, random.fork(`round ${round}`));
      const present = initial.slice();
      let cost = checkSolution(model, initial, present).cost.total;
      check.is(BigInt(block.get('cost')), cost, 'cost of the start');
      for (let step = 0; step < 600; step++) {
        const p = random.nextBelow(model.processCount);
        const kind = ['shift', 'swap', 'chain'][random.nextBelow(3)];
        const q = kind === 'shift' ? model.processCount : random.nextBelow(model.processCount);
        const source = present[p] as number;
        const target = kind === 'shift' ? random.nextBelow(model.machineCount) : (present[q] as number);
        const end = kind === 'chain' ? random.nextBelow(model.machineCount) : source;
        if (source === target || target === end) continue;
        const changed = present.slice();
        changed[p] = target;
        if (kind !== 'shift') changed[q] = end;
        const verdict = checkSolution(model, initial, changed);
        const delta = exports.roadefDelta(block.pointer, p, q, target, end);
        if (verdict.violations.length > 0) {
          check.is(delta, Number.POSITIVE_INFINITY, verdict.violations[0]?.what);
          forbidden++;
          continue;
        }
        check.is(BigInt(delta), verdict.cost.total - cost, `round ${round}, step ${step}`);
        allowed++;
        exports.roadefApply(block.pointer, p, q, target, end);
        present.set(changed);
        cost = verdict.cost.total;
        check.is(BigInt(block.get('cost')), cost, 'cost after the move');
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
      const { model, initial, exports, block } = makeSearch(build, random.fork(`round ${round}`));
      const start = block.get('cost');
      block.set('cooling', 1);
      for (const temperature of [1e4, 1e3, 1e2, 10, 0]) {
        block.set('temperature', temperature);
        exports.roadefRun(block.pointer, 3000);
        const { violations, cost } = checkSolution(model, initial, block.bestOwner);
        check.equal(violations, []);
        check.is(BigInt(block.get('bestCost')), cost.total);
      }
      check.ok(block.get('bestCost') < start, 'something was gained');
    }
  });

  test('chunks of any size give the same run', () => {
    const run = (chunk: number): Int32Array => {
      const { exports, block } = makeSearch(build, seededRandom(SEED).fork('chunks'));
      block.set('temperature', 500);
      block.set('cooling', 0.99);
      for (let done = 0; done < 6000; done += chunk) exports.roadefRun(block.pointer, chunk);
      return block.bestOwner.slice();
    };
    check.equal(run(6000), run(500));
  });

  test.run();
}
