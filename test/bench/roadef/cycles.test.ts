import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { lowerBound } from '../../../bench/roadef/bound.ts';
import { checkSolution } from '../../../bench/roadef/checker.ts';
import { Amplitudes } from '../../../bench/roadef/cycles.ts';
import { drawEmphasis, excessOf, weightsOf } from '../../../bench/roadef/emphasis.ts';
import { compileRoadef, createRoadefMemory } from '../../../bench/roadef/kernel.ts';
import { placeProblem, placeSearch } from '../../../bench/roadef/problem.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';
import { randomInstance } from './instances.ts';

const test = suite('roadef cycles');
const SEED = testSeed('roadef cycles');

test('what the terms cost above their bounds is what the map costs above its own', () => {
  const random = seededRandom(SEED);
  for (let round = 0; round < 20; round++) {
    const { model, initial } = randomInstance(random.fork(`instance ${round}`));
    const machineOf = initial.map((machine) =>
      random.nextFloat() < 0.3 ? random.nextBelow(model.machineCount) : machine,
    );
    const { cost } = checkSolution(model, initial, machineOf);
    const { columns, moves } = excessOf(model, machineOf, Number(cost.total));
    check.is(moves, Number(cost.processMove + cost.serviceMove + cost.machineMove));
    check.ok(columns.every((own) => own >= 0));
    const sum = columns.reduce((all, own) => all + own, moves);
    check.is(BigInt(sum) + lowerBound(model), cost.total);
  }
});

test('a search counts by the weights it is given, and by the true ones again', () => {
  const { model, initial } = randomInstance(seededRandom(SEED).fork('weights'));
  const { arena, exports } = createRoadefMemory(compileRoadef());
  const problem = placeProblem(arena, model, initial);
  const block = placeSearch(arena, problem, seededRandom(SEED));
  const target = initial.map((machine) => (machine + 1) % model.machineCount);
  const { cost } = checkSolution(model, initial, target);
  const costBy = (columns: readonly number[], moves: number): number => {
    const weights = weightsOf(model, { columns, moves });
    block.i32('weight', block.get('columnCount')).set(weights.columns);
    block.set('moveWeight', weights.moves);
    block.owner.set(target);
    exports.roadefReset(block.pointer);
    return block.get('cost');
  };
  const terms = model.resourceCount + model.balances.length;
  const moves = cost.processMove + cost.serviceMove + cost.machineMove;
  check.is(costBy(new Array(terms).fill(3), 7), Number(3n * (cost.load + cost.balance) + 7n * moves));
  check.is(costBy(new Array(terms).fill(1), 1), Number(cost.total));
});

test('the term with the most excess counts for more in most draws, one without any seldom', () => {
  const random = seededRandom(SEED).fork('draws');
  const draws = Array.from({ length: 400 }, () => drawEmphasis(random, { columns: [900, 0], moves: 9 }));
  const share = (of: (draw: (typeof draws)[number]) => number): number =>
    draws.filter((draw) => of(draw) > 1).length / draws.length;
  check.ok(share(({ columns }) => columns[0] as number) > 0.7);
  check.ok(share(({ columns }) => columns[1] as number) < 0.25);
  check.ok(draws.some(({ columns, moves }) => moves === 1 && columns.every((own) => own === 1)));
  check.ok(draws.every(({ columns, moves }) => [...columns, moves].every((own) => Number.isInteger(own))));
});

test('amplitudes fall from the hottest one and begin anew; one that finds nothing comes less often', () => {
  const amplitudes = new Amplitudes(seededRandom(SEED), 0.1);
  const first = Array.from({ length: 7 }, () => amplitudes.next());
  check.is(first[0], 0.1);
  check.ok(first.every((heat, i) => i === 0 || heat < (first[i - 1] as number)));
  const counts = new Map<number, number>();
  for (let cycle = 0; cycle < 300; cycle++) {
    const heat = amplitudes.next();
    counts.set(heat, (counts.get(heat) ?? 0) + 1);
    amplitudes.learn(heat, heat === 0.03);
  }
  const useful = counts.get(0.03) as number;
  for (const [heat, count] of counts) if (heat !== 0.03) check.ok(4 * count < useful, `${heat}: ${count}`);
});

test.run();
