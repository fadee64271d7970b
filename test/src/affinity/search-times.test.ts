/** A plan that runs out of time is a plan, says so, and can be made again. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { optimizers } from '../../../src/affinity/optimisers/registry.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import { SearchTimes } from '../../../src/affinity/search-times.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import { randomInputs } from '../../support/placement.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('affinity/search times');
const SEED = testSeed('affinity/search-times');

/** Each look at it is a second later. */
function hastyClock(): Clock {
  let nowMs = 0;
  const tick = (): number => {
    nowMs += 1000;
    return nowMs;
  };
  return { nowMs: tick, monotonicMs: tick, sleep: () => Promise.resolve() };
}

const inputs = randomInputs(seededRandom(SEED), { partitionCount: 64, nodeCount: 6, horizonSteps: 24 });

function propose(
  optimizer: 'anneal' | 'genetic' | 'portfolio',
  components: { readonly clock?: Clock; readonly endAfter?: readonly number[] },
  changes: Partial<typeof DEFAULT_AFFINITY_SETTINGS> = {},
): Promise<Proposal> {
  const { clock, endAfter } = components;
  // The portfolio asks at each piece of its relaxation, too.
  const searchSeconds = optimizer === 'portfolio' ? 4000 : 4;
  const settings = { ...DEFAULT_AFFINITY_SETTINGS, optimizer, searchSeconds, ...changes };
  const iterations = { anneal: 200_000, genetic: 200_000, portfolio: 1_000_000 }[optimizer];
  return new AffinityManager(settings, {
    random: seededRandom(SEED),
    logger: silentLogger,
    optimiser: optimizers[optimizer](
      { runner: () => inlineRunner(loadKernels()), clock: hastyClock() },
      iterations,
    ),
    bound: 'poured',
    ...(clock && { pace: { clock } }),
    ...(endAfter && { endAfter }),
  }).propose(inputs);
}

for (const optimizer of ['anneal', 'genetic', 'portfolio'] as const)
  test(`${optimizer}: a plan that ran out of time says how far it came, and is made again by that`, async () => {
    const hurried = await propose(optimizer, { clock: hastyClock() });
    check.equal(hurried.endedAfter, [hurried.iterations]);
    check.ok(hurried.iterations > 0, 'some of the search was done');
    check.ok(hurried.moves.length > 0 && hurried.costAfter < hurried.costBefore);
    const again = await propose(optimizer, { endAfter: hurried.endedAfter as readonly number[] });
    check.equal(again, hurried, `SEED=${SEED}`);
    const patient = await propose(optimizer, {});
    check.is(patient.endedAfter, undefined);
    check.ok(patient.iterations > hurried.iterations, `${patient.iterations} > ${hurried.iterations}`);
  });

test('a plan that is asked for twice, as the day has few moves left, has two searches that may run out', async () => {
  const few = { movesPerDay: 2, movesPerNodeAndDay: 0, urgentGain: 1 };
  const hurried = await propose('anneal', { clock: hastyClock() }, few);
  check.is(hurried.endedAfter?.length, 2);
  check.is(hurried.moves.length, 2);
  check.equal(await propose('anneal', { endAfter: hurried.endedAfter as readonly number[] }, few), hurried);
});

test('time that is over before the first step leaves what the greedy descent finds', async () => {
  const greedy = await propose('anneal', { endAfter: [0] });
  check.is(greedy.iterations, 0);
  check.ok(greedy.costAfter < greedy.costBefore);
});

test('time runs from the first question of a search on', () => {
  let nowMs = 0;
  const clock = { ...hastyClock(), monotonicMs: () => nowMs };
  const times = new SearchTimes({ clock, seconds: 2 });
  const first = times.next();
  nowMs = 10_000;
  check.not(first.isOver(0));
  nowMs = 11_999;
  check.not(first.isOver(50));
  times.noteEnd(100);
  check.is(times.endedAfter, undefined);
  const second = times.next();
  check.not(second.isOver(0), 'each has its own time');
  nowMs = 13_999;
  check.ok(second.isOver(70));
  times.noteEnd(70);
  check.equal(times.endedAfter, [100, 70]);
  const again = new SearchTimes({ endAfter: [100, 70] });
  check.not(again.next().isOver(70));
  again.noteEnd(100);
  check.ok(again.next().isOver(70), 'each ends where its own did');
});

test.run();
