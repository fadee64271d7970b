import { atOnce, type Sliced } from '../base/slices.ts';

/**
 * Who asks what of which partition: sparse counts, sorted by template, partition, client.
 * Index 0 of `templates` and of `clients` stands for all those beyond the limits of the table they were counted in.
 */
export interface AffinityCounts {
  readonly partitionCount: number;
  /** Names such as `HGET user:{n}:cart`. The name is a template's identity; its index is local to this object. */
  readonly templates: readonly string[];
  /** Query node and client number, such as `query-0/17`. */
  readonly clients: readonly string[];
  /** u32[entry] each: index into templates, partition, index into clients. */
  readonly template: Uint32Array;
  readonly partition: Uint32Array;
  readonly client: Uint32Array;
  /** f64[entry]: queries, > 0. */
  readonly count: Float64Array;
}

/** What is beyond the limits of a table. */
export const OTHER = '(other)';

/** Entries between two rests, at 0.2 us each. */
const ENTRIES_A_SLICE = 8_192;

/** Adds sparse counts of several query nodes or windows; templates and clients are matched by name. */
export const mergeAffinityCounts = (all: readonly AffinityCounts[], partitionCount: number): AffinityCounts =>
  atOnce(mergingAffinityCounts(all, partitionCount));

/** The same with rests. */
export function* mergingAffinityCounts(
  all: readonly AffinityCounts[],
  partitionCount: number,
): Sliced<AffinityCounts> {
  const templates = new NameTable();
  const clients = new NameTable();
  const numbered = all.map((counts) => ({
    counts,
    templateOf: counts.templates.map((name) => templates.indexOf(name)),
    clientOf: counts.clients.map((name) => clients.indexOf(name)),
  }));
  const clientCount = clients.names.length;
  // All templates x partitions x clients of a large cluster are far below 2^53: one number is the key, in the order of entries.
  const sums = new Map<number, number>();
  for (const { counts, templateOf, clientOf } of numbered)
    for (let entry = 0; entry < counts.count.length; entry++) {
      if (entry % ENTRIES_A_SLICE === 0) yield;
      const template = templateOf[counts.template[entry] as number] as number;
      const client = clientOf[counts.client[entry] as number] as number;
      const partition = counts.partition[entry] as number;
      const key = (template * partitionCount + partition) * clientCount + client;
      sums.set(key, (sums.get(key) ?? 0) + (counts.count[entry] as number));
    }
  yield;
  // Numbers sort ten times as fast as entries.
  const keys = Float64Array.from(sums.keys()).sort();
  const merged = {
    partitionCount,
    templates: templates.names,
    clients: clients.names,
    template: new Uint32Array(keys.length),
    partition: new Uint32Array(keys.length),
    client: new Uint32Array(keys.length),
    count: new Float64Array(keys.length),
  };
  for (let entry = 0; entry < keys.length; entry++) {
    if (entry % ENTRIES_A_SLICE === 0) yield;
    const key = keys[entry] as number;
    const place = Math.floor(key / clientCount);
    merged.template[entry] = Math.floor(place / partitionCount);
    merged.partition[entry] = place % partitionCount;
    merged.client[entry] = key - place * clientCount;
    merged.count[entry] = sums.get(key) as number;
  }
  return merged;
}

/** Sorts entries and lays them out as columns. */
export function packAffinityCounts(
  entries: readonly { template: number; partition: number; client: number; count: number }[],
  names: Pick<AffinityCounts, 'partitionCount' | 'templates' | 'clients'>,
): AffinityCounts {
  const sorted = [...entries].sort(
    (a, b) => a.template - b.template || a.partition - b.partition || a.client - b.client,
  );
  return {
    ...names,
    template: Uint32Array.from(sorted, (entry) => entry.template),
    partition: Uint32Array.from(sorted, (entry) => entry.partition),
    client: Uint32Array.from(sorted, (entry) => entry.client),
    count: Float64Array.from(sorted, (entry) => entry.count),
  };
}

class NameTable {
  readonly names: string[] = [OTHER];
  readonly #indexOf = new Map<string, number>([[OTHER, 0]]);

  indexOf(name: string): number {
    const known = this.#indexOf.get(name);
    if (known !== undefined) return known;
    this.#indexOf.set(name, this.names.length);
    return this.names.push(name) - 1;
  }
}
