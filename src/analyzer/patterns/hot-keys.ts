import { assert } from '../../base/assert.ts';
import type { PartitionId } from '../../model/ids.ts';
import type { QueryRecord } from '../../model/query-log.ts';
import { ForwardDecay } from './decay.ts';

/** A key that alone makes a good part of its partition's queries: moving the partition would only move the problem. */
export interface HotKey {
  readonly partitionId: PartitionId;
  /** As the log has it: cut, or empty where prefixes are not recorded. */
  readonly keyPrefix: string;
  readonly keyHash: number;
  /** Queries of the key among those remembered (half-life settings.halfLifeMs): certainly so many. */
  readonly queries: number;
  /** Of the partition's queries: certainly so much, and at most so much. */
  readonly shareMin: number;
  readonly shareMax: number;
}

export interface HotKeysSettings {
  readonly partitionCount: number;
  /** Keys kept between two sweeps; every key with more than 1 / keysMax of all queries is among them. */
  readonly keysMax: number;
  /** After so long a query counts half. */
  readonly halfLifeMs: number;
}

/** Some hours: a hot key is a matter of now, not of last week. 16,384 keys are about 2 MiB. */
export const HOT_KEYS_DEFAULTS = { keysMax: 8192, halfLifeMs: 3 * 3_600_000 } as const;

interface Counter {
  count: number;
  readonly keyPrefix: string;
}

/**
 * The most frequent keys in bounded memory.
 *
 * Counters are kept for up to twice keysMax keys; a sweep then takes the count of the keysMax-th away from all and drops who
 * has nothing left. A count is therefore too low by at most what sweeps have taken, and never too high.
 *
 * @see Misra & Gries, "Finding repeated elements", 1982; with sweeps: Anderson et al., "A high-performance algorithm for
 *   identifying frequent items in data streams", 2017
 */
export class HotKeys {
  readonly #settings: HotKeysSettings;
  /** By partition x 2^32 + hash. */
  readonly #counters = new Map<number, Counter>();
  readonly #totals: Float64Array;
  readonly #decay: ForwardDecay;
  #sweptAway = 0;

  constructor(settings: HotKeysSettings) {
    assert(settings.keysMax >= 1, 'hot keys are counted');
    this.#settings = settings;
    this.#decay = new ForwardDecay(settings.halfLifeMs);
    this.#totals = new Float64Array(settings.partitionCount);
  }

  /** @param queries how many the record stands for: more than one where it is of a sample. */
  add({ timeMs, partitionId, keyHash, keyPrefix }: QueryRecord, queries = 1): void {
    if (this.#decay.isBeyond(timeMs)) this.#rescale(timeMs);
    const weight = queries * this.#decay.weightAt(timeMs);
    this.#totals[partitionId] = (this.#totals[partitionId] ?? 0) + weight;
    // Without a hash two keys of one prefix could not be told apart.
    if (keyHash === 0) return;
    const key = partitionId * 2 ** 32 + keyHash;
    const counter = this.#counters.get(key);
    if (counter !== undefined) {
      counter.count += weight;
      return;
    }
    this.#counters.set(key, { count: weight, keyPrefix });
    if (this.#counters.size >= 2 * this.#settings.keysMax) this.#sweep();
  }

  /**
   * Keys with certainly at least `shareMin` of their partition's queries and `queriesMin` queries, the largest first.
   *
   * @param shareMin 0..1
   */
  report({ shareMin, queriesMin }: { readonly shareMin: number; readonly queriesMin: number }): HotKey[] {
    const found: HotKey[] = [];
    const { scale } = this.#decay;
    for (const [key, { count, keyPrefix }] of this.#counters) {
      const partitionId = Math.floor(key / 2 ** 32) as PartitionId;
      const total = this.#totals[partitionId] as number;
      const queries = count * scale;
      if (queries < queriesMin || count < shareMin * total) continue;
      found.push({
        partitionId,
        keyPrefix,
        keyHash: key % 2 ** 32,
        queries,
        shareMin: count / total,
        shareMax: Math.min(1, (count + this.#sweptAway) / total),
      });
    }
    return found.sort((a, b) => b.queries - a.queries || a.keyHash - b.keyHash);
  }

  #sweep(): void {
    const counts = Float64Array.from(this.#counters.values(), ({ count }) => count).sort();
    const taken = counts[counts.length - this.#settings.keysMax] as number;
    this.#sweptAway += taken;
    for (const [key, counter] of this.#counters) {
      counter.count -= taken;
      if (counter.count <= 0) this.#counters.delete(key);
    }
  }

  #rescale(timeMs: number): void {
    const factor = this.#decay.moveLandmark(timeMs);
    for (const counter of this.#counters.values()) counter.count *= factor;
    for (let p = 0; p < this.#totals.length; p++) this.#totals[p] = (this.#totals[p] as number) * factor;
    this.#sweptAway *= factor;
  }
}
