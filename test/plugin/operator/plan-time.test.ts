/** `foreshard plan --seconds`, on a clock that goes on by a millisecond each time it is looked at. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { PlanInstanceFile } from '../../../plugin/operator/plan/instance-schema.ts';
import { makeInstance } from '../../../plugin/operator/plan/make-instance.ts';
import { planNamed } from '../../../plugin/operator/plan/plan-search.ts';
import { DEFAULT_AFFINITY_SETTINGS, type OptimizerName } from '../../../src/affinity/settings.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('foreshard plan --seconds');
const SEED = testSeed('operator/plan-time');

/** Nodes at about 70 %, every partition anywhere, of which many maps are nearly as good as the best. */
function crowded(seed: bigint) {
  const random = seededRandom(seed);
  const nodeCount = 6;
  const partitionCount = 48;
  const nodes = Array.from({ length: nodeCount }, (_, n) => ({ id: `n${n}`, capacity: { cpu: 10 } }));
  const partitions = Array.from({ length: partitionCount }, (_, p) => {
    const load = ((0.7 * 10 * nodeCount) / partitionCount) * (0.2 + 1.6 * random.nextFloat() ** 2);
    const wave = [0.6, 1, 1.3].map((share) => share * load * (0.7 + 0.6 * random.nextFloat()));
    return { id: `p${p}`, node: `n${random.nextBelow(nodeCount)}`, sizeBytes: 1e8, load: { cpu: wave } };
  });
  const file = { slotSeconds: 8 * 3600, nodes, partitions } as unknown as PlanInstanceFile;
  return makeInstance('crowded.json', file, DEFAULT_AFFINITY_SETTINGS);
}

function countingClock() {
  let looks = 0;
  return { monotonicMs: () => ++looks, looks: () => looks };
}

/** Whether searches of 50,000 steps, and each half as many again as the one before, can add up to so many. */
function isOfWholeSearches(iterations: number): boolean {
  let sum = 0;
  for (let round = 0; sum < iterations; round++) sum += Math.round(50_000 * 1.5 ** round);
  return sum === iterations;
}

test('without a time limit the seed decides, and it alone', async () => {
  const settings = { ...DEFAULT_AFFINITY_SETTINGS, iterations: 10_000, optimizer: 'anneal' as const };
  const named = crowded(SEED);
  const mapOf = async (seed: number): Promise<string> =>
    (await planNamed(named, { seed }, settings)).ownerOf.join(' ');
  const maps: string[] = [];
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    maps.push(await mapOf(seed));
    check.is(await mapOf(seed), maps.at(-1), `seed ${seed}`);
  }
  check.ok(new Set(maps).size > 1, 'so short a search depends on its chance');
});

test('who waits longer never gets a worse plan', async () => {
  let better = 0;
  for (const optimizer of ['anneal', 'portfolio', 'genetic'] as readonly OptimizerName[])
    for (let seed = SEED; seed < SEED + 3n; seed++) {
      const named = crowded(seed);
      let last = Number.POSITIVE_INFINITY;
      for (const seconds of [0.001, 0.01, 0.1, 0.3, 1]) {
        const settings = { ...DEFAULT_AFFINITY_SETTINGS, optimizer };
        const { costAfter, iterations } = await planNamed(
          named,
          { seed: 1, seconds },
          settings,
          countingClock(),
        );
        check.ok(costAfter <= last, `${optimizer}, seed ${seed}, ${seconds} s: ${costAfter} after ${last}`);
        // Of annealing a step is a step: what was cut short has left none.
        check.ok(optimizer !== 'anneal' || isOfWholeSearches(iterations), `${iterations} steps`);
        if (costAfter < last && last < Number.POSITIVE_INFINITY) better++;
        last = costAfter;
      }
    }
  check.ok(better > 3, `time was worth something ${better} times`);
});

test('nothing goes on when time is over', async () => {
  const named = crowded(SEED);
  for (const optimizer of ['anneal', 'portfolio', 'genetic', 'greedy'] as readonly OptimizerName[])
    for (const seconds of [0.001, 0.02, 0.2]) {
      const clock = countingClock();
      await planNamed(named, { seed: 1, seconds }, { ...DEFAULT_AFFINITY_SETTINGS, optimizer }, clock);
      // Whoever hears that it is over passes it on once or twice.
      check.ok(clock.looks() <= 1000 * seconds + 12, `${optimizer}, ${seconds} s: ${clock.looks()} looks`);
    }
});

test('a plan that had no time at all still keeps the rules and is no worse than staying', async () => {
  const named = crowded(SEED);
  const plan = await planNamed(named, { seed: 1, seconds: 0 }, DEFAULT_AFFINITY_SETTINGS, countingClock());
  check.ok(plan.costAfter <= plan.costBefore);
  check.ok(plan.lowerBound > 0 && plan.lowerBound <= plan.costAfter, 'the poured bound is always there');
});

test.run();
