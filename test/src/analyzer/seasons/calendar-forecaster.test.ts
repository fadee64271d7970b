import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { Forecaster } from '../../../../src/analyzer/forecaster.ts';
import { applyUplift } from '../../../../src/analyzer/seasons/apply-uplift.ts';
import {
  CalendarForecaster,
  type EffectMemory,
} from '../../../../src/analyzer/seasons/calendar-forecaster.ts';
import type { OccurrenceEffect } from '../../../../src/analyzer/seasons/occurrence.ts';
import { learnUplift } from '../../../../src/analyzer/seasons/uplift.ts';
import { FORECAST_DEFAULTS } from '../../../../src/analyzer/settings.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { loadKernels } from '../../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../../src/kernels/pool.ts';
import type { Calendar, CalendarEvent } from '../../../../src/model/calendar.ts';
import type { Forecast } from '../../../../src/model/forecast.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../../src/model/load-profile.ts';
import { testSeed } from '../../../support/seed.ts';
import { normal } from '../../../support/series.ts';

const test = suite('calendar-forecaster');
const seed = testSeed('calendar-forecaster');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const PARTITIONS = 4;
const YEAR_HOURS = 365 * 24;
const HISTORY_HOURS = 1680;

const event = (
  name: string,
  startMs: number,
  hours: number,
  more: Partial<CalendarEvent> = {},
): CalendarEvent => ({
  name,
  startMs,
  endMs: startMs + hours * HOUR_MS,
  kind: '',
  uplift: null,
  ...more,
});
const calendarOf = (events: readonly CalendarEvent[]): Calendar => ({
  occurrences: (fromMs, toMs) => events.filter(({ startMs, endMs }) => startMs < toMs && endMs > fromMs),
});

/** A sale of a day about every ten weeks; what it multiplies the load of the partitions by, hour by hour. */
const saleDays = [40, 110, 185, 255, 330];
const sales = saleDays.map((day) => event('Sale', day * DAY_MS, 24));
const saleFactor = (partition: number, hour: number): number =>
  (hour >= 8 && hour < 20 ? 4 : 2) * (partition === 2 ? 1.5 : 1);

/** Queries of a year by hour and partition: day and week, and the sales. */
function yearOfQueries(): Float64Array {
  const random = seededRandom(seed).fork('year');
  const sold = new Set(saleDays);
  return Float64Array.from({ length: YEAR_HOURS * PARTITIONS }, (_, i) => {
    const [hour, partition] = [Math.floor(i / PARTITIONS), i % PARTITIONS];
    const day = Math.floor(hour / 24);
    const usual =
      200 * (partition + 1) * (1 + 0.6 * Math.sin((2 * Math.PI * hour) / 24)) * (day % 7 < 5 ? 1 : 0.6);
    return usual * (sold.has(day) ? saleFactor(partition, hour % 24) : 1) * Math.exp(0.1 * normal(random));
  });
}

function profileAt(queries: Float64Array, endHour: number): LoadProfile {
  const first = Math.max(0, endHour - HISTORY_HOURS);
  const windowCount = endHour - first;
  const values = new Float64Array(windowCount * PARTITIONS * LOAD_DIMENSION_COUNT);
  for (let i = 0; i < windowCount * PARTITIONS; i++)
    values[i * LOAD_DIMENSION_COUNT] = queries[first * PARTITIONS + i] as number;
  return {
    startMs: first * HOUR_MS,
    windowMs: HOUR_MS,
    windowCount,
    partitionCount: PARTITIONS,
    values,
    coverage: new Float64Array(windowCount).fill(1),
  };
}

/** Says for each hour of the next week what the last week said that was measured there; bounds 20 % either way. */
const lastWeekAgain = {
  async forecast(profile: LoadProfile): Promise<Forecast> {
    const point = new Float64Array(168 * PARTITIONS * LOAD_DIMENSION_COUNT);
    const width = PARTITIONS * LOAD_DIMENSION_COUNT;
    for (let step = 0; step < 168; step++) {
      let window = profile.windowCount - 168 + step;
      while (window >= 168 && profile.coverage[window] === 0) window -= 168;
      point.set(profile.values.subarray(window * width, (window + 1) * width), step * width);
    }
    return {
      startMs: profile.startMs + profile.windowCount * HOUR_MS,
      stepMs: HOUR_MS,
      horizonSteps: 168,
      partitionCount: PARTITIONS,
      level: 0.8,
      point,
      mean: point,
      lower: point.map((value) => value * 0.8),
      upper: point.map((value) => value * 1.2),
      skill: new Float64Array(PARTITIONS),
      members: [],
    };
  },
};

class MapMemory implements EffectMemory {
  readonly effects = new Map<number, OccurrenceEffect>();
  keptCount = 0;

  async load(): Promise<readonly OccurrenceEffect[]> {
    return [...this.effects.values()];
  }

  async keep(effect: OccurrenceEffect): Promise<void> {
    this.effects.set(effect.startMs, effect);
    this.keptCount++;
  }

  async forget({ startMs }: OccurrenceEffect): Promise<void> {
    this.effects.delete(startMs);
  }
}

const newForecaster = (memory = new MapMemory()): CalendarForecaster =>
  new CalendarForecaster({ calendar: calendarOf(sales), driver: 'queries', base: lastWeekAgain, memory });

/** Mean absolute error of the queries over a day of the forecast, as a share of their mean. */
function errorOnDay(forecast: Forecast, queries: Float64Array, day: number): number {
  let [error, total] = [0, 0];
  for (let hour = day * 24; hour < (day + 1) * 24; hour++)
    for (let p = 0; p < PARTITIONS; p++) {
      const step = hour - forecast.startMs / HOUR_MS;
      const truth = queries[hour * PARTITIONS + p] as number;
      error += Math.abs((forecast.point[(step * PARTITIONS + p) * LOAD_DIMENSION_COUNT] as number) - truth);
      total += truth;
    }
  return error / total;
}

test('the fifth sale of a year is forecast to 15 % from the four before, and is missed without the calendar', async () => {
  const queries = yearOfQueries();
  const forecaster = newForecaster();
  // Ten weeks of history at a time, as a coordinator has them.
  for (let day = 56; day < 328; day += 14) await forecaster.forecast(profileAt(queries, day * 24));
  check.is(forecaster.effects.length, 4);
  const profile = profileAt(queries, 328 * 24);
  const informed = await forecaster.forecast(profile);
  const blind = await lastWeekAgain.forecast(profile);
  const informedError = errorOnDay(informed, queries, 330);
  const blindError = errorOnDay(blind, queries, 330);
  check.ok(informedError < 0.15, `informed ${informedError}`);
  check.ok(blindError > 0.6, `blind ${blindError}`);
  // Ordinary days stay as they are.
  check.ok(errorOnDay(informed, queries, 329) === errorOnDay(blind, queries, 329));

  let inside = 0;
  for (let step = 48; step < 72; step++)
    for (let p = 0; p < PARTITIONS; p++) {
      const at = (step * PARTITIONS + p) * LOAD_DIMENSION_COUNT;
      const truth = queries[(328 * 24 + step) * PARTITIONS + p] as number;
      if (truth >= (informed.lower[at] as number) && truth <= (informed.upper[at] as number)) inside++;
    }
  check.ok(inside >= 0.8 * 24 * PARTITIONS, `${inside} of ${24 * PARTITIONS} within the bounds`);
});

/** Of the queries of a year: what is read comes with them, with noise; at a sale three times as much is written a query as else. */
function withBytes(queries: Float64Array, endHour: number): LoadProfile {
  const profile = profileAt(queries, endHour);
  const random = seededRandom(seed).fork(`bytes until ${endHour}`);
  const sold = new Set(saleDays);
  for (let cell = 0; cell < profile.windowCount * PARTITIONS; cell++) {
    const hour = profile.startMs / HOUR_MS + Math.floor(cell / PARTITIONS);
    const asked = profile.values[cell * LOAD_DIMENSION_COUNT] as number;
    const written = 40 * (sold.has(Math.floor(hour / 24)) ? 3 : 1);
    profile.values[cell * LOAD_DIMENSION_COUNT + 2] = asked * 500 * Math.exp(0.1 * normal(random));
    profile.values[cell * LOAD_DIMENSION_COUNT + 3] = asked * written * Math.exp(0.1 * normal(random));
  }
  return profile;
}

test('a dimension that earlier sales raised by more than the queries is raised by more; one that came with them comes with them', async () => {
  const queries = yearOfQueries();
  const memory = new MapMemory();
  const forecaster = newForecaster(memory);
  for (let day = 56; day < 328; day += 14) await forecaster.forecast(withBytes(queries, day * 24));
  const profile = withBytes(queries, 328 * 24);
  const informed = await forecaster.forecast(profile);
  const usual = await lastWeekAgain.forecast(profile);
  /** How many times the usual of a dimension is forecast on the day of the sale, all partitions together. */
  const raised = (forecast: Forecast, values: Float64Array, dimension: number): number => {
    let [sum, before] = [0, 0];
    for (let at = 48 * PARTITIONS; at < 72 * PARTITIONS; at++) {
      sum += values[at * LOAD_DIMENSION_COUNT + dimension] as number;
      before += usual.point[at * LOAD_DIMENSION_COUNT + dimension] as number;
    }
    check.is(forecast.startMs, usual.startMs);
    return sum / before;
  };
  const [asked, read, written] = [0, 2, 3].map((dimension) =>
    raised(informed, informed.point, dimension),
  ) as [number, number, number];
  check.ok(Math.abs(read / asked - 1) < 0.05, `read ${read}, asked ${asked}, SEED=${seed}`);
  check.ok(Math.abs(written / asked / 3 - 1) < 0.1, `written ${written}, asked ${asked}, SEED=${seed}`);
  for (const values of [informed.mean, informed.lower, informed.upper]) {
    const ratio = raised(informed, values, 3) / raised(informed, values, 0);
    check.ok(ratio > 2.5 && ratio < 3.5, `${ratio}, SEED=${seed}`);
  }
  // Nothing of CPU was measured: there is no factor, and no NaN.
  check.ok(informed.point.every((value, i) => (i % LOAD_DIMENSION_COUNT === 1 ? value === 0 : value > 0)));

  // What an older version has learnt knows the driver alone.
  for (const [key, { byDimension: _, ...older }] of memory.effects) memory.effects.set(key, older);
  const begun = new CalendarForecaster({
    ...{ calendar: calendarOf(sales), driver: 'queries', base: lastWeekAgain, memory },
  });
  const short = {
    ...profile,
    startMs: profile.startMs + 1_000 * HOUR_MS,
    windowCount: profile.windowCount - 1_000,
  };
  const width = PARTITIONS * LOAD_DIMENSION_COUNT;
  const older = await begun.forecast({
    ...short,
    values: profile.values.subarray(1_000 * width),
    coverage: profile.coverage.subarray(1_000),
  });
  const ratio = raised(older, older.point, 3) / raised(older, older.point, 0);
  check.ok(Math.abs(ratio - 1) < 0.01, `${ratio}, SEED=${seed}`);
});

test('ratios that differ from week to week anyhow are not taken for what an event does', () => {
  const noisy = (during: number, noiseVariance: number): OccurrenceEffect => ({
    ...{ name: 'Sale', kind: '', startMs: 0, noiseVariance: 0 },
    ...{ byPhase: Float64Array.of(1), byPartition: new Float32Array(1) },
    byDimension: { writeBytes: { byPhase: Float64Array.of(during), noiseVariance } },
  });
  const learnt = (effect: OccurrenceEffect): number =>
    learnUplift(event('Sale', DAY_MS, 24), [effect])?.byDimension?.writeBytes?.byPhase[0] ?? Number.NaN;
  check.is(learnt(noisy(0.5, 0.5)), 0);
  const known = learnt(noisy(0.5, 0.01));
  check.ok(known > 0.45 && known < 0.5, `${known}`);
});

test('the week after a sale is forecast as an ordinary one', async () => {
  const queries = yearOfQueries();
  const forecaster = newForecaster();
  const profile = profileAt(queries, 188 * 24);
  const informed = await forecaster.forecast(profile);
  check.ok(errorOnDay(informed, queries, 192) < 0.2);
  check.ok(errorOnDay(await lastWeekAgain.forecast(profile), queries, 192) > 0.6);
});

test('what was learnt is known to the next coordinator, whose history no longer holds it', async () => {
  const queries = yearOfQueries();
  const memory = new MapMemory();
  const before = newForecaster(memory);
  for (let day = 56; day < 328; day += 7) await before.forecast(profileAt(queries, day * 24));
  const after = newForecaster(memory);
  const forecast = await after.forecast(profileAt(queries, 328 * 24));
  check.is(after.effects.length, 4);
  check.ok(errorOnDay(forecast, queries, 330) < 0.15);
  check.ok(
    memory.keptCount >= 8 && memory.keptCount <= 20,
    `kept at first and weekly, ${memory.keptCount} times`,
  );
});

test('the forecaster of the project takes a calendar: a monthly batch day is raised, the days around are not', async () => {
  const batchDays = [7, 21, 35];
  const batches = [...batchDays, 45].map((day) => event('Batch', day * DAY_MS, 24));
  const random = seededRandom(seed).fork('batch');
  const queries = Float64Array.from({ length: 46 * 24 * PARTITIONS }, (_, i) => {
    const hour = Math.floor(i / PARTITIONS);
    const usual = 300 * (1 + 0.5 * Math.sin((2 * Math.PI * hour) / 24));
    const isBatch = [...batchDays, 45].includes(Math.floor(hour / 24));
    return usual * (isBatch ? 3 : 1) * Math.exp(0.05 * normal(random));
  });
  const forecaster = new Forecaster(
    {
      ...FORECAST_DEFAULTS,
      horizonSteps: 48,
      historyWindows: 1056,
      members: ['level', 'day', 'naive-week', 'weeks'],
    },
    { runner: inlineRunner(loadKernels()), random: seededRandom(1n), logger: silentLogger },
  );
  const base = {
    async forecast(profile: LoadProfile): Promise<Forecast> {
      await forecaster.observe(profile);
      return forecaster.forecast();
    },
  };
  const informed = new CalendarForecaster({
    calendar: calendarOf(batches),
    driver: 'queries',
    base,
    memory: new MapMemory(),
  });
  const forecast = await informed.forecast(profileAt(queries, 44 * 24));
  forecaster.close();
  check.ok(errorOnDay(forecast, queries, 44) < 0.1, `an ordinary day: ${errorOnDay(forecast, queries, 44)}`);
  check.ok(errorOnDay(forecast, queries, 45) < 0.1, `the batch day: ${errorOnDay(forecast, queries, 45)}`);
});

const effect = (name: string, startMs: number, log: number, kind = '') => ({
  name,
  kind,
  startMs,
  byPhase: Float64Array.of(log),
  byPartition: new Float32Array(PARTITIONS),
  noiseVariance: 0.01,
});

test('an event without history goes by the operator, then by its kind, then by nothing', () => {
  const history = [
    effect('Easter', 0, Math.log(0.5), 'holiday'),
    effect('Whitsun', 1, Math.log(0.5), 'holiday'),
  ];
  const of = (more: Partial<CalendarEvent>) => learnUplift(event('Assumption', 10, 24, more), history);
  check.ok(Math.abs(Math.exp(of({ kind: 'holiday' })?.byPhase[0] ?? 0) - 0.5) < 1e-9);
  check.ok(Math.abs(Math.exp(of({ kind: 'holiday', uplift: 3 })?.byPhase[0] ?? 0) - 3) < 1e-9);
  check.is(of({ kind: 'fair' }), undefined);
  check.is(of({}), undefined);
});

test('the more occurrences are known and the more alike they are, the surer', () => {
  const sale = event('Sale', 100, 24);
  const variance = (logs: readonly number[]): number =>
    learnUplift(
      sale,
      logs.map((log, i) => effect('Sale', i, log)),
    )?.variance ?? 0;
  check.ok(variance([1]) > variance([1, 1]) && variance([1, 1]) > variance([1, 1, 1, 1]));
  check.ok(variance([1, 1, 1, 1]) < variance([0.2, 1.8, 0.3, 1.7]));
  check.ok(variance([1]) < (learnUplift({ ...sale, uplift: 3 }, [])?.variance ?? 0));
});

test('a coming occurrence is not learnt from, nor one that comes after it', () => {
  check.is(learnUplift(event('Sale', 100, 24), [effect('Sale', 100, 1), effect('Sale', 200, 1)]), undefined);
});

const flat = (level: number): Forecast => {
  const of = (value: number) => new Float64Array(6 * PARTITIONS * LOAD_DIMENSION_COUNT).fill(value);
  return {
    startMs: 0,
    stepMs: HOUR_MS,
    horizonSteps: 6,
    partitionCount: PARTITIONS,
    level: 0.8,
    point: of(level),
    mean: of(1.5 * level),
    lower: of(level / 2),
    upper: of(level * 2),
    skill: new Float64Array(PARTITIONS),
    members: [],
  };
};
const byHand = (factor: number) => ({
  byPhase: Float64Array.of(Math.log(factor)),
  byPartition: new Float64Array(0),
  variance: 0.16,
  occurrenceCount: 0,
});
const pointAt = (forecast: Forecast, step: number): number =>
  forecast.point[step * PARTITIONS * LOAD_DIMENSION_COUNT] as number;

test('a window covered by half gets half of the log factor, two events at once multiply, others are left alone', () => {
  const raised = applyUplift(flat(10), [
    { event: event('A', 1.5 * HOUR_MS, 2), uplift: byHand(4) },
    { event: event('B', 2 * HOUR_MS, 1), uplift: byHand(3) },
  ]);
  const points = [0, 1, 2, 3, 4].map((step) => Math.round(pointAt(raised, step) * 1e6) / 1e6);
  check.equal(points, [10, 20, 120, 20, 10]);
  raised.mean.forEach((mean, i) => {
    check.ok(Math.abs(mean - 1.5 * (raised.point[i] as number)) < 1e-9, 'the mean is raised as the point is');
  });
});

test('bounds go with the point and further apart, and a forecast of nothing stays at nothing or above', () => {
  const events = [{ event: event('A', 0, 6), uplift: byHand(3) }];
  const { lower, upper } = applyUplift(flat(10), events);
  // sqrt(ln(2)^2 + (1.2816 x 0.4)^2) instead of ln(2)
  check.ok(Math.abs((upper[0] as number) - 30 * Math.exp(Math.hypot(Math.LN2, 1.28155 * 0.4))) < 1e-3);
  check.ok(Math.abs((lower[0] as number) - 30 * Math.exp(-Math.hypot(Math.LN2, 1.28155 * 0.4))) < 1e-3);
  const wide = {
    level: 0.95,
    lower: flat(10).lower.map((x) => x / 2),
    upper: flat(10).upper.map((x) => x * 2),
  };
  const [interval] = applyUplift({ ...flat(10), intervals: [wide] }, events).intervals ?? [];
  check.ok(
    Math.abs((interval?.upper[0] as number) - 30 * Math.exp(Math.hypot(Math.log(4), 1.95996 * 0.4))) < 1e-2,
  );
  const none = applyUplift(
    { ...flat(0), upper: new Float64Array(6 * PARTITIONS * LOAD_DIMENSION_COUNT).fill(2) },
    events,
  );
  check.is(pointAt(none, 0), 0);
  check.is(none.lower[0], 0);
  check.ok((none.upper[0] as number) > 6);
});

test.run();
