import { assert } from '../../base/assert.ts';

export const HOURS_PER_WEEK = 168;
const HOUR_MS = 3_600_000;
/** 1970-01-01 was a Thursday. */
const EPOCH_HOUR_OF_WEEK = 3 * 24;
/** A window is spread over the hours it covers in steps of this, which divides an hour. */
const SPREAD_MS = 900_000;

/** 0 is Monday 00:00 UTC. */
export const hourOfWeek = (timeMs: number): number => {
  const hour = (Math.floor(timeMs / HOUR_MS) + EPOCH_HOUR_OF_WEEK) % HOURS_PER_WEEK;
  return hour < 0 ? hour + HOURS_PER_WEEK : hour;
};

const DAY_NAMES = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

/** `mon 09:00`, `Monday 9`, `sun 23:30` (minutes are cut off). @returns 0..167, or null where it is no such time. */
export function parseHourOfWeek(text: string): number | null {
  const [, dayText = '', hourText = ''] =
    /^\s*([a-z]{3,9})[\s,]+(\d{1,2})(?::[0-5]\d)?\s*$/i.exec(text) ?? [];
  const day = DAY_NAMES.findIndex((name) => dayText !== '' && name.startsWith(dayText.toLowerCase()));
  const hour = Number(hourText);
  return day < 0 || hourText === '' || hour > 23 ? null : day * 24 + hour;
}

/** `mon 09:00`. */
export const hourOfWeekName = (hour: number): string =>
  `${(DAY_NAMES[Math.floor(hour / 24)] as string).slice(0, 3)} ${String(hour % 24).padStart(2, '0')}:00`;

/** For how long each hour of the week was watched, weighted like the counts: by this counts become rates. */
export class WatchedHours {
  readonly #watchedMs = new Float64Array(HOURS_PER_WEEK);

  /** @param weight of the window, as of the counts in it. */
  add(window: { readonly startMs: number; readonly windowMs: number }, weight: number): void {
    for (const [hour, share] of hoursOf(window))
      this.#watchedMs[hour] = (this.#watchedMs[hour] as number) + share * window.windowMs * weight;
  }

  has(hour: number): boolean {
    return (this.#watchedMs[hour] as number) > 0;
  }

  /** How many of the 168 were watched at all. */
  get count(): number {
    return this.#watchedMs.reduce((count, watched) => count + Number(watched > 0), 0);
  }

  /**
   * Counts an hour, as if all weeks were like the weighted mean of those seen.
   *
   * @param counts f64[hour] of `HourOfWeekCounts`; none: zeros.
   * @returns f64[hour]; 0 where the hour was never watched.
   */
  ratesOf(counts: Float64Array | undefined): Float64Array {
    return this.#watchedMs.map((watched, hour) =>
      watched > 0 ? ((counts?.[hour] ?? 0) * HOUR_MS) / watched : 0,
    );
  }

  rescale(factor: number): void {
    for (let h = 0; h < HOURS_PER_WEEK; h++) this.#watchedMs[h] = (this.#watchedMs[h] as number) * factor;
  }
}

/**
 * Counts by hour of the week for many rows: templates, or template x partition.
 *
 * 64-bit sums: queries are added one by one, and a 32-bit sum stands still from 16 million on, or rounds every weight.
 *
 * Bounded: 1,344 bytes a row and at most `rowsMax` rows. Where one more comes, the smallest quarter is forgotten and begins anew.
 */
export class HourOfWeekCounts {
  readonly #rowsMax: number;
  /** f64[hour] by row. */
  readonly #rows = new Map<number, Float64Array>();
  /** Of rows that were forgotten: where rows come and go, making new ones would be most of the work. */
  readonly #spare: Float64Array[] = [];

  constructor(options: { readonly rowsMax: number }) {
    assert(options.rowsMax >= 4, 'a quarter of the rows is at least one');
    this.#rowsMax = options.rowsMax;
  }

  get rowCount(): number {
    return this.#rows.size;
  }

  add(row: number, hour: number, amount: number): void {
    const counts = this.#countsOf(row);
    counts[hour] = (counts[hour] as number) + amount;
  }

  /** A count of a whole window, spread evenly over the hours that it covers: `hoursOf(window)`. */
  addWindow(row: number, hours: ReadonlyMap<number, number>, amount: number): void {
    const counts = this.#countsOf(row);
    for (const [hour, share] of hours) counts[hour] = (counts[hour] as number) + share * amount;
  }

  /** f64[hour]; undefined where the row is not kept. */
  of(row: number): Float64Array | undefined {
    return this.#rows.get(row);
  }

  /** Counts rows as part of others. */
  moveRows(targetOf: (row: number) => number): void {
    for (const [row, counts] of [...this.#rows]) {
      const target = targetOf(row);
      if (target === row) continue;
      this.#rows.delete(row);
      const sum = this.#rows.get(target);
      if (sum === undefined) this.#rows.set(target, counts);
      else {
        for (let h = 0; h < HOURS_PER_WEEK; h++) sum[h] = (sum[h] as number) + (counts[h] as number);
        this.#spare.push(counts);
      }
    }
  }

  rescale(factor: number): void {
    for (const counts of this.#rows.values())
      for (let h = 0; h < HOURS_PER_WEEK; h++) counts[h] = (counts[h] as number) * factor;
  }

  #countsOf(row: number): Float64Array {
    const known = this.#rows.get(row);
    if (known !== undefined) return known;
    if (this.#rows.size >= this.#rowsMax) this.#forgetSmallest();
    const counts = this.#spare.pop()?.fill(0) ?? new Float64Array(HOURS_PER_WEEK);
    this.#rows.set(row, counts);
    return counts;
  }

  #forgetSmallest(): void {
    const sums = [...this.#rows].map(([row, counts]) => ({ row, counts, sum: sumOf(counts) }));
    sums.sort((a, b) => a.sum - b.sum);
    for (const { row, counts } of sums.slice(0, Math.ceil(sums.length / 4))) {
      this.#rows.delete(row);
      this.#spare.push(counts);
    }
  }
}

function sumOf(counts: Float64Array): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}

/** The hours of the week that a window covers, with the share of it that falls in each. */
export function hoursOf({
  startMs,
  windowMs,
}: {
  readonly startMs: number;
  readonly windowMs: number;
}): Map<number, number> {
  const steps = Math.max(1, Math.ceil(windowMs / SPREAD_MS));
  const shares = new Map<number, number>();
  for (let step = 0; step < steps; step++) {
    const hour = hourOfWeek(startMs + ((step + 0.5) * windowMs) / steps);
    shares.set(hour, (shares.get(hour) ?? 0) + 1 / steps);
  }
  return shares;
}
