import type { Calendar, CalendarEvent } from '../../src/model/calendar.ts';
import { calendarError } from './calendar-error.ts';
import { type EventRule, type Occurrence, occurrenceAt } from './event-rule.ts';
import { dayOf, type RuleDay, ruleDays } from './rule-days.ts';
import { DAY_MS, momentOf, type Reading } from './wall-clock.ts';

/** Since a daily event began in 1970, some 20,000 have been; more than this is a mistake. */
const OCCURRENCES_MAX = 100_000;
/** Of all events together, at some 100 bytes each. */
const OCCURRENCES_TOGETHER_MAX = 1_000_000;

/** All occurrences from one on may be moved back by as much and are still found. */
const MOVED_MS_MAX = 31 * DAY_MS;

/** Occurrences of the rules of a file, expanded as far as they have been asked for. */
export class RuleCalendar implements Calendar {
  readonly #expansions: readonly Expansion[];

  /** @throws ForeshardError FORESHARD_CONFIG naming an event whose rule has no meaning. */
  constructor(rules: readonly EventRule[]) {
    this.#expansions = rules.map((rule) => new Expansion(rule));
  }

  /** @throws ForeshardError FORESHARD_CONFIG naming an event that comes too often. */
  occurrences(fromMs: number, toMs: number): readonly CalendarEvent[] {
    let together = 0;
    return this.#expansions
      .flatMap((expansion) => {
        const known = expansion.until(toMs);
        together += known.length;
        if (together > OCCURRENCES_TOGETHER_MAX)
          throw calendarError(
            expansion.rule.where,
            `more than ${OCCURRENCES_TOGETHER_MAX} occurrences with the events before it: let daily ones begin later`,
          );
        return known.filter(({ startMs, endMs }) => startMs < toMs && endMs > fromMs);
      })
      .sort((a, b) => a.startMs - b.startMs || (a.name < b.name ? -1 : 1));
  }

  /** Rules that nothing has come of yet. */
  get silent(): readonly EventRule[] {
    return this.#expansions.filter(({ isSilent }) => isSilent).map(({ rule }) => rule);
  }
}

/**
 * Exceptions that take out nothing.
 *
 * @throws ForeshardError as {@link RuleCalendar} does.
 */
export function unusedExceptions(rule: EventRule): Reading[] {
  const expansion = new Expansion({ ...rule, excluded: [] });
  return rule.excluded.filter((excluded) => {
    const fromMs = momentOf(excluded);
    const toMs = excluded.isDay ? momentOf({ ...excluded, localMs: excluded.localMs + DAY_MS }) : fromMs + 1;
    return !expansion.until(toMs).some(({ startMs }) => startMs >= fromMs && startMs < toMs);
  });
}

interface Source {
  readonly days: Iterator<RuleDay, undefined>;
  reachedMs: number;
}

class Expansion {
  readonly rule: EventRule;
  readonly #known: CalendarEvent[] = [];
  /** Beginnings that are taken, or taken out. */
  readonly #done: Set<number>;
  readonly #excludedDays: ReadonlySet<number>;
  readonly #sources: readonly Source[];

  constructor(rule: EventRule) {
    this.rule = rule;
    this.#done = new Set(rule.excluded.filter(({ isDay }) => !isDay || rule.start.isDay).map(momentOf));
    this.#excludedDays = new Set(rule.excluded.filter(({ isDay }) => isDay).map(dayOf));
    // The first day of a rule is the rule's; it need not be the one that the event is said to start on.
    const first = rule.recurrences.length === 0 ? [rule.start] : [];
    for (const start of [...first, ...rule.dates]) this.#begin(start);
    for (const moved of rule.moved) this.#add(moved);
    this.#sources = rule.recurrences.map((recurrence) => ({
      days: ruleDays(rule.start, recurrence),
      reachedMs: Number.NEGATIVE_INFINITY,
    }));
  }

  get isSilent(): boolean {
    return this.#known.length === 0;
  }

  until(toMs: number): readonly CalendarEvent[] {
    for (const source of this.#sources) this.#follow(source, toMs);
    return this.#known;
  }

  #follow(source: Source, toMs: number): void {
    while (source.reachedMs < toMs + MOVED_MS_MAX) {
      const { done, value } = this.#understood(() => source.days.next());
      if (done) {
        source.reachedMs = Number.POSITIVE_INFINITY;
        return;
      }
      source.reachedMs = momentOf(value.start);
      if (value.isMeant) this.#begin(value.start);
    }
  }

  #begin(start: Reading): void {
    const { where, length, changes } = this.rule;
    const startMs = momentOf(start);
    if (this.#done.has(startMs) || this.#excludedDays.has(dayOf(start))) return;
    this.#done.add(startMs);
    if (this.#known.length >= OCCURRENCES_MAX)
      throw calendarError(
        where,
        `more than ${OCCURRENCES_MAX} occurrences: let it begin later, or come less often`,
      );
    const change = changes.findLast(({ fromMs }) => fromMs <= startMs);
    if (change === undefined) this.#add(occurrenceAt(start, length));
    else if (change.length !== null)
      this.#add(occurrenceAt({ ...start, localMs: start.localMs + change.shiftMs }, change.length));
  }

  #add({ startMs, endMs }: Occurrence): void {
    const { name, kind, uplift } = this.rule;
    if (endMs > startMs) this.#known.push({ name, kind, uplift, startMs, endMs });
  }

  /** The parser finds some mistakes of a rule only when it looks for its days. */
  #understood<Result>(look: () => Result): Result {
    try {
      return look();
    } catch (error) {
      const { message } = error instanceof Error ? error : new Error(String(error));
      throw calendarError(this.rule.where, `its rule cannot be followed: ${message}: mend the rule`, error);
    }
  }
}
