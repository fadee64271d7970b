import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { type Constraint, checkSolution } from '../../../bench/roadef/checker.ts';
import { compileRoadef, createRoadefMemory, type RoadefBuild } from '../../../bench/roadef/kernel.ts';
import { OVERFLOW_UNITS, ROADEF_OPERATORS } from '../../../bench/roadef/layout.ts';
import type { Model } from '../../../bench/roadef/model.ts';
import { placeProblem, placeSearch, setOperators } from '../../../bench/roadef/problem.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';
import { randomInstance } from './instances.ts';

const SEED = testSeed('roadef kernel');

function makeSearch(build: RoadefBuild, random: Random) {
  const instance = randomInstance(random);
  const { arena, memory, exports } = createRoadefMemory(compileRoadef(build));
  const problem = placeProblem(arena, instance.model, instance.initial);
  const block = placeSearch(arena, problem, random.fork('search'));
  setOperators(block, new Array(ROADEF_OPERATORS.length).fill(1));
  block.set('penalty', 1e30);
  block.set('overflowPenalty', 1e30);
  block.owner.set(instance.initial);
  exports.roadefReset(block.pointer);
  const weights = problem.fields.get('overflowWeight') as number;
  const overflowWeight = new Int32Array(memory.buffer, weights, instance.model.resourceCount);
  return { ...instance, exports, block, overflowWeight };
}

/** What a map costs and breaks, from the definition. */
function judge(model: Model, initial: Int32Array, machineOf: Int32Array, overflowWeight: Int32Array) {
  const { violations, cost } = checkSolution(model, initial, machineOf);
  const { resourceCount } = model;
  const of = (constraint: Constraint): boolean => violations.some((own) => own.constraint === constraint);
  const inUse = new Float64Array(model.capacity.length);
  for (let p = 0; p < model.processCount; p++)
    for (let r = 0; r < resourceCount; r++) {
      const own = model.requirement[p * resourceCount + r] as number;
      const now = (machineOf[p] as number) * resourceCount + r;
      const home = (initial[p] as number) * resourceCount + r;
      inUse[now]! += own;
      if (now !== home && model.isTransient[r] === 1) inUse[home]! += own;
    }
  const beyond = inUse.map((own, i) => Math.max(0, own - (model.capacity[i] as number)));
  const places = (s: number, placeOf: Int32Array): Set<number> =>
    new Set([...machineOf].filter((_, p) => model.serviceOf[p] === s).map((m) => placeOf[m] as number));
  const short = Array.from(model.spreadMin, (least, s) =>
    Math.max(0, least - places(s, model.locationOf).size),
  );
  return {
    cost: cost.total,
    isLegal: violations.length === 0,
    isConflict: of('conflict'),
    isTooFull:
      beyond.some((own, i) => own > (model.capacity[i] as number)) ||
      model.requirement.some((own, i) => {
        const machine = machineOf[Math.floor(i / resourceCount)] as number;
        return own > (model.capacity[machine * resourceCount + (i % resourceCount)] as number);
      }),
    overflow: beyond.reduce((sum, own, i) => sum + own * (overflowWeight[i % resourceCount] as number), 0),
    violations:
      violations.filter(({ constraint }) => constraint === 'dependency').length +
      short.reduce((sum, own) => sum + own, 0),
  };
}

for (const build of ['release', 'debug'] as const) {
  const test = suite(`roadef kernel, ${build}`);

  test('the price of every shift, swap and chain, and what it breaks, is the difference of two full judgements', () => {
    const random = seededRandom(SEED);
    let illegal = 0;
    let refused = 0;
    let legal = 0;
    for (let round = 0; round < 6; round++) {
      const { model, initial, exports, block, overflowWeight } = makeSearch(
        build,
        random.fork(`round ${round}`),
      );
      const present = initial.slice();
      let before = judge(model, initial, present, overflowWeight);
      check.is(BigInt(block.get('cost')), before.cost, 'cost of the start');
      for (let step = 0; step < 600; step++) {
        // Else the walk would soon be far from anything legal.
        if (step % 30 === 0) {
          present.set(initial);
          block.owner.set(initial);
          exports.roadefReset(block.pointer);
          before = judge(model, initial, present, overflowWeight);
        }
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
        const after = judge(model, initial, changed, overflowWeight);
        const delta = exports.roadefDelta(block.pointer, p, q, target, end);
        if (after.isConflict || after.isTooFull) {
          check.is(delta, Number.POSITIVE_INFINITY, after.isConflict ? 'a conflict' : 'a machine twice full');
          refused++;
          continue;
        }
        check.is(BigInt(delta), after.cost - before.cost, `round ${round}, step ${step}`);
        if (before.isLegal && !after.isLegal && random.nextBelow(3) > 0) continue;
        if (after.isLegal) legal++;
        else illegal++;
        exports.roadefApply(block.pointer, p, q, target, end);
        present.set(changed);
        before = after;
        check.is(BigInt(block.get('cost')), after.cost, 'cost after the move');
        check.is(block.get('violations'), after.violations, 'violations after the move');
        check.is(block.get('overflow'), after.overflow, 'overflow after the move');
      }
    }
    check.ok(
      legal > 50 && illegal > 50 && refused > 50,
      `${legal} legal, ${illegal} illegal and ${refused} refused proposals were tried`,
    );
  });

  for (const isSoft of [false, true])
    test(`the best map of a ${isSoft ? 'lenient' : 'strict'} run is legal and costs what the kernel says`, () => {
      const random = seededRandom(SEED).fork('runs');
      let illegal = 0;
      for (let round = 0; round < 4; round++) {
        const { model, initial, exports, block, overflowWeight } = makeSearch(
          build,
          random.fork(`round ${round}`),
        );
        const start = block.get('cost');
        block.set('cooling', 1);
        block.set('isSoft', isSoft ? 1 : 0);
        for (const temperature of [1e4, 1e3, 1e2, 10, 0]) {
          block.set('temperature', temperature);
          block.set('penalty', isSoft ? 2000 : 1e30);
          block.set('overflowPenalty', isSoft ? 1e5 / OVERFLOW_UNITS : 1e30);
          exports.roadefRun(block.pointer, 3000);
          const present = judge(model, initial, block.owner, overflowWeight);
          check.is(present.isConflict, false);
          check.is(block.get('violations'), present.violations);
          check.is(block.get('overflow'), present.overflow);
          if (!present.isLegal) illegal++;
          const { violations, cost } = checkSolution(model, initial, block.bestOwner);
          check.equal(violations, []);
          check.is(BigInt(block.get('bestCost')), cost.total);
        }
        check.ok(block.get('bestCost') < start, 'something was gained');
      }
      check.is(illegal > 0, isSoft, 'only a lenient run passes through illegal maps');
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
