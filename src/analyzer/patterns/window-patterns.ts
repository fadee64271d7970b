import { atOnce, type Sliced } from '../../base/slices.ts';
import { type AffinityCounts, OTHER } from '../../model/affinity-matrix.ts';
import type { ClusterEvent, NamedGroup } from './cluster-names.ts';
import { ForwardDecay } from './decay.ts';
import { hotRows, type PlaceCount } from './hot-rows.ts';
import { HOURS_PER_WEEK, HourOfWeekCounts, hoursOf, WatchedHours } from './hour-of-week.ts';
import { splitKeyWords } from './key-pattern.ts';
import { OnlineClusters, SHAPE_CLUSTER_DEFAULTS, TERM_CLUSTER_DEFAULTS } from './online-clusters.ts';
import { ENTRIES_A_SLICE } from './query-type-lifts.ts';
import type { CountedWindow } from './query-types.ts';
import { SparseCounts } from './sparse-counts.ts';
import { shapeMembers, termMembers } from './template-members.ts';
import { type TemplateRow, TemplateRows } from './template-rows.ts';
import { templateFrom } from './templates.ts';
import type { WordTree } from './word-tree.ts';

export interface WindowPatternSettings {
  readonly windowMs: number;
  readonly partitionCount: number;
  readonly halfLifeMs: number;
  readonly templatesMax: number;
  /** Pairs of template and partition that are counted, and those that have a profile by hour of the week. */
  readonly placesMax: number;
  readonly profilesMax: number;
  /** Between two steps of the clusters. */
  readonly clusterEveryMs: number;
}

const DAY_MS = 86_400_000;

export const WINDOW_PATTERN_DEFAULTS: Omit<WindowPatternSettings, 'windowMs' | 'partitionCount'> = {
  // A profile of the week is a mean over some weeks, or it is noise.
  halfLifeMs: 28 * DAY_MS,
  templatesMax: 1_024,
  // 6 MB.
  placesMax: 65_536,
  // 3 MB: 16 templates x 256 partitions.
  profilesMax: 4_096,
  clusterEveryMs: DAY_MS,
};

/** Of one template: how much it brings to some partitions in every hour of the week. */
export interface TypeHours {
  readonly template: string;
  /** f64[hour]: queries an hour, Monday 00:00 UTC first. */
  readonly hours: Float64Array;
}

export interface TypeCluster extends Pick<NamedGroup, 'name'> {
  readonly templates: readonly string[];
  /** Of all recent queries, 0..1. */
  readonly share: number;
  /** f64[hour], as of a template. */
  readonly hours: Float64Array;
}

/**
 * When each query type of a running cluster comes, and which types belong together: fed with the counts of every window that
 * closes. Some 13 MB at most.
 */
export class WindowPatterns {
  readonly #settings: WindowPatternSettings;
  readonly #words: WordTree;
  readonly #decay: ForwardDecay;
  readonly #rows: TemplateRows;
  readonly #places: SparseCounts;
  readonly #hours: HourOfWeekCounts;
  /** By template row x partitionCount + partition. */
  readonly #placeHours: HourOfWeekCounts;
  readonly #watched = new WatchedHours();
  readonly #shapeClusters = new OnlineClusters(SHAPE_CLUSTER_DEFAULTS);
  readonly #termClusters = new OnlineClusters(TERM_CLUSTER_DEFAULTS);
  #generalisedCount = 0;
  #clusteredMs = Number.NaN;
  #isClustered = false;

  /** @param words the tree that has told the names of the templates, and goes on to tell them. */
  constructor(settings: WindowPatternSettings, words: WordTree) {
    this.#settings = settings;
    this.#words = words;
    const { partitionCount, templatesMax, placesMax, profilesMax } = settings;
    this.#decay = new ForwardDecay(settings.halfLifeMs);
    this.#rows = new TemplateRows(templatesMax, (targetOf) => this.#moveRows(targetOf));
    this.#places = new SparseCounts({ columnsMax: partitionCount, entriesMax: placesMax });
    this.#hours = new HourOfWeekCounts({ rowsMax: templatesMax + 1 });
    this.#placeHours = new HourOfWeekCounts({ rowsMax: profilesMax });
  }

  get watched(): WatchedHours {
    return this.#watched;
  }

  /** False in the first day: until then `shape` and `terms` say nothing. */
  get isClustered(): boolean {
    return this.#isClustered;
  }

  get shape(): { readonly clusters: readonly TypeCluster[]; readonly events: readonly ClusterEvent[] } {
    return this.#clustersOf(this.#shapeClusters);
  }

  get terms(): { readonly clusters: readonly TypeCluster[]; readonly events: readonly ClusterEvent[] } {
    return this.#clustersOf(this.#termClusters);
  }

  /** Takes over the names of clusters from an earlier life of the process. */
  adopt(clusters: {
    readonly shape: readonly { readonly name: string; readonly templates: readonly string[] }[];
    readonly terms: readonly { readonly name: string; readonly templates: readonly string[] }[];
  }): void {
    const named = (known: typeof clusters.shape) =>
      known.map(({ name, templates }) => ({
        name,
        memberIds: templates.map((text) => templateFrom('command', text).id),
      }));
    this.#shapeClusters.adopt(named(clusters.shape));
    this.#termClusters.adopt(named(clusters.terms));
  }

  /** Adds a closed window. */
  add(window: CountedWindow): void {
    atOnce(this.adding(window));
  }

  /** The same with rests, one window at a time; what is told before it is done may lack parts of it. */
  *adding({ startMs, affinity }: CountedWindow): Sliced<void> {
    const { windowMs, partitionCount } = this.#settings;
    if (this.#decay.isBeyond(startMs)) this.#rescale(startMs);
    const weight = this.#decay.weightAt(startMs);
    this.#watched.add({ startMs, windowMs }, weight);
    const hours = hoursOf({ startMs, windowMs });
    this.#settle();
    const counts = yield* byTemplateAndPartition(affinity);
    for (const [template, places] of counts) {
      const row = this.#rowOf(affinity.templates[template] as string);
      yield;
      for (const [partition, count] of places) {
        row.count += count;
        row.weight += count * weight;
        this.#places.add(row.row, partition, weight, count);
        this.#hours.addWindow(row.row, hours, count * weight);
        this.#placeHours.addWindow(row.row * partitionCount + partition, hours, count * weight);
      }
    }
    // Not with the first window: of less than a day, everything looks alike.
    if (Number.isNaN(this.#clusteredMs)) this.#clusteredMs = startMs;
    if (startMs - this.#clusteredMs >= this.#settings.clusterEveryMs) this.#stepClusters(startMs);
  }

  /**
   * How much each template brings to some partitions in every hour of the week, the largest first; beyond the limit they are
   * summed up as "(other)".
   */
  hoursOf(isMeant: (partition: number) => boolean, typesMax: number): TypeHours[] {
    const weightOf = new Map(this.#rows.all.map(({ row, weight }) => [row, weight]));
    const places: PlaceCount[] = [];
    this.#places.forEach((row, partition, count) => {
      if (!isMeant(partition)) return;
      const ownHours = this.#placeHours.of(row * this.#settings.partitionCount + partition);
      places.push({ row, count, rowCount: weightOf.get(row) ?? 0, ownHours, rowHours: this.#hours.of(row) });
    });
    const textOf = new Map(this.#rows.all.map(({ row, text }) => [row, text]));
    const found = [...hotRows(places, this.#watched)].map(([row, hours]) => ({
      template: textOf.get(row) as string,
      hours,
      sum: hours.reduce((sum, rate) => sum + rate, 0),
    }));
    found.sort((a, b) => b.sum - a.sum || (a.template < b.template ? -1 : 1));
    const listed = found.filter(({ template }) => template !== OTHER).slice(0, typesMax);
    const rest = found.filter((type) => !listed.includes(type));
    const other = new Float64Array(HOURS_PER_WEEK);
    for (const { hours } of rest)
      for (let h = 0; h < HOURS_PER_WEEK; h++) other[h] = (other[h] as number) + (hours[h] as number);
    return [...listed, ...(rest.length > 0 ? [{ template: OTHER, hours: other }] : [])].map(
      ({ template, hours }) => ({ template, hours }),
    );
  }

  #rowOf(name: string): TemplateRow {
    if (name === OTHER) return this.#rows.other;
    const general = this.#words.resolve(splitKeyWords(name)).join('');
    return this.#rows.rowOf('command', templateFrom('command', general));
  }

  #clustersOf({ clusters, events }: OnlineClusters): {
    readonly clusters: readonly TypeCluster[];
    readonly events: readonly ClusterEvent[];
  } {
    const rowOf = new Map([...this.#rows.rows].map((row) => [row.id, row]));
    const sum = this.#rows.all.reduce((total, { weight }) => total + weight, 0);
    const told = clusters.map(({ name, memberIds, weight }): TypeCluster => {
      const members = memberIds.flatMap((id) => rowOf.get(id) ?? []).sort((a, b) => b.weight - a.weight);
      const hours = new Float64Array(HOURS_PER_WEEK);
      for (const { row } of members)
        this.#watched.ratesOf(this.#hours.of(row)).forEach((rate, h) => {
          hours[h] = (hours[h] as number) + rate;
        });
      return { name, templates: members.map(({ text }) => text), share: sum > 0 ? weight / sum : 0, hours };
    });
    return { clusters: told, events };
  }

  #settle(): void {
    if (this.#words.generalisedCount === this.#generalisedCount) return;
    this.#generalisedCount = this.#words.generalisedCount;
    const renamed = this.#rows.resolve((kind, { text }) =>
      templateFrom(kind, this.#words.resolve(splitKeyWords(text)).join('')),
    );
    for (const clusters of [this.#shapeClusters, this.#termClusters])
      clusters.rename((id) => renamed.get(id) ?? id);
  }

  #stepClusters(atMs: number): void {
    this.#clusteredMs = atMs;
    this.#isClustered = true;
    const rows = [...this.#rows.rows].filter(({ weight }) => weight > 0);
    this.#shapeClusters.step(shapeMembers(rows, this.#hours, this.#watched, this.#decay.scale), atMs);
    this.#termClusters.step(termMembers(rows), atMs);
  }

  #moveRows(targetOf: (row: number) => number): void {
    const { partitionCount } = this.#settings;
    this.#places.moveRows(targetOf);
    this.#hours.moveRows(targetOf);
    this.#placeHours.moveRows((place) => {
      const partition = place % partitionCount;
      return targetOf((place - partition) / partitionCount) * partitionCount + partition;
    });
  }

  #rescale(startMs: number): void {
    const factor = this.#decay.moveLandmark(startMs);
    for (const part of [this.#rows, this.#places, this.#hours, this.#placeHours, this.#watched])
      part.rescale(factor);
  }
}

function* byTemplateAndPartition({
  template,
  partition,
  count,
}: AffinityCounts): Sliced<Map<number, Map<number, number>>> {
  const sums = new Map<number, Map<number, number>>();
  for (const [entry, entryCount] of count.entries()) {
    if (entry % ENTRIES_A_SLICE === 0) yield;
    const places = sums.get(template[entry] as number) ?? new Map<number, number>();
    sums.set(template[entry] as number, places);
    places.set(partition[entry] as number, (places.get(partition[entry] as number) ?? 0) + entryCount);
  }
  return sums;
}
