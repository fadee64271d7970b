import { HOURS_PER_WEEK, hourOfWeek } from '../../../src/analyzer/patterns/hour-of-week.ts';
import type { TypeHours } from '../../../src/analyzer/patterns/window-patterns.ts';
import { OTHER } from '../../../src/model/affinity-matrix.ts';
import {
  PUBLISHED_HOURS_TYPES_MAX,
  packHours,
  type QueryHoursRecord,
  unpackHours,
} from './query-hours-record.ts';

const HOUR_MS = 3_600_000;
/** Processes publish when a window ends, and not all in the same second: one that is behind by no more lives as the others do. */
const LIVING_WINDOWS = 2;

/** What several processes have told of the hours of the week, as one. */
export interface LatestHours {
  readonly types: readonly TypeHours[];
  /** As of a record. */
  readonly watched: string;
  /** [hour]: when the last such hour that somebody watched began; 0 where nobody has. */
  readonly heardMs: readonly number[];
}

/**
 * Adds up processes that watched the same hour, and lets a later week take the place of an earlier one: an application that is started
 * anew every day is one process on each of them, not seven at once.
 *
 * @param records of processes that live, that have gone, and what is remembered of such.
 */
export function latestHours(records: readonly QueryHoursRecord[]): LatestHours {
  const newestMs = Math.max(
    ...records.filter(({ heardMs }) => heardMs === undefined).map(({ atMs }) => atMs),
  );
  const heardOf = new Map(records.map((record) => [record, heardBy(record, newestMs)]));
  const heardMs = Array.from({ length: HOURS_PER_WEEK }, (_, hour) =>
    Math.max(0, ...[...heardOf.values()].map((heard) => heard[hour] as number)),
  );
  const sums = new Map<string, Float64Array>();
  for (const [record, heard] of heardOf)
    for (const type of record.types) {
      const sum = sums.get(type.template) ?? new Float64Array(HOURS_PER_WEEK);
      const hours = unpackHours(type);
      for (let h = 0; h < HOURS_PER_WEEK; h++)
        if (heard[h] === heardMs[h]) sum[h] = (sum[h] as number) + (hours[h] as number);
      sums.set(type.template, sum);
    }
  return {
    types: [...sums].map(([template, hours]) => ({ template, hours })),
    watched: heardMs.map((ms) => Number(ms > 0)).join(''),
    heardMs,
  };
}

/** A record that remembers what others have told: the largest types, and the rest as "(other)". */
export function rememberedHours(records: readonly QueryHoursRecord[]): QueryHoursRecord {
  const { types, watched, heardMs } = latestHours(records);
  const sized = types.map((type) => ({ ...type, size: type.hours.reduce((sum, rate) => sum + rate, 0) }));
  sized.sort((a, b) => b.size - a.size || (a.template < b.template ? -1 : 1));
  const told = sized.filter(({ template }) => template !== OTHER).slice(0, PUBLISHED_HOURS_TYPES_MAX);
  const rest = sized.filter((type) => !told.includes(type));
  const other = Float64Array.from({ length: HOURS_PER_WEEK }, (_, h) =>
    rest.reduce((sum, { hours }) => sum + (hours[h] as number), 0),
  );
  const last = records.reduce((newest, record) => (record.atMs > newest.atMs ? record : newest));
  return {
    ...{ v: 1, atMs: last.atMs, windowMs: last.windowMs, halfLifeMs: last.halfLifeMs, watched, heardMs },
    types: [...told, ...(rest.length > 0 ? [{ template: OTHER, hours: other }] : [])].map(packHours),
  };
}

/** [hour]: when the last such hour that is in a record began; 0 where it was not watched. */
function heardBy(
  { atMs, windowMs, watched, heardMs }: QueryHoursRecord,
  newestMs: number,
): readonly number[] {
  if (heardMs !== undefined) return heardMs;
  // It is written when its last window has ended.
  const asOfMs = (atMs > newestMs - LIVING_WINDOWS * windowMs ? newestMs : atMs) - windowMs;
  const hourMs = Math.floor(asOfMs / HOUR_MS) * HOUR_MS;
  return Array.from({ length: HOURS_PER_WEEK }, (_, hour) => {
    const hoursAgo = (hourOfWeek(asOfMs) - hour + HOURS_PER_WEEK) % HOURS_PER_WEEK;
    return watched[hour] === '1' ? hourMs - hoursAgo * HOUR_MS : 0;
  });
}
