import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { withRecentLoad } from '../../../src/affinity/relief/recent-load.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';

const test = suite('affinity/recent load');
const HOUR_MS = 3_600_000;

/** One partition, so many hours of 100 queries and 700 bytes read each. */
const hours = (windowCount: number): LoadProfile => ({
  ...{ startMs: 0, windowMs: HOUR_MS, windowCount, partitionCount: 1 },
  values: Float64Array.from(
    { length: windowCount * LOAD_DIMENSION_COUNT },
    (_, i) => [100, 1, 700, 0][i % 4] as number,
  ),
  coverage: new Float64Array(windowCount).fill(0.5),
});

test('the newest window of the last day is what is measured now, as if it lasted', () => {
  const day = withRecentLoad(hours(30), Float64Array.of(2, 0.5, 3, 4));
  check.equal([day.windowCount, day.startMs], [24, 7 * HOUR_MS]);
  check.equal([...day.values.slice(-4)], [7200, 1800, 10_800, 14_400]);
  check.equal([...day.values.slice(0, 4)], [100, 1, 700, 0]);
  check.equal([...day.coverage.slice(-2)], [0.5, 1]);
});

test('without a history it is all there is', () => {
  const { windowCount, values } = withRecentLoad(hours(0), Float64Array.of(1, 0, 0, 0));
  check.equal([windowCount, ...values], [1, 3600, 0, 0, 0]);
});

test('what is not told follows queries as over the last day', () => {
  const told = ['queries', 'cpuSeconds'] as const;
  const { values } = withRecentLoad(hours(5), Float64Array.of(1, 0.25, 0, 0), { told });
  check.equal([...values.slice(-4)], [3600, 900, 7 * 3600, 0]);
  const never = withRecentLoad(hours(0), Float64Array.of(1, 0.25, 0, 0), { told });
  check.equal([...never.values], [3600, 900, 0, 0]);
});

test('partitions of which nothing is known carry what they did in the last window that was measured, bytes as well', () => {
  const profile = hours(5);
  profile.coverage[4] = 0.1;
  profile.values[3 * LOAD_DIMENSION_COUNT] = 60;
  const nothing = new Float64Array(LOAD_DIMENSION_COUNT);
  const options = { told: ['queries'] as const, unknownPartitions: new Set([0]) };
  const { values } = withRecentLoad(profile, nothing, options);
  check.equal([...values.slice(-4)], [120, 2, 1400, 0], 'of half an hour');
  check.equal([...withRecentLoad(hours(0), nothing, options).values], [0, 0, 0, 0]);
});

test.run();
