import type ICAL from 'ical.js';
import type { Calendar, CalendarEvent } from '../../src/model/calendar.ts';
import { calendarError } from './calendar-error.ts';
import { zoneClock } from './wall-clock.ts';

/** One entry of a calendar file, with all its occurrences. */
export interface EventRule {
  /** For messages: file, line and name. */
  readonly where: string;
  readonly name: string;
  readonly kind: string;
  readonly uplift: number | null;
  readonly event: InstanceType<typeof ICAL.Event>;
  /** When a time that the event gives is. */
  readonly momentOf: (time: InstanceType<typeof ICAL.Time>) => number;
}

/** Since a daily event began in 1970, some 20,000 have been; more than this is a mistake. */
const OCCURRENCES_MAX = 100_000;
/** An occurrence may be moved from its regular place by as much and is still found. */
const MOVED_MS_MAX = 31 * 86_400_000;

/** Occurrences of the rules of a file, expanded as far as they have been asked for. */
export class RuleCalendar implements Calendar {
  readonly #expansions: readonly Expansion[];

  constructor(rules: readonly EventRule[]) {
    this.#expansions = rules.map((rule) => new Expansion(rule));
  }

  /** @throws ForeshardError FORESHARD_CONFIG naming an event that comes too often. */
  occurrences(fromMs: number, toMs: number): readonly CalendarEvent[] {
    return this.#expansions
      .flatMap((expansion) => expansion.until(toMs))
      .filter(({ startMs, endMs }) => startMs < toMs && endMs > fromMs)
      .sort((a, b) => a.startMs - b.startMs || (a.name < b.name ? -1 : 1));
  }
}

class Expansion {
  readonly #rule: EventRule;
  readonly #known: CalendarEvent[] = [];
  #iterator: { next(): InstanceType<typeof ICAL.Time> | undefined | null } | null;
  #reachedMs = Number.NEGATIVE_INFINITY;

  constructor(rule: EventRule) {
    this.#rule = rule;
    this.#iterator = rule.event.isRecurring() ? this.#understood(() => rule.event.iterator()) : null;
    if (this.#iterator === null) this.#add(rule.event.startDate, rule.event.endDate);
  }

  until(toMs: number): readonly CalendarEvent[] {
    while (this.#iterator !== null && this.#reachedMs < toMs + MOVED_MS_MAX) {
      const iterator = this.#iterator;
      const slot = this.#understood(() => iterator.next());
      if (slot === undefined || slot === null) {
        this.#iterator = null;
        break;
      }
      if (this.#known.length >= OCCURRENCES_MAX)
        throw calendarError(
          this.#rule.where,
          `more than ${OCCURRENCES_MAX} occurrences: let it begin later, or come less often`,
        );
      this.#reachedMs = this.#rule.momentOf(slot);
      const { startDate, endDate, item } = this.#rule.event.getOccurrenceDetails(slot);
      const isCancelled = item.component.getFirstPropertyValue('status') === 'CANCELLED';
      if (!isCancelled) this.#add(startDate, endDate);
    }
    return this.#known;
  }

  /** The parser finds some mistakes of a rule only when it looks for its days. */
  #understood<Result>(look: () => Result): Result {
    try {
      return look();
    } catch (error) {
      const { message } = error instanceof Error ? error : new Error(String(error));
      throw calendarError(this.#rule.where, `its rule cannot be followed: ${message}: mend the rule`, error);
    }
  }

  #add(start: InstanceType<typeof ICAL.Time>, end: InstanceType<typeof ICAL.Time>): void {
    const { name, kind, uplift, momentOf: moment } = this.#rule;
    const [startMs, endMs] = [moment(start), moment(end)];
    if (endMs > startMs) this.#known.push({ name, kind, uplift, startMs, endMs });
  }
}

/** Reads the wall clock of a time in a zone; UTC times say so themselves. */
export function inZone(timeZone: string): EventRule['momentOf'] {
  const momentOf = zoneClock(timeZone);
  return (time) => {
    if (time.zone?.tzid === 'UTC') return time.toUnixTime() * 1000;
    const { year, month, day, hour, minute, second } = time;
    return momentOf(
      time.isDate
        ? { year, month, day, hour: 0, minute: 0, second: 0 }
        : { year, month, day, hour, minute, second },
    );
  };
}
