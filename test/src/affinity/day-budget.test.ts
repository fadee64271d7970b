import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { annealer, DEFAULT_ANNEAL_SETTINGS } from '../../../src/affinity/anneal.ts';
import type { PlacementInputs } from '../../../src/affinity/instance.ts';
import type { RecentMove } from '../../../src/affinity/plan-memory.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import { forecastOf, inputsOf, nodeOf } from '../../support/placement.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('affinity/moves of a day');
const SEED = testSeed('affinity/moves of a day');
const PARTITIONS = 24;
const HOUR_MS = 3_600_000;

const forecast = forecastOf({
  horizonSteps: 48,
  partitionCount: PARTITIONS,
  loadOf: (_, p) => 1 + p / 8,
});

/** All on the first of three nodes, which is nearly full. */
const inputs = (changes: Partial<PlacementInputs> = {}, isFirstAlive = true): PlacementInputs =>
  inputsOf({
    ownerOf: new Int32Array(PARTITIONS),
    nodes: [nodeOf(0, 70, { isAlive: isFirstAlive }), nodeOf(1, 70), nodeOf(2, 70)],
    forecast,
    changes,
  });

function propose(problem: PlacementInputs, changes: Partial<AffinitySettings>): Promise<Proposal> {
  const optimiser = annealer(inlineRunner(loadKernels()), { ...DEFAULT_ANNEAL_SETTINGS, iterations: 20_000 });
  const settings = { ...DEFAULT_AFFINITY_SETTINGS, urgentGain: 1, ...changes };
  const components = {
    random: seededRandom(SEED),
    logger: silentLogger,
    optimiser,
    bound: 'poured' as const,
  };
  return new AffinityManager(settings, components).propose(problem);
}

/** Moves that ended so many hours before the forecast begins, of partitions that have settled at the first node. */
const ended = (...hoursAgo: readonly number[]): Partial<PlacementInputs> => ({
  memory: {
    lastMoves: [],
    recentMoves: hoursAgo.map(
      (hours, p): RecentMove => ({
        partitionId: p,
        sourceNodeId: 2,
        endedAtMs: forecast.startMs - hours * HOUR_MS,
      }),
    ),
  },
});

test('moves of the last day and those that run leave so many fewer, and the others wait', async () => {
  const whole = await propose(inputs(), { movesPerDay: 64 });
  check.ok(whole.moves.length > 5, `${whole.moves.length} moves, SEED=${SEED}`);
  check.equal(whole.leftOut, []);
  const first = await propose(inputs(), { movesPerDay: 5 });
  check.is(first.moves.length, 5);
  check.ok(first.costAfter < first.costBefore);
  const waiting = first.leftOut.filter(({ code }) => code === 'moves-per-day');
  check.is(waiting.length, first.leftOut.length);
  check.ok(waiting.length > 0 && first.refusal === undefined);
  for (const { partitionId } of waiting) check.is(first.targetOwnerOf[partitionId], 0);

  const later = await propose(inputs({ ...ended(1, 23), openMigrations: new Map([[20, 1]]) }), {
    movesPerDay: 5,
  });
  check.is(later.moves.length, 2);
});

test('a day that has had its moves has none left, and says so', async () => {
  const { moves, refusal, leftOut, costAfter, costBefore } = await propose(inputs(ended(1, 2, 3)), {
    movesPerDay: 3,
  });
  check.equal([moves.length, refusal, costAfter], [0, 'moves-per-day', costBefore]);
  check.ok(leftOut.length > 0);
});

test('what ended before the day, and what another clock has stamped, does not count', async () => {
  const { moves } = await propose(inputs(ended(25, 30, -24 * 365)), { movesPerDay: 3 });
  check.is(moves.length, 3);
});

test('a plan that gains much, or empties a node, waits for no other day', async () => {
  const urgent = await propose(inputs(ended(1, 2, 3)), { movesPerDay: 3, urgentGain: 0.1 });
  check.ok(urgent.moves.length > 3, `${urgent.moves.length} moves, SEED=${SEED}`);
  const emptied = await propose(inputs(ended(1, 2, 3), false), { movesPerDay: 3 });
  check.is(emptied.moves.length, PARTITIONS);
});

test.run();
