import { CO_ACCESS_DEFAULTS } from '../../../src/analyzer/patterns/co-access.ts';
import { HOT_KEYS_DEFAULTS, HotKeys } from '../../../src/analyzer/patterns/hot-keys.ts';
import { HOURS_PER_WEEK } from '../../../src/analyzer/patterns/hour-of-week.ts';
import { QuerySequences } from '../../../src/analyzer/patterns/query-sequences.ts';
import { QueryTypeCounts, type QueryTypeSettings } from '../../../src/analyzer/patterns/query-types.ts';
import { WINDOW_PATTERN_DEFAULTS, WindowPatterns } from '../../../src/analyzer/patterns/window-patterns.ts';
import { WordTree } from '../../../src/analyzer/patterns/word-tree.ts';
import type { ProfileSegment } from '../../../src/analyzer/profile-segment.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { inSlices, type Pace, type Sliced } from '../../../src/base/slices.ts';
import type { QueryRecord } from '../../../src/model/query-log.ts';
import type { MetadataStore, MetadataWrite } from '../../../src/ports/metadata-store.ts';
import { COMMANDS } from '../../commands/table.ts';
import type { QueryTypesReport } from '../control-messages.ts';
import { encodeHotKeys, PUBLISHED_HOT_KEYS } from '../records/hot-keys-record.ts';
import {
  decodeQueryClusters,
  encodeQueryClusters,
  publishedClusters,
  type QueryClustersRecord,
} from '../records/query-clusters-record.ts';
import {
  encodeQueryHours,
  PUBLISHED_HOURS_NODES_MAX,
  PUBLISHED_HOURS_TYPES_MAX,
} from '../records/query-hours-record.ts';
import { encodeQueryTypes, PUBLISHED_LIMITS } from '../records/query-types-record.ts';

/**
 * Records of one drain that are looked at for co-access. 2,000 every 50 ms are 40,000 a second, and cost a few percent of one
 * core on the analysis thread; the query path pays nothing.
 */
const SEQUENCE_RECORDS_MAX = 2_000;

/** A value has at most 64 KiB, so these stay below what one transaction may have. */
const COMMIT_WRITES_MAX = 16;

/** Rests are of the machine's time, in a replay as well. */
const PACE: Pace = { clock: systemClock() };

const SPLIT_COMMANDS = new Set(COMMANDS.filter(({ spread }) => spread === 'split').map(({ name }) => name));

export interface QueryTypesPublisherSettings extends QueryTypeSettings {
  readonly queryNodeId: number;
  readonly partitionCount: number;
  /** How many queries a record stands for, where they are a sample; 1 by default. */
  readonly queriesPerRecord?: number;
}

/** What is seen of a key in a sample says nothing until it has come up so often. */
const SAMPLED_HOT_KEY_RECORDS_MIN = 16;

interface RecordPrefixes {
  readonly types: string;
  readonly hours: string;
  readonly clusters: string;
  readonly hotKeys: string;
}

/** What one query node was asked and when; published in the metadata store, where the command line reads it. */
export class QueryTypesPublisher {
  readonly #settings: QueryTypesPublisherSettings;
  readonly #metadata: MetadataStore;
  /** Such as `/foreshard/v1/main/query-types/`. */
  readonly #prefixes: RecordPrefixes;
  #known: Known;
  #added: Promise<void> = Promise.resolve();
  /** Published again until there are clusters of this life, so that another restart does not lose them. */
  #adopted: Pick<QueryClustersRecord, 'shape' | 'terms'> | null = null;

  constructor(
    settings: QueryTypesPublisherSettings,
    components: {
      readonly metadata: MetadataStore;
      readonly prefixes: RecordPrefixes;
    },
  ) {
    this.#settings = settings;
    this.#metadata = components.metadata;
    this.#prefixes = components.prefixes;
    this.#known = newKnown(settings);
  }

  /** Begins anew: the clock was moved to another time. */
  reset(): void {
    this.#known = newKnown(this.#settings);
    this.#adopted = null;
  }

  /** Takes in a captured record, for what it tells beside its neighbours. */
  observe(record: QueryRecord): void {
    this.#known.sequences.add(record);
    this.#known.hotKeys.add(record, this.#settings.queriesPerRecord);
  }

  /** All records of one drain have been observed. */
  endBatch(nowMs: number): void {
    this.#known.sequences.endBatch(nowMs);
  }

  /**
   * Carries on the names of clusters that were published before a restart; to be called before the first window.
   *
   * @throws ForeshardError FORESHARD_CORRUPT when they cannot be read: then clusters get new names.
   */
  async adoptNames(): Promise<void> {
    const key = `${this.#prefixes.clusters}${this.#settings.queryNodeId}`;
    const entry = await this.#metadata.get(key);
    if (entry === undefined) return;
    const { shape, terms } = decodeQueryClusters(key, entry.value);
    this.#known.patterns.adopt({ shape: shape.clusters, terms: terms.clusters });
    this.#adopted = { shape, terms };
  }

  /** One after the other, a few milliseconds at a time; what is published or reported waits for those that were given before. */
  add(segments: readonly ProfileSegment[]): Promise<void> {
    const { counts, patterns } = this.#known;
    const added = this.#added.then(async () => {
      for (const segment of segments) {
        await inSlices(counts.adding(segment), PACE);
        await inSlices(patterns.adding(segment), PACE);
      }
    });
    // The next one does not fail with this one; whoever asked for this one learns of it.
    this.#added = added.catch(() => undefined);
    return added;
  }

  /** @param about.ownerOf owner by partition, of the map in effect. */
  async publish(about: {
    readonly atMs: number;
    readonly droppedCount: number;
    readonly ownerOf: ArrayLike<number>;
  }): Promise<void> {
    const { queryNodeId, windowMs, halfLifeWindows } = this.#settings;
    const { atMs, droppedCount, ownerOf } = about;
    await this.#added;
    const { counts, sequences, hotKeys } = this.#known;
    const summary = await inSlices(counts.summing(PUBLISHED_LIMITS), PACE);
    const templates = summary.types.map(({ template }) => template);
    const nodesOf = await inSlices(counts.findingNodes(templates, ownerOf), PACE);
    const writes: MetadataWrite[] = [
      {
        kind: 'put',
        key: `${this.#prefixes.types}${queryNodeId}`,
        value: encodeQueryTypes(summary, nodesOf, { windowMs, halfLifeWindows, atMs, droppedCount }),
      },
      {
        kind: 'put',
        key: `${this.#prefixes.clusters}${queryNodeId}`,
        value: encodeQueryClusters(this.#clusters(), sequences.report(), { atMs }),
      },
      {
        kind: 'put',
        key: `${this.#prefixes.hotKeys}${queryNodeId}`,
        value: encodeHotKeys(hotKeys.report(this.#hotKeyLimits()), { atMs }),
      },
      ...(await inSlices(this.#hoursWrites(atMs, ownerOf), PACE)),
    ];
    for (let first = 0; first < writes.length; first += COMMIT_WRITES_MAX)
      await this.#metadata.commit({
        conditions: [],
        writes: writes.slice(first, first + COMMIT_WRITES_MAX),
      });
  }

  async report(options: {
    readonly nowMs: number;
    readonly droppedCount: number;
    readonly ownerOf: ArrayLike<number>;
  }): Promise<QueryTypesReport> {
    const { windowMs, halfLifeWindows } = this.#settings;
    const { nowMs, droppedCount, ownerOf } = options;
    await this.#added;
    const { counts } = this.#known;
    const { types, ...sums } = await inSlices(counts.summing(PUBLISHED_LIMITS), PACE);
    const templates = types.map(({ template }) => template);
    const nodesOf = await inSlices(counts.findingNodes(templates, ownerOf), PACE);
    return {
      nowMs,
      windowMs,
      halfLifeWindows,
      droppedCount,
      ...sums,
      types: types.map((type) => ({ ...type, storageNodes: nodesOf.get(type.template) ?? [] })),
    };
  }

  #hotKeyLimits(): { readonly shareMin: number; readonly queriesMin: number } {
    const { queriesPerRecord = 1 } = this.#settings;
    const { shareMin, queriesMin } = PUBLISHED_HOT_KEYS;
    if (queriesPerRecord === 1) return { shareMin, queriesMin };
    return { shareMin, queriesMin: Math.max(queriesMin, SAMPLED_HOT_KEY_RECORDS_MIN * queriesPerRecord) };
  }

  #clusters(): Pick<QueryClustersRecord, 'shape' | 'terms'> {
    const { patterns } = this.#known;
    if (!patterns.isClustered && this.#adopted !== null) return this.#adopted;
    return { shape: publishedClusters(patterns.shape), terms: publishedClusters(patterns.terms) };
  }

  *#hoursWrites(atMs: number, ownerOf: ArrayLike<number>): Sliced<MetadataWrite[]> {
    const { queryNodeId, windowMs } = this.#settings;
    const { patterns } = this.#known;
    const hours = Array.from({ length: HOURS_PER_WEEK }, (_, hour) => hour);
    const nodeIds = [...new Set(Array.from(ownerOf))].filter((nodeId) => nodeId >= 0).sort((a, b) => a - b);
    const watched = hours.map((hour) => Number(patterns.watched.has(hour))).join('');
    const about = { atMs, windowMs, halfLifeMs: WINDOW_PATTERN_DEFAULTS.halfLifeMs, watched };
    const writes: MetadataWrite[] = [];
    for (const nodeId of nodeIds.slice(0, PUBLISHED_HOURS_NODES_MAX)) {
      const isMeant = (partition: number): boolean => ownerOf[partition] === nodeId;
      const value = encodeQueryHours(patterns.hoursOf(isMeant, PUBLISHED_HOURS_TYPES_MAX), about);
      writes.push({ kind: 'put', key: `${this.#prefixes.hours}${nodeId}/${queryNodeId}`, value });
      yield;
    }
    return writes;
  }
}

/** All that is known; thrown away as one. */
interface Known {
  readonly counts: QueryTypeCounts;
  readonly patterns: WindowPatterns;
  readonly sequences: QuerySequences;
  readonly hotKeys: HotKeys;
}

function newKnown(settings: QueryTypesPublisherSettings): Known {
  const { windowMs, partitionCount } = settings;
  // One tree: what is a value to one of them is a value to the other.
  const words = new WordTree();
  return {
    counts: new QueryTypeCounts(settings, words),
    patterns: new WindowPatterns({ ...WINDOW_PATTERN_DEFAULTS, windowMs, partitionCount }, words),
    sequences: new QuerySequences({
      ...CO_ACCESS_DEFAULTS,
      partitionCount,
      halfLifeMs: WINDOW_PATTERN_DEFAULTS.halfLifeMs,
      splitCommands: SPLIT_COMMANDS,
      recordsMax: SEQUENCE_RECORDS_MAX,
    }),
    hotKeys: new HotKeys({ ...HOT_KEYS_DEFAULTS, partitionCount }),
  };
}
