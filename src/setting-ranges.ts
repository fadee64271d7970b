import { RELIEF_RANGES } from './affinity/relief/settings.ts';
import { AFFINITY_RANGES } from './affinity/settings.ts';
import { TIMETABLE_RANGES } from './affinity/timetable/settings.ts';
import { FORECAST_RANGES } from './analyzer/settings.ts';
import type { Range } from './base/claims.ts';
import { MIGRATION_RANGES } from './migration/settings.ts';

/** What each room lets its numbers be, by path such as `forecast.ridge.lambda`: for editors, which complete a config file. */
export const SETTING_RANGES: ReadonlyMap<string, Range> = new Map(
  Object.entries({
    forecast: FORECAST_RANGES,
    affinity: AFFINITY_RANGES,
    'affinity.timetable': TIMETABLE_RANGES,
    'affinity.relief': RELIEF_RANGES,
    migration: MIGRATION_RANGES,
  }).flatMap(([section, ranges]) =>
    Object.entries(ranges).map(([path, range]): [string, Range] => [`${section}.${path}`, range]),
  ),
);
