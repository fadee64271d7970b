import type { Database } from 'lmdb';
import type { Clock } from '../../src/base/clock.ts';

/** Who keeps a key alive, and how often it has said so. */
export interface LeaseRecord {
  readonly holder: string;
  readonly beat: number;
  readonly ttlMs: number;
}

/**
 * Leases of a store that has no process of its own: holders count beats, and whoever has the store open looks for counts that
 * stand still for the time to live, by its own monotonic clock. Changes are made inside the store's write transactions.
 */
export class EmbeddedLeases {
  readonly #table: Database<LeaseRecord, string>;
  readonly #clock: Clock;
  readonly #seen = new Map<
    string,
    { readonly holder: string; readonly beat: number; readonly sinceMs: number }
  >();

  constructor(table: Database<LeaseRecord, string>, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
  }

  grant(key: string, holder: string, ttlMs: number): void {
    this.#table.put(key, { holder, beat: 0, ttlMs });
  }

  isHeldBy(key: string, holder: string): boolean {
    return this.#table.get(key)?.holder === holder;
  }

  beat(key: string): void {
    const lease = this.#table.get(key);
    if (lease) this.#table.put(key, { ...lease, beat: lease.beat + 1 });
  }

  /** The key was written by somebody else, or deleted. */
  drop(key: string): void {
    if (this.#table.get(key)) this.#table.remove(key);
  }

  /** Keys whose holder has not been heard of for its time to live, with what was last heard. */
  expired(): readonly { readonly key: string; readonly lease: LeaseRecord }[] {
    const nowMs = this.#clock.monotonicMs();
    const expired: { key: string; lease: LeaseRecord }[] = [];
    const present = new Set<string>();
    for (const { key, value: lease } of this.#table.getRange()) {
      present.add(key);
      const seen = this.#seen.get(key);
      if (seen?.holder !== lease.holder || seen.beat !== lease.beat)
        this.#seen.set(key, { holder: lease.holder, beat: lease.beat, sinceMs: nowMs });
      else if (nowMs - seen.sinceMs >= lease.ttlMs) expired.push({ key, lease });
    }
    for (const key of this.#seen.keys()) if (!present.has(key)) this.#seen.delete(key);
    return expired;
  }

  /** Whether nothing has been heard since `lease` was read; asked inside the transaction that deletes the key. */
  isStill(key: string, lease: LeaseRecord): boolean {
    const now = this.#table.get(key);
    return now?.holder === lease.holder && now.beat === lease.beat;
  }
}
