import type { LogRecord } from './log-record.ts';

export interface ReorderSettings {
  /** Records that are held back to be put in order. */
  readonly windowRecords: number;
  /** A record further behind than this stays where it stands: it belongs to another run of the clock. */
  readonly toleranceMs: number;
}

/**
 * Puts records that come a little late back in their place. Servers write a line when a query ends, or from several
 * processes at once, so that neighbours change places.
 */
export class Reorder {
  readonly #settings: ReorderSettings;
  #held: LogRecord[] = [];

  constructor(settings: ReorderSettings) {
    this.#settings = settings;
  }

  push(record: LogRecord): void {
    const held = this.#held;
    const lastMs = held.at(-1)?.timeMs ?? Number.NEGATIVE_INFINITY;
    const { timeMs } = record;
    if (timeMs >= lastMs || timeMs < lastMs - this.#settings.toleranceMs) {
      held.push(record);
      return;
    }
    let at = held.length - 1;
    const first = Math.max(0, held.length - this.#settings.windowRecords);
    while (at > first && (held[at - 1] as LogRecord).timeMs > timeMs) at--;
    held.splice(at, 0, record);
  }

  /** Hands out all but the newest `windowRecords`. */
  take(): LogRecord[] {
    const count = this.#held.length - this.#settings.windowRecords;
    if (count <= 0) return [];
    const ready = this.#held.slice(0, count);
    this.#held = this.#held.slice(count);
    return ready;
  }

  /** Hands out the rest. */
  end(): LogRecord[] {
    const ready = this.#held;
    this.#held = [];
    return ready;
  }
}
