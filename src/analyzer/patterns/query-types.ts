import { assert } from '../../base/assert.ts';
import { atOnce, type Sliced } from '../../base/slices.ts';
import {
  type AffinityCounts,
  mergeAffinityCounts,
  mergingAffinityCounts,
  OTHER,
} from '../../model/affinity-matrix.ts';
import { picked, scaled } from './affinity-entries.ts';
import { ASSOCIATION_DEFAULTS } from './associations.ts';
import { splitKeyWords } from './key-pattern.ts';
import { ENTRIES_A_SLICE, findingLifts, type Lifts } from './query-type-lifts.ts';
import type { Liked, QueryType, QueryTypeSummary, SummaryLimits, TypeNode } from './query-type-summary.ts';
import { WordTree } from './word-tree.ts';

export interface QueryTypeSettings {
  readonly windowMs: number;
  /** After so many windows a query counts half. */
  readonly halfLifeWindows: number;
  /** Template x partition x client entries that are kept; the smallest are forgotten first. */
  readonly entriesMax: number;
}

export const QUERY_TYPE_DEFAULTS: Omit<QueryTypeSettings, 'windowMs'> = {
  // A week of hours, the longest season of a database's load: the weekend's queries still show on Friday.
  halfLifeWindows: 168,
  // As in one window; some 1.5 MB.
  entriesMax: 65_536,
};

/** A window that has closed, such as a segment of a profile. */
export interface CountedWindow {
  readonly startMs: number;
  readonly affinity: AffinityCounts;
}

/** An entry that has decayed to this is forgotten: a single query, after four half-lives. */
const FORGOTTEN_COUNT = 1 / 16;

/**
 * Template x partition x client counts over many windows: each closed window adds to what is known, whose weight halves
 * every `halfLifeWindows`. Says what is asked, of which data and by whom; knows patterns of keys, never keys.
 */
export class QueryTypeCounts {
  readonly #settings: QueryTypeSettings;
  readonly #words: WordTree;
  #recent: AffinityCounts | null = null;
  /** Whole counts by template; those of a template that is forgotten go to "other". */
  #totals: ReadonlyMap<string, number> = new Map();
  #startMs = Number.NEGATIVE_INFINITY;
  #forgottenCount = 0;
  /** Of the squares of all weights: for the effective sample size. */
  #squares = 0;

  /** @param words finds out which words of the templates' names are values; may be shared. */
  constructor(settings: QueryTypeSettings, words = new WordTree()) {
    assert(settings.halfLifeWindows > 0, 'a half-life is above 0');
    assert(settings.entriesMax > 0, 'at least one entry is kept');
    this.#settings = settings;
    this.#words = words;
  }

  /** Adds a closed window. One that is older than the newest so far counts as much less as it is older. */
  add(window: CountedWindow): void {
    atOnce(this.adding(window));
  }

  /** The same with rests, one window at a time; until it is done, all that is told is of the windows before. */
  *adding({ startMs, affinity }: CountedWindow): Sliced<void> {
    const totals = new Map(this.#totals);
    const added = new Float64Array(affinity.templates.length);
    affinity.count.forEach((count, entry) => {
      const template = affinity.template[entry] as number;
      added[template] = (added[template] as number) + count;
    });
    added.forEach((count, index) => {
      const template = affinity.templates[index] as string;
      if (count > 0) totals.set(template, (totals.get(template) ?? 0) + count);
    });
    const newestMs = Math.max(this.#startMs, startMs);
    const knownWeight = this.#weight(newestMs - this.#startMs);
    const addedWeight = this.#weight(newestMs - startMs);
    const addedSum = affinity.count.reduce((sum, count) => sum + count, 0);
    const known = this.#recent === null ? [] : [scaled(this.#recent, knownWeight)];
    const newest = scaled(affinity, addedWeight);
    yield;
    const merged = yield* mergingAffinityCounts([...known, newest], affinity.partitionCount);
    yield;
    const general = yield* this.#generalised(merged, totals);
    yield;
    const { counts, forgotten } = yield* this.#pruned(general.counts);
    this.#recent = counts;
    this.#totals = withoutForgotten(general.totals, counts);
    this.#startMs = newestMs;
    this.#forgottenCount = this.#forgottenCount * knownWeight + forgotten;
    this.#squares = this.#squares * knownWeight ** 2 + addedSum * addedWeight ** 2;
  }

  /** The largest types. Ties are in the order of names, so that equal counts give an equal summary. */
  summary(limits: SummaryLimits): QueryTypeSummary {
    return atOnce(this.summing(limits));
  }

  /** The same with rests, of what is known at the first step: full tables take some tenths of a second. */
  *summing(limits: SummaryLimits): Sliced<QueryTypeSummary> {
    const known = this.#snapshot();
    const { recent, totals, forgottenCount } = known;
    const found = yield* typesOf(recent);
    const recentCount = found.reduce((sum, type) => sum + type.recentCount, 0);
    found.sort((a, b) => b.recentCount - a.recentCount || compare(a.template, b.template));
    const partitionLifts = yield* lifts(known, (entry) => recent.partition[entry] as number);
    const clientLifts = yield* lifts(known, (entry) => recent.client[entry] as number);
    const types = found.slice(0, limits.typesMax).map((type): QueryType => {
      const { index, template, partitions, clients } = type;
      return {
        template,
        share: type.recentCount / recentCount,
        recentCount: type.recentCount,
        totalCount: totals.get(template) ?? 0,
        partitions: largest(partitions, limits.partitionsMax).map(([partitionId, count]) => ({
          partitionId,
          recentCount: count,
          ...liked(partitionLifts, index, partitionId),
        })),
        partitionCount: partitions.size,
        clients: largest(clients, limits.clientsMax).map(([client, count]) => ({
          client: recent.clients[client] ?? OTHER,
          recentCount: count,
          ...liked(clientLifts, index, client),
        })),
        clientCount: clients.size,
      };
    });
    const totalCount = [...totals.values()].reduce((sum, count) => sum + count, 0);
    return { types, typeCount: found.length, recentCount, totalCount, forgottenCount };
  }

  /**
   * Recent queries of types by storage node, the largest first.
   *
   * @param ownerOf owner by partition: the map in effect, whoever answered at the time.
   */
  nodesOf(
    templates: readonly string[],
    ownerOf: ArrayLike<number>,
  ): ReadonlyMap<string, readonly TypeNode[]> {
    return atOnce(this.findingNodes(templates, ownerOf));
  }

  /** The same with rests. */
  *findingNodes(
    templates: readonly string[],
    ownerOf: ArrayLike<number>,
  ): Sliced<ReadonlyMap<string, readonly TypeNode[]>> {
    const known = this.#snapshot();
    const { recent } = known;
    const nodeOf = (entry: number): number => ownerOf[recent.partition[entry] as number] ?? -1;
    const nodeLifts = yield* lifts(known, nodeOf);
    const byTemplate = new Map<number, Map<number, number>>();
    for (const [entry, count] of recent.count.entries()) {
      if (entry % ENTRIES_A_SLICE === 0) yield;
      const template = recent.template[entry] as number;
      const nodes = byTemplate.get(template) ?? new Map<number, number>();
      byTemplate.set(template, nodes.set(nodeOf(entry), (nodes.get(nodeOf(entry)) ?? 0) + count));
    }
    return new Map(
      templates.map((template) => {
        const index = recent.templates.indexOf(template);
        const nodes = byTemplate.get(index) ?? new Map<number, number>();
        const told = largest(nodes, nodes.size).map(([nodeId, recentCount]) => ({
          nodeId,
          recentCount,
          ...liked(nodeLifts, index, nodeId),
        }));
        return [template, told];
      }),
    );
  }

  /** Windows that are added later leave it as it is: counts are replaced, not changed. */
  #snapshot(): Snapshot {
    return {
      recent: this.#recent ?? mergeAffinityCounts([], 1),
      squares: this.#squares,
      totals: this.#totals,
      forgottenCount: this.#forgottenCount,
    };
  }

  #weight(ageMs: number): number {
    return 0.5 ** (ageMs / this.#settings.windowMs / this.#settings.halfLifeWindows);
  }

  /** Names that turn out to hold values are counted together, here and in the totals. */
  *#generalised(counts: AffinityCounts, totals: ReadonlyMap<string, number>): Sliced<Counted> {
    for (const name of counts.templates) this.#words.learn(splitKeyWords(name));
    const generalOf = (name: string): string => this.#words.resolve(splitKeyWords(name)).join('');
    const templates = counts.templates.map(generalOf);
    if (templates.every((name, i) => name === counts.templates[i])) return { counts, totals };
    const generalTotals = new Map<string, number>();
    for (const [name, total] of totals) {
      const general = generalOf(name);
      generalTotals.set(general, (generalTotals.get(general) ?? 0) + total);
    }
    const merged = yield* mergingAffinityCounts([{ ...counts, templates }], counts.partitionCount);
    return { counts: merged, totals: generalTotals };
  }

  /** Without what has decayed to nearly nothing, and without the smallest beyond the limit. */
  *#pruned(counts: AffinityCounts): Sliced<{ readonly counts: AffinityCounts; readonly forgotten: number }> {
    const { entriesMax } = this.#settings;
    const living = counts.count.filter((count) => count > FORGOTTEN_COUNT).sort();
    yield;
    const beyond = living.subarray(0, Math.max(0, living.length - entriesMax));
    // Of those that are equal to the smallest that is kept the first ones are.
    const smallest = living[beyond.length] ?? 0;
    let equalKept = living.subarray(beyond.length).findIndex((count) => count > smallest);
    if (equalKept < 0) equalKept = living.length - beyond.length;
    const entries = counts.template
      .map((_, entry) => entry)
      .filter((entry) => {
        const count = counts.count[entry] as number;
        return count > FORGOTTEN_COUNT && (count > smallest || (count === smallest && equalKept-- > 0));
      });
    yield;
    return { counts: picked(counts, entries), forgotten: beyond.reduce((sum, count) => sum + count, 0) };
  }
}

/** Of a template that is forgotten the whole count goes to "other". */
function withoutForgotten(totals: ReadonlyMap<string, number>, recent: AffinityCounts): Map<string, number> {
  const known = new Set(recent.templates);
  const kept = new Map<string, number>();
  let forgotten = 0;
  for (const [template, total] of totals)
    if (known.has(template)) kept.set(template, total);
    else forgotten += total;
  if (forgotten > 0) kept.set(OTHER, (kept.get(OTHER) ?? 0) + forgotten);
  return kept;
}

interface Counted {
  readonly counts: AffinityCounts;
  readonly totals: ReadonlyMap<string, number>;
}

/** What is known at one moment. */
interface Snapshot {
  readonly recent: AffinityCounts;
  readonly squares: number;
  readonly totals: ReadonlyMap<string, number>;
  readonly forgottenCount: number;
}

function* lifts({ recent, squares }: Snapshot, columnOf: (entry: number) => number): Sliced<Lifts> {
  if (squares <= 0) return new Map();
  const sum = recent.count.reduce((total, count) => total + count, 0);
  const effectiveFactor = sum / squares;
  return yield* findingLifts(recent, { columnOf, effectiveFactor, limits: ASSOCIATION_DEFAULTS });
}

function liked(found: Lifts, template: number, column: number): Liked {
  const lift = found.get(template)?.get(column);
  return lift === undefined ? {} : { lift };
}

interface TypeCounts {
  readonly index: number;
  readonly template: string;
  recentCount: number;
  readonly partitions: Map<number, number>;
  readonly clients: Map<number, number>;
}

function* typesOf(counts: AffinityCounts): Sliced<TypeCounts[]> {
  const types = counts.templates.map(
    (template, index): TypeCounts => ({
      index,
      template,
      recentCount: 0,
      partitions: new Map(),
      clients: new Map(),
    }),
  );
  for (const [entry, count] of counts.count.entries()) {
    if (entry % ENTRIES_A_SLICE === 0) yield;
    const type = types[counts.template[entry] as number] as TypeCounts;
    const partition = counts.partition[entry] as number;
    const client = counts.client[entry] as number;
    type.recentCount += count;
    type.partitions.set(partition, (type.partitions.get(partition) ?? 0) + count);
    type.clients.set(client, (type.clients.get(client) ?? 0) + count);
  }
  return types.filter((type) => type.recentCount > 0);
}

const largest = (counts: ReadonlyMap<number, number>, max: number): [number, number][] =>
  [...counts].sort(([a, x], [b, y]) => y - x || a - b).slice(0, max);

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
