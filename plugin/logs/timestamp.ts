import { abbreviationOffsetMs, LogPasses, type Passes, type TimeZone } from './time-zone.ts';

/** ISO 8601 as databases write it: `2024-01-15T10:23:45.123Z`, with a space, without seconds, with or without an offset. */
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s?(Z|[+-]\d\d(?::?\d\d)?|[A-Za-z]{1,5})?$/;
const EPOCH = /^-?\d+(?:\.\d+)?$/;

/** Beyond the year 5138: seconds, milliseconds and microseconds are told apart by size alone. */
const EPOCH_MS_MAX = 1e14;

/**
 * Reads the times of one log. Keeps the instant of the line before, which tells the two passes of autumn's hour apart, and
 * the last date, since thousands of lines share it.
 */
export class TimestampReader {
  readonly #zone: TimeZone;
  readonly #isZoneGiven: boolean;
  readonly #passes: Passes;
  #dateText = '';
  #dateMs = 0;

  /** @param isZoneGiven the user named the zone: it then wins over an abbreviation that means something else there. */
  constructor(zone: TimeZone, isZoneGiven: boolean, passes: Passes = new LogPasses()) {
    this.#passes = passes;
    this.#zone = zone;
    this.#isZoneGiven = isZoneGiven;
  }

  /** @returns milliseconds since 1970, or NaN where the text is no time. */
  iso(text: string): number {
    const match = ISO.exec(text);
    if (match === null) return Number.NaN;
    const [, year, month, day, hour = '0', minute = '0', second = '0', fraction, zone] = match;
    const date = this.#dateOf(text, year as string, month as string, day as string);
    const seconds = +hour * 3_600 + +minute * 60 + +second;
    // 24:00 and a leap second's :60 are times, more is not.
    if (seconds > 86_400 || +minute > 59 || +second > 60) return Number.NaN;
    const milliseconds = fraction === undefined ? 0 : Math.trunc(+`0.${fraction}` * 1_000 + 1e-6);
    return this.instant(date + seconds * 1_000 + milliseconds, zone);
  }

  /** Epoch milliseconds, as a number or in digits, or ISO 8601. */
  epochOrIso(value: unknown): number {
    if (typeof value === 'number') return isEpoch(value) ? value : Number.NaN;
    if (typeof value !== 'string') return Number.NaN;
    const text = value.trim();
    if (!EPOCH.test(text)) return this.iso(text);
    return isEpoch(+text) ? +text : Number.NaN;
  }

  /**
   * The instant of a clock's reading.
   *
   * @param localMs the reading as if it were UTC.
   * @param zone `Z`, an offset, an abbreviation, or none.
   */
  instant(localMs: number, zone: string | undefined): number {
    const instant = this.#instant(localMs, zone);
    if (!Number.isNaN(instant)) this.#passes.observe(instant);
    return instant;
  }

  #instant(localMs: number, zone: string | undefined): number {
    if (zone === undefined || zone === '') return this.#zone.toUtc(localMs, this.#passes);
    if (zone === 'Z' || zone === 'UTC') return localMs;
    const first = zone.charCodeAt(0);
    if (first === 43 /* + */ || first === 45 /* - */) return localMs - offsetMs(zone);
    const offset = abbreviationOffsetMs(zone.toUpperCase());
    if (this.#isZoneGiven && (offset === undefined || !this.#zone.hasOffset(localMs, offset)))
      return this.#zone.toUtc(localMs, this.#passes);
    return offset === undefined ? Number.NaN : localMs - offset;
  }

  #dateOf(text: string, year: string, month: string, day: string): number {
    const dateText = text.slice(0, 10);
    if (dateText === this.#dateText) return this.#dateMs;
    const ms = dateMs(+year, +month, +day);
    // NaN is not remembered: the text would be found equal and be taken for a date.
    if (Number.isNaN(ms)) return ms;
    this.#dateText = dateText;
    this.#dateMs = ms;
    return ms;
  }
}

const isEpoch = (ms: number): boolean => Number.isFinite(ms) && Math.abs(ms) < EPOCH_MS_MAX;

/** `+02:00`, `+0200`, `-03` in ms. */
function offsetMs(text: string): number {
  const digits = text.slice(1).replace(':', '');
  const minutes = +digits.slice(0, 2) * 60 + +(digits.slice(2) || '0');
  return (text.startsWith('-') ? -1 : 1) * minutes * 60_000;
}

/** Midnight of a date as if in UTC; NaN for a date that does not exist. */
export function dateMs(year: number, month: number, day: number): number {
  const ms = Date.UTC(year, month - 1, day);
  const date = new Date(ms);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? ms : Number.NaN;
}
