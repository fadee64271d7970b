import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../../src/affinity/cost-model.ts';
import { buildInstance } from '../../../../src/affinity/instance.ts';
import { annealer } from '../../../../src/affinity/optimisers/anneal.ts';
import { descend } from '../../../../src/affinity/optimisers/greedy.ts';
import type { SearchProgress } from '../../../../src/affinity/optimisers/optimiser.ts';
import { portfolio } from '../../../../src/affinity/optimisers/portfolio.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../../src/affinity/settings.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { loadKernels } from '../../../../src/kernels/instance.ts';
import { inlineRunner, KernelPool, type KernelRunner } from '../../../../src/kernels/pool.ts';
import { randomInputs } from '../../../support/placement.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('affinity/portfolio');
const SEED = testSeed('affinity/portfolio');

const settings = { ...DEFAULT_AFFINITY_SETTINGS, moveFixedIndexHours: 0.01, movesMax: 30 };
const instance = buildInstance(
  randomInputs(seededRandom(SEED), { partitionCount: 64, nodeCount: 4, horizonSteps: 6 }),
  settings,
);
const startCost = new PlacementState(instance).cost();

const search = (runner: KernelRunner, iterations = 400_000) =>
  portfolio({ annealerWith: (own) => annealer(runner, own), clock: systemClock() }, { iterations, lanes: 2 });

test('it finds a map that keeps the rules, no worse than the descent', async () => {
  const { ownerOf, lowerBound = Number.NaN } = await search(inlineRunner(loadKernels())).optimise(
    instance,
    instance.home,
    { random: seededRandom(SEED) },
  );
  const state = new PlacementState(instance, ownerOf);
  check.ok(state.movedCount <= 30, `${state.movedCount} moves`);
  const greedyCost = new PlacementState(instance, descend(instance, instance.home).ownerOf).cost();
  check.ok(state.cost() <= greedyCost, `${state.cost()} <= ${greedyCost}`);
  check.ok(lowerBound <= state.cost() && lowerBound > 0);
});

test('the same seed and budget give the same map on one thread and on two', async () => {
  const kernels = loadKernels();
  const inline = await search(inlineRunner(kernels)).optimise(instance, instance.home, {
    random: seededRandom(SEED),
  });
  const pool = new KernelPool({ threads: 2 }, { kernels, logger: silentLogger });
  try {
    const pooled = await search(pool).optimise(instance, instance.home, { random: seededRandom(SEED) });
    check.equal([...pooled.ownerOf], [...inline.ownerOf]);
    check.is(pooled.iterations, inline.iterations);
  } finally {
    await pool.close();
  }
});

test('cancelled at any time, it returns a legal map that is no worse than the start', async () => {
  for (const after of [0, 1, 3, 10, 30]) {
    let asked = 0;
    const { ownerOf } = await search(inlineRunner(loadKernels()), 1e9).optimise(instance, instance.home, {
      random: seededRandom(SEED),
      isCancelled: () => asked++ >= after,
    });
    const state = new PlacementState(instance, ownerOf);
    check.ok(state.cost() <= startCost && state.movedCount <= 30, `cancelled after ${after} questions`);
  }
});

test('however many lanes share its thread, a timer has its turn between any two pieces of work', async () => {
  const PIECE_MS = 2;
  let nowMs = 0;
  const inline = inlineRunner(loadKernels());
  const runner: KernelRunner = {
    ...inline,
    run(name, parameters) {
      nowMs += PIECE_MS;
      return inline.run(name, parameters);
    },
  };
  const clock = { ...systemClock(), monotonicMs: () => nowMs };
  let turnedMs = 0;
  let most = 0;
  const turn = (): void => {
    most = Math.max(most, nowMs - turnedMs);
    turnedMs = nowMs;
    immediate = setImmediate(turn);
  };
  let immediate = setImmediate(turn);
  await portfolio(
    { annealerWith: (own) => annealer(runner, own), clock },
    { iterations: 400_000, lanes: 6 },
  ).optimise(instance, instance.home, { random: seededRandom(SEED) });
  clearImmediate(immediate);
  check.ok(nowMs > 20 * PIECE_MS, `${nowMs} ms of pieces`);
  check.is(most, PIECE_MS);
});

test('time may be over within a round, and who is told to stop at that number of iterations finds the same map', async () => {
  const until = (isOver: (iterations: number) => boolean) =>
    search(inlineRunner(loadKernels())).optimise(instance, instance.home, {
      random: seededRandom(SEED),
      isOver,
    });
  let questions = 0;
  await until(() => ++questions < 0);
  const rounds = new Set<number>();
  let questionsOfRound = 0;
  for (let i = 0; i <= 12; i++) {
    const after = Math.floor((i * questions) / 13);
    let asked = 0;
    const hurried = await until(() => ++asked > after);
    check.ok(asked <= after + 10, `${asked} questions, over after ${after}`);
    check.equal(await until((iterations) => iterations >= hurried.iterations), hurried, `SEED=${SEED}`);
    rounds.add(hurried.iterations);
    let ofRound = 0;
    await until((iterations) => {
      if (iterations === hurried.iterations) ofRound++;
      return ofRound > 8;
    });
    questionsOfRound = Math.max(questionsOfRound, ofRound);
  }
  check.ok(rounds.size > 4, `${rounds.size} states of the search`);
  check.ok(questionsOfRound > 8, 'asked between any two of them');
});

test('progress only gets better, and carries the bound', async () => {
  const heard: SearchProgress[] = [];
  await search(inlineRunner(loadKernels())).optimise(instance, instance.home, {
    random: seededRandom(SEED),
    onProgress: (progress) => heard.push(progress),
  });
  check.ok(heard.length > 2);
  heard.forEach((progress, i) => {
    const before = heard[i - 1];
    if (before === undefined) return;
    check.ok(progress.cost <= before.cost && progress.iterations >= before.iterations);
  });
  const last = heard[heard.length - 1] as SearchProgress;
  check.ok((last.lowerBound as number) <= last.cost);
  check.is((last.bytesMoved as number) > 0, last.moved > 0);
});

test.run();
