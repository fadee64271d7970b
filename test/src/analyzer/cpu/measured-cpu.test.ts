import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { type MeasuredCpu, withMeasuredCpu } from '../../../../src/analyzer/cpu/measured-cpu.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../../src/model/load-profile.ts';

const test = suite('measured CPU in the profile');
const HOUR_MS = 3_600_000;
const PARTITIONS = 2;

/** Every partition is asked for 100 queries an hour, priced at 1 second. */
function priced(windowCount: number, coverage = 1): LoadProfile {
  const values = new Float64Array(windowCount * PARTITIONS * LOAD_DIMENSION_COUNT);
  for (let cell = 0; cell < windowCount * PARTITIONS; cell++)
    values.set([100, 1, 1000, 10], cell * LOAD_DIMENSION_COUNT);
  const grid = { startMs: 0, windowMs: HOUR_MS, windowCount, partitionCount: PARTITIONS };
  return { ...grid, values, coverage: new Float64Array(windowCount).fill(coverage) };
}

const cpuOf = ({ values }: LoadProfile, window: number): number[] =>
  Array.from(
    { length: PARTITIONS },
    (_, p) => values[(window * PARTITIONS + p) * LOAD_DIMENSION_COUNT + 1] as number,
  );

/** Measured from this window on. */
const from =
  (window: number, measured: MeasuredCpu) =>
  (startMs: number): MeasuredCpu | undefined =>
    startMs >= window * HOUR_MS ? measured : undefined;

test('what was measured takes the place of prices, and nothing else changes', () => {
  const profile = priced(2);
  const found = withMeasuredCpu(profile, from(0, { seconds: Float64Array.of(3, 9), share: 1 }));
  assert.deepEqual(cpuOf(found, 0), [3, 9]);
  assert.deepEqual([...found.values].filter((_, i) => i % LOAD_DIMENSION_COUNT !== 1).length, 12);
  assert.equal(found.values[2], 1000);
  assert.deepEqual(cpuOf(profile, 0), [1, 1], 'the profile that came is as it was');
});

test('hours before anything was measured are at the level of those after, by partition', () => {
  const found = withMeasuredCpu(priced(3), from(2, { seconds: Float64Array.of(3, 9), share: 1 }));
  assert.deepEqual(cpuOf(found, 0), [3, 9]);
});

test('half an hour that was measured stands for the hour; a few minutes do not', () => {
  const half = withMeasuredCpu(priced(1), from(0, { seconds: Float64Array.of(1, 2), share: 0.5 }));
  assert.deepEqual(cpuOf(half, 0), [2, 4]);
  const profile = priced(1);
  assert.equal(withMeasuredCpu(profile, from(0, { seconds: Float64Array.of(1, 2), share: 0.1 })), profile);
});

test('a look that came late, of more than the window, and two that told of the same time make no jump', () => {
  const late = withMeasuredCpu(priced(1), from(0, { seconds: Float64Array.of(15, 45), share: 5 }));
  assert.deepEqual(cpuOf(late, 0), [3, 9]);
});

test('dropped queries cost the servers all the same: whoever divides by the coverage gets what was measured', () => {
  const found = withMeasuredCpu(priced(1, 0.5), from(0, { seconds: Float64Array.of(3, 9), share: 1 }));
  assert.deepEqual(
    cpuOf(found, 0).map((seconds) => seconds / 0.5),
    [3, 9],
  );
});

test('a partition that was asked for and of which no node tells keeps its price, at the level of all', () => {
  const found = withMeasuredCpu(priced(1), from(0, { seconds: Float64Array.of(4, 0), share: 1 }));
  assert.deepEqual(cpuOf(found, 0), [4, 4]);
});

test.run();
