import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { clusterProfiles, cycleProfiles } from '../../../src/analyzer/cluster.ts';
import { History } from '../../../src/analyzer/history.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { testSeed } from '../../support/seed.ts';
import { profileOf } from '../../support/synthetic-load.ts';

const test = suite('analyzer/cluster');
const seed = testSeed('analyzer/cluster');
const PARTITIONS = 24;

/** Three kinds of partition (by day, by night, silent), each at many levels. */
const kindOf = (partition: number): number => partition % 3;
const load = (partition: number, window: number): number => {
  if (kindOf(partition) === 2) return 0;
  const wave = Math.sin((2 * Math.PI * window) / 24);
  return 10 * (1 + partition) * (2 + (kindOf(partition) === 0 ? wave : -wave));
};

function historyOf(windowCount: number) {
  const kernels = loadKernels();
  const shape = { partitionCount: PARTITIONS, windowMs: 3_600_000, startMs: 0, driver: 'queries' as const };
  const history = new History({ ...shape, windowsMax: 840, weekWindows: 168, dayWindows: 24 }, kernels.arena);
  const profile = profileOf({ partitionCount: PARTITIONS, firstWindow: 0, windowCount, load });
  for (let w = 0; w < windowCount; w++) history.append(profile, w);
  return { kernels, history };
}

test('partitions with a like cycle share a cluster whatever their level', () => {
  const { kernels, history } = historyOf(340);
  const components = { kernels, random: seededRandom(seed) };
  const { labelOf } = clusterProfiles(cycleProfiles(history, 168), { clusterCount: 3 }, components);
  for (let p = 3; p < PARTITIONS; p++)
    assert.is(labelOf[p], labelOf[kindOf(p)], `partition ${p}, SEED=${seed}`);
  assert.is(new Set(labelOf).size, 3);
});

test('clusters keep their numbers when they are found again later', () => {
  const { kernels, history } = historyOf(200);
  const components = { kernels, random: seededRandom(seed) };
  const first = clusterProfiles(cycleProfiles(history, 168), { clusterCount: 3 }, components);
  const later = historyOf(371);
  const again = clusterProfiles(
    cycleProfiles(later.history, 168),
    { clusterCount: 3, previous: first },
    { kernels: later.kernels, random: seededRandom(seed + 1n) },
  );
  assert.equal([...again.labelOf], [...first.labelOf]);
});

test('more clusters than distinct partitions, and an odd cycle, are no trouble', () => {
  const { kernels, history } = historyOf(50);
  const components = { kernels, random: seededRandom(seed) };
  const profiles = cycleProfiles(history, 25);
  assert.is(profiles.dimension, 26);
  const { labelOf } = clusterProfiles(profiles, { clusterCount: 40 }, components);
  assert.is(labelOf.length, PARTITIONS);
  const { arena } = kernels;
  history.close();
  assert.is(arena.usedBytes, 0, 'scratch memory is given back');
});

test.run();
