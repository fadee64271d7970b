import { ForeshardError } from '../../src/base/errors.ts';
import { zoneOffset } from './zone-offset.ts';

const QUARTER_HOUR_MS = 900_000;
const DAY_MS = 86_400_000;
/** Offsets that are remembered; a log of 28 years has a million quarter hours, of which few are asked twice. */
const REMEMBERED_MAX = 4_096;

/** Tells the two passes of autumn's hour apart, by what stood before. */
export interface Passes {
  observe(instantMs: number): void;
  choose(firstMs: number, secondMs: number): number;
}

/** Of a log, whose lines are nearly in order: the first pass is meant until time has reached its end. */
export class LogPasses implements Passes {
  #previousMs = Number.NEGATIVE_INFINITY;

  observe(instantMs: number): void {
    this.#previousMs = instantMs;
  }

  choose(firstMs: number, secondMs: number): number {
    return firstMs >= this.#previousMs - QUARTER_HOUR_MS ? firstMs : secondMs;
  }
}

/** Of a series, which has one value a time: a reading that has been is the other pass, in whichever direction the rows go. */
export class SeriesPasses implements Passes {
  #previousMs = Number.NEGATIVE_INFINITY;
  #isDescending = false;

  observe(instantMs: number): void {
    if (instantMs !== this.#previousMs) this.#isDescending = instantMs < this.#previousMs;
    this.#previousMs = instantMs;
  }

  choose(firstMs: number, secondMs: number): number {
    if (this.#isDescending) return secondMs < this.#previousMs ? secondMs : firstMs;
    return firstMs > this.#previousMs ? firstMs : secondMs;
  }
}

/**
 * A zone of the IANA database, for logs that write local time without saying where.
 *
 * Local time is ambiguous once a year and missing once a year: see {@link TimeZone.toUtc}.
 */
export class TimeZone {
  readonly name: string;
  /** Null of UTC. */
  readonly #zoneOffset: ((instantMs: number) => number) | null;
  readonly #offsetOf = new Map<number, number>();
  /** The last quarter hour that had one offset for certain: nearly all lines are in it. */
  #memoQuarter = Number.NaN;
  #memoOffset = 0;

  /** @throws ForeshardError FORESHARD_CONFIG on a name that the platform does not know. */
  constructor(name: string) {
    this.name = name;
    try {
      this.#zoneOffset = isUtc(name) ? null : zoneOffset(name);
    } catch {
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `--time-zone: found "${name}", it must be a name such as UTC, Europe/Berlin or America/New_York`,
      );
    }
  }

  /**
   * The instant at which a clock in this zone shows `localMs`.
   *
   * A time that does not exist in spring counts as what a clock that was not put forward shows.
   *
   * @param localMs the clock's reading, as if it were UTC.
   * @param passes says which one is meant in the hour that comes twice in autumn.
   */
  toUtc(localMs: number, passes: Passes): number {
    if (this.#zoneOffset === null) return localMs;
    const quarter = Math.floor(localMs / QUARTER_HOUR_MS);
    if (quarter === this.#memoQuarter) return localMs - this.#memoOffset;
    // No zone changes its offset twice in two days, so these are the offsets on both sides of a change.
    const before = this.#offsetAt(localMs - DAY_MS);
    const after = this.#offsetAt(localMs + DAY_MS);
    if (before === after) {
      this.#memoQuarter = quarter;
      this.#memoOffset = before;
      return localMs - before;
    }
    const first = localMs - before;
    const second = localMs - after;
    const isFirst = this.#offsetAt(first) === before;
    const isSecond = this.#offsetAt(second) === after;
    if (isFirst && isSecond) return passes.choose(first, second);
    return isSecond ? second : first;
  }

  /** The offsets around an instant that `localMs` may have: for a log that names its offset by an abbreviation. */
  hasOffset(localMs: number, offsetMs: number): boolean {
    return this.#offsetAt(localMs - offsetMs) === offsetMs;
  }

  /** Local time - UTC at an instant, ms. Zones change at quarter hours. */
  #offsetAt(utcMs: number): number {
    if (this.#zoneOffset === null) return 0;
    const quarter = Math.floor(utcMs / QUARTER_HOUR_MS);
    const known = this.#offsetOf.get(quarter);
    if (known !== undefined) return known;
    const offset = this.#zoneOffset(quarter * QUARTER_HOUR_MS);
    if (this.#offsetOf.size >= REMEMBERED_MAX) this.#offsetOf.clear();
    this.#offsetOf.set(quarter, offset);
    return offset;
  }
}

const isUtc = (name: string): boolean => /^(utc|gmt|z|etc\/utc)$/i.test(name);

const HOUR_MS = 3_600_000;

/**
 * Abbreviations as PostgreSQL reads them by default (its timezonesets/Default), those that servers really print. Several mean
 * more than one thing elsewhere; `--time-zone` decides then.
 */
const ABBREVIATION_HOURS: Readonly<Record<string, number>> = {
  UTC: 0, GMT: 0, Z: 0, WET: 0, WEST: 1, BST: 1, CET: 1, CEST: 2, EET: 2, EEST: 3, MSK: 3, IST: 2, IDT: 3, SAST: 2,
  NST: -3.5, NDT: -2.5, AST: -4, ADT: -3, EST: -5, EDT: -4, CST: -6, CDT: -5, MST: -7, MDT: -6, PST: -8, PDT: -7,
  AKST: -9, AKDT: -8, HST: -10, JST: 9, KST: 9, HKT: 8, PHT: 8, AWST: 8, ACST: 9.5, ACDT: 10.5, AEST: 10, AEDT: 11,
  NZST: 12, NZDT: 13, BRT: -3, BRST: -2, ART: -3,
}; // biome-ignore format: a table

/** The offset an abbreviation stands for, ms; undefined where it is not known. */
export function abbreviationOffsetMs(name: string): number | undefined {
  const hours = ABBREVIATION_HOURS[name];
  return hours === undefined ? undefined : hours * HOUR_MS;
}
