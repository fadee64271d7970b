import type { MetadataEntry } from '../../ports/metadata-store.ts';

/**
 * Records as they were decoded last, by key and revision: they are read at every tick, and most do not change between. What
 * nobody can decode is told of once a revision, not once a tick.
 */
export class DecodeCache<Value> {
  readonly #decode: (entry: MetadataEntry) => Value;
  readonly #onInvalid: (key: string, why: string) => void;
  readonly #known = new Map<string, { readonly revision: number; readonly value: Value | null }>();

  /** @param decode throws where the value is not valid. */
  constructor(decode: (entry: MetadataEntry) => Value, onInvalid: (key: string, why: string) => void) {
    this.#decode = decode;
    this.#onInvalid = onInvalid;
  }

  /** @returns [entry] null where it is not valid. Of keys that are not among these nothing is remembered. */
  all(entries: readonly MetadataEntry[]): (Value | null)[] {
    const values = entries.map((entry) => this.#of(entry));
    if (this.#known.size > entries.length) {
      const listed = new Set(entries.map(({ key }) => key));
      for (const key of this.#known.keys()) if (!listed.has(key)) this.#known.delete(key);
    }
    return values;
  }

  #of(entry: MetadataEntry): Value | null {
    const { key, revision } = entry;
    const known = this.#known.get(key);
    if (known?.revision === revision) return known.value;
    let value: Value | null = null;
    try {
      value = this.#decode(entry);
    } catch (error) {
      this.#onInvalid(key, error instanceof Error ? error.message : String(error));
    }
    this.#known.set(key, { revision, value });
    return value;
  }
}
