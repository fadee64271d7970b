import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { trustedForecast } from '../../../src/analyzer/trust.ts';
import type { Forecast } from '../../../src/model/forecast.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';
import { forecastOf } from '../../support/placement.ts';

const test = suite('trusted forecast');
const HOUR_MS = 3_600_000;
const WEEK = 168;

/** Load of window w (counted from the profile's start) of partition p, in every dimension. */
const loadOf = (window: number, partition: number): number => 1000 * (partition + 1) + (window % WEEK);

function profileBefore(forecast: Forecast, windowCount: number): LoadProfile {
  const { partitionCount } = forecast;
  return {
    startMs: forecast.startMs - windowCount * HOUR_MS,
    windowMs: HOUR_MS,
    windowCount,
    partitionCount,
    values: Float64Array.from({ length: windowCount * partitionCount * LOAD_DIMENSION_COUNT }, (_, i) =>
      loadOf(
        Math.floor(i / (partitionCount * LOAD_DIMENSION_COUNT)),
        Math.floor(i / LOAD_DIMENSION_COUNT) % partitionCount,
      ),
    ),
    coverage: new Float64Array(windowCount).fill(1),
  };
}

const forecastWithSkill = (skill: readonly number[], horizonSteps = 24): Forecast => ({
  ...forecastOf({ horizonSteps, partitionCount: skill.length, loadOf: () => 7 }),
  skill: Float64Array.from(skill),
});

const at = (values: Float64Array, step: number, partition: number, partitionCount: number): number =>
  values[(step * partitionCount + partition) * LOAD_DIMENSION_COUNT] as number;

test('a partition forecast worse than "as last week" is planned as last week, inside wider bounds', () => {
  const forecast = forecastWithSkill([0.3, -0.2, Number.NaN]);
  const { forecast: trusted, ignoredPartitions } = trustedForecast(
    forecast,
    profileBefore(forecast, 2 * WEEK),
    {
      skillMin: 0,
    },
  );
  check.equal(ignoredPartitions, [1]);
  for (let step = 0; step < 24; step++) {
    check.is(at(trusted.point, step, 0, 3), 7);
    check.is(at(trusted.point, step, 1, 3), loadOf(WEEK + step, 1), `step ${step}`);
    check.is(at(trusted.mean, step, 1, 3), loadOf(WEEK + step, 1), `step ${step}`);
    check.is(at(trusted.point, step, 2, 3), 7, 'skill that nobody knows is no reason');
    check.ok(at(trusted.lower, step, 1, 3) <= 7 && at(trusted.upper, step, 1, 3) >= loadOf(WEEK + step, 1));
  }
});

test('bounds at every level that was asked for hold the point, and those of the forecast itself are left alone', () => {
  const forecast = forecastWithSkill([0.3, -0.2]);
  const { point } = forecast;
  const asked = [0.5, 0.95].map((level) => ({ level, lower: point.slice(), upper: point.map((x) => x + 1) }));
  const given = { ...forecast, intervals: asked };
  const trusted = trustedForecast(given, profileBefore(given, WEEK), { skillMin: 0 }).forecast;
  check.equal(
    trusted.intervals?.map(({ level }) => level),
    [0.5, 0.95],
  );
  for (const { lower, upper } of trusted.intervals ?? []) {
    check.ok(trusted.point.every((load, i) => (lower[i] as number) <= load && load <= (upper[i] as number)));
    check.is(at(upper, 0, 0, 2), 8, 'a trusted partition keeps its own');
  }
  check.is(at(asked[0]?.upper as Float64Array, 0, 1, 2), 8);
});

test('a horizon beyond a week repeats the last week that was measured', () => {
  const forecast = forecastWithSkill([-1], WEEK + 5);
  const { forecast: trusted } = trustedForecast(forecast, profileBefore(forecast, WEEK), { skillMin: 0 });
  check.is(at(trusted.point, WEEK + 4, 0, 1), loadOf(4, 0));
});

test('what was half seen is scaled up; an hour without a measurement keeps its forecast', () => {
  const forecast = forecastWithSkill([-1]);
  const profile = profileBefore(forecast, WEEK);
  profile.coverage[3] = 0.5;
  const half = trustedForecast(forecast, profile, { skillMin: 0 });
  check.is(at(half.forecast.point, 3, 0, 1), 2 * loadOf(3, 0));
  profile.coverage[3] = 0;
  const outage = trustedForecast(forecast, profile, { skillMin: 0 });
  check.is(at(outage.forecast.point, 3, 0, 1), 7);
  check.is(at(outage.forecast.point, 4, 0, 1), loadOf(4, 0));
});

test('less than a week of history leaves every forecast as it is', () => {
  const forecast = forecastWithSkill([-1]);
  check.is(trustedForecast(forecast, profileBefore(forecast, 100), { skillMin: 0 }).forecast, forecast);
});

test('a dimension with a skill of its own is put aside by itself', () => {
  const dimensionSkill = Float64Array.of(0.3, 0.3, -0.1, 0.3, 0.3, 0.3, 0.3, 0.3);
  const forecast = { ...forecastWithSkill([0.3, 0.3]), dimensionSkill };
  const { forecast: trusted, ignoredPartitions } = trustedForecast(forecast, profileBefore(forecast, WEEK), {
    skillMin: 0,
  });
  check.equal(ignoredPartitions, [0]);
  check.is(trusted.point[0], forecast.point[0]);
  check.is.not(trusted.point[2], forecast.point[2]);
  check.is(trusted.point[3], forecast.point[3]);
});

test('the limit is a setting', () => {
  const forecast = forecastWithSkill([-0.2, -0.6]);
  const trusted = trustedForecast(forecast, profileBefore(forecast, WEEK), { skillMin: -0.5 });
  check.equal(trusted.ignoredPartitions, [1]);
});

test.run();
