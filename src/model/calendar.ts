/** One occurrence of something that people know of beforehand: a holiday, a sale, a broadcast, a batch run. */
export interface CalendarEvent {
  /** Occurrences of one name are expected to be alike: what earlier ones did to the load is expected of later ones. */
  readonly name: string;
  /** Wall clock, milliseconds; end exclusive. */
  readonly startMs: number;
  readonly endMs: number;
  /** What sort of event it is, such as "holiday"; empty where the calendar does not say. A new name goes by its kind. */
  readonly kind: string;
  /** Factor on the load that the operator expects, above 0; null: to be learnt. */
  readonly uplift: number | null;
}

/** Longer events are seasons or new levels: taking them out would leave nothing to learn the usual from. */
export const EVENT_MS_MAX = 7 * 86_400_000;

/** Where events come from; recurring ones are told occurrence by occurrence. */
export interface Calendar {
  /** Occurrences that overlap [fromMs, toMs), by start. */
  occurrences(fromMs: number, toMs: number): readonly CalendarEvent[];
}

/** Share of [startMs, startMs + lengthMs) that lies within an event, 0..1. */
export function overlapShare(event: CalendarEvent, startMs: number, lengthMs: number): number {
  const overlapMs = Math.min(event.endMs, startMs + lengthMs) - Math.max(event.startMs, startMs);
  return Math.max(0, overlapMs) / lengthMs;
}
