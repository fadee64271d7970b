import { assert } from '../../base/assert.ts';
import { ASSOCIATION_DEFAULTS, type AssociationLimits } from './associations.ts';
import { CO_ACCESS_DEFAULTS, CoAccess, type CoAccessSettings } from './co-access.ts';
import { ForwardDecay } from './decay.ts';
import { hotRows, hottest, type PlaceCount } from './hot-rows.ts';
import { HourOfWeekCounts, hourOfWeek, WatchedHours } from './hour-of-week.ts';
import { OnlineClusters, SHAPE_CLUSTER_DEFAULTS, TERM_CLUSTER_DEFAULTS } from './online-clusters.ts';
import { ownCopy } from './own-copy.ts';
import { reportOf } from './pattern-findings.ts';
import type { HotType, PatternRecord, PatternReport } from './pattern-report.ts';
import { SparseCounts } from './sparse-counts.ts';
import { shapeMembers, termMembers } from './template-members.ts';
import { type TemplateRow, TemplateRows } from './template-rows.ts';
import { type SqlParser, TEMPLATE_DEFAULTS, type TemplateSettings, Templates } from './templates.ts';
import { WindowSeries } from './window-series.ts';

export interface PatternSettings {
  /** Of the series that seasons are found in. */
  readonly windowMs: number;
  readonly partitionCount: number;
  /** After so long a query counts half, in all but the whole counts and the series. */
  readonly halfLifeMs: number;
  readonly templatesMax: number;
  readonly clientsMax: number;
  /** Pairs of template and partition, and of template and client. */
  readonly entriesMax: number;
  /** Pairs of template and partition that have a profile by hour of the week. */
  readonly profilesMax: number;
  readonly seriesWindowsMax: number;
  /** Between two steps of the clusters, in the log's time. */
  readonly clusterEveryMs: number;
  readonly templates: TemplateSettings;
  readonly coAccess: Omit<CoAccessSettings, 'partitionCount'>;
  readonly associations: AssociationLimits;
}

const DAY_MS = 86_400_000;

/** Together some 60 MB where a log fills everything: `docs/patterns.md` has the sum. */
export const PATTERN_DEFAULTS: Omit<PatternSettings, 'partitionCount'> = {
  windowMs: 3_600_000,
  // A profile of the week is a mean over some weeks, or it is noise.
  halfLifeMs: 28 * DAY_MS,
  templatesMax: 1_024,
  clientsMax: 4_096,
  entriesMax: 65_536,
  profilesMax: 4_096,
  // Twelve weeks of hours: the forecaster keeps ten.
  seriesWindowsMax: 2_016,
  clusterEveryMs: DAY_MS,
  templates: TEMPLATE_DEFAULTS,
  coAccess: CO_ACCESS_DEFAULTS,
  associations: ASSOCIATION_DEFAULTS,
};

export interface PatternComponents {
  readonly sql?: SqlParser | undefined;
  /** Partition of a key. Without it, only records that name their partitions have any. */
  readonly partitionOf?: ((key: string) => number) | undefined;
  /** Storage node by partition. Without it, nothing is said of nodes. */
  readonly ownerOf?: ArrayLike<number> | undefined;
}

/** More silent windows in a row than this are a wrong clock, not a silence worth walking through: eleven years of hours. */
const SILENT_WINDOWS_MAX = 100_000;

/**
 * Finds the patterns in a log of queries, record by record: templates, when each comes, what it touches, which ones go together.
 * Everything it keeps is bounded by its settings, however long the log is and whatever it holds.
 */
export class PatternAnalyzer {
  readonly settings: PatternSettings;
  readonly #components: PatternComponents;
  readonly #templates: Templates;
  readonly #decay: ForwardDecay;
  readonly #rows: TemplateRows;
  readonly #partitions: SparseCounts;
  readonly #clients: SparseCounts;
  readonly #hours: HourOfWeekCounts;
  /** By template row x partitionCount + partition. */
  readonly #placeHours: HourOfWeekCounts;
  readonly #watched = new WatchedHours();
  readonly #series: WindowSeries;
  readonly #coAccess: CoAccess;
  readonly #shapeClusters = new OnlineClusters(SHAPE_CLUSTER_DEFAULTS);
  readonly #termClusters = new OnlineClusters(TERM_CLUSTER_DEFAULTS);
  readonly #clientNames: string[] = ['(other)'];
  readonly #clientOf = new Map<string, number>();
  #firstWindow = Number.NaN;
  #lastWindow = Number.NaN;
  #startMs = Number.POSITIVE_INFINITY;
  #endMs = Number.NEGATIVE_INFINITY;
  #clusteredMs = Number.NaN;
  #generalisedCount = 0;
  #recordCount = 0;
  #refusedCount = 0;

  constructor(
    settings: Partial<PatternSettings> & Pick<PatternSettings, 'partitionCount'>,
    components: PatternComponents = {},
  ) {
    const all = { ...PATTERN_DEFAULTS, ...settings };
    const { partitionCount, entriesMax, templatesMax } = all;
    assert(partitionCount > 0, 'there are partitions');
    this.settings = all;
    this.#components = components;
    this.#templates = new Templates(all.templates, { sql: components.sql });
    this.#decay = new ForwardDecay(all.halfLifeMs);
    this.#rows = new TemplateRows(templatesMax, (targetOf) => this.#moveRows(targetOf));
    this.#partitions = new SparseCounts({ columnsMax: partitionCount, entriesMax });
    this.#clients = new SparseCounts({ columnsMax: all.clientsMax + 1, entriesMax });
    this.#hours = new HourOfWeekCounts({ rowsMax: templatesMax + 1 });
    this.#placeHours = new HourOfWeekCounts({ rowsMax: all.profilesMax });
    this.#series = new WindowSeries({ windowMs: all.windowMs, windowsMax: all.seriesWindowsMax });
    this.#coAccess = new CoAccess({ ...all.coAccess, partitionCount });
  }

  add(record: PatternRecord): void {
    const { timeMs, kind } = record;
    if (!Number.isFinite(timeMs)) {
      this.#refusedCount++;
      return;
    }
    if (this.#decay.isBeyond(timeMs)) this.#rescale(timeMs);
    this.#watch(timeMs);
    const weight = this.#decay.weightAt(timeMs);
    const text = kind === 'command' ? commandText(record) : record.query;
    const row = this.#rows.rowOf(kind, this.#templates.templateOf(kind, text));
    this.#count(row, record, weight);
    const partitions = this.#partitionsOf(record);
    this.#place(row.row, partitions, { timeMs, weight });
    this.#clients.add(row.row, this.#clientNumber(record.client), weight);
    this.#coAccess.add({ timeMs, client: record.client, partitions, weight });
    // Not at the first record: of less than a day, everything looks alike.
    if (Number.isNaN(this.#clusteredMs)) this.#clusteredMs = timeMs;
    if (timeMs - this.#clusteredMs >= this.settings.clusterEveryMs) this.#stepClusters(timeMs);
  }

  /** The patterns of all records so far; more may be added afterwards. */
  finish(): PatternReport {
    if (this.#recordCount > 0) this.#stepClusters(this.#endMs);
    return reportOf({
      settings: this.settings,
      startMs: this.#recordCount > 0 ? this.#startMs : 0,
      endMs: this.#recordCount > 0 ? this.#endMs : 0,
      recordCount: this.#recordCount,
      refusedCount: this.#refusedCount,
      scale: this.#decay.scale,
      rows: this.#rows,
      sql: this.#templates.sqlCounts,
      partitions: this.#partitions,
      clients: this.#clients,
      clientNames: this.#clientNames,
      ownerOf: this.#components.ownerOf ?? null,
      hours: this.#hours,
      watched: this.#watched,
      series: this.#series,
      shapeClusters: this.#shapeClusters,
      termClusters: this.#termClusters,
      coAccess: this.#coAccess,
    });
  }

  /** Hours of the week between the first and the last record, queries or not: of the others nothing can be said. */
  get watchedHours(): Pick<WatchedHours, 'has' | 'count'> {
    return this.#watched;
  }

  /**
   * Which templates make some partitions hot in an hour of the week, the largest first.
   *
   * @param hour of the week: Monday 00:00 UTC is 0. @param isMeant by partition, such as `(p) => ownerOf[p] === 3`.
   */
  hotTypes(hour: number, isMeant: (partition: number) => boolean): HotType[] {
    this.#settleTemplates();
    const weightOf = new Map(this.#rows.all.map(({ row, weight }) => [row, weight]));
    const places: PlaceCount[] = [];
    this.#partitions.forEach((row, partition, count) => {
      if (isMeant(partition))
        places.push({
          row,
          count,
          rowCount: weightOf.get(row) ?? 0,
          ownHours: this.#placeHours.of(row * this.settings.partitionCount + partition),
          rowHours: this.#hours.of(row),
        });
    });
    const rowOf = new Map(this.#rows.all.map((row) => [row.row, row]));
    const types = [...hotRows(places, this.#watched)].map(([row, hours]) => ({
      of: rowOf.get(row) as TemplateRow,
      hours,
    }));
    return hottest(types, { hour, watchedHours: this.#watched.count }).map(({ of, ...hot }) => ({
      templateId: of.id,
      template: of.text,
      ...hot,
    }));
  }

  #count(row: TemplateRow, { timeMs, bytes, latencyMs, isWrite }: PatternRecord, weight: number): void {
    this.#recordCount++;
    this.#startMs = Math.min(this.#startMs, timeMs);
    this.#endMs = Math.max(this.#endMs, timeMs);
    row.count++;
    row.weight += weight;
    row.writeCount += Number(isWrite === true);
    row.bytes += bytes ?? 0;
    if (latencyMs !== undefined) {
      row.latencyCount++;
      row.latencyMsSum += latencyMs;
      row.latencyMsMax = Math.max(row.latencyMsMax, latencyMs);
    }
    this.#hours.add(row.row, hourOfWeek(timeMs), weight);
    this.#series.add(row.row, timeMs);
  }

  /** Without repetitions; a number that is no partition is left out. */
  #partitionsOf({ partitions, keys }: PatternRecord): number[] {
    const { partitionOf } = this.#components;
    const found = partitions ?? (partitionOf === undefined ? [] : (keys ?? []).map(partitionOf));
    const isPartition = (partition: number): boolean =>
      Number.isInteger(partition) && partition >= 0 && partition < this.settings.partitionCount;
    return [...new Set(found)].filter(isPartition);
  }

  #place(
    row: number,
    partitions: readonly number[],
    { timeMs, weight }: { readonly timeMs: number; readonly weight: number },
  ): void {
    for (const partition of partitions) {
      this.#partitions.add(row, partition, weight);
      this.#placeHours.add(row * this.settings.partitionCount + partition, hourOfWeek(timeMs), weight);
    }
  }

  #clientNumber(client: string): number {
    const known = this.#clientOf.get(client);
    if (known !== undefined) return known;
    if (client === '' || this.#clientNames.length > this.settings.clientsMax) return 0;
    const name = ownCopy(client);
    const number = this.#clientNames.push(name) - 1;
    this.#clientOf.set(name, number);
    return number;
  }

  /** Every window between the first and the last record was watched, whether there was a query in it or not. */
  #watch(timeMs: number): void {
    const { windowMs } = this.settings;
    const index = Math.floor(timeMs / windowMs);
    if (Number.isNaN(this.#firstWindow)) this.#watchWindows(index, index);
    else if (index > this.#lastWindow)
      this.#watchWindows(Math.max(this.#lastWindow + 1, index - SILENT_WINDOWS_MAX), index);
    else if (index < this.#firstWindow)
      this.#watchWindows(index, Math.min(this.#firstWindow - 1, index + SILENT_WINDOWS_MAX));
    else return;
    this.#firstWindow = Number.isNaN(this.#firstWindow) ? index : Math.min(this.#firstWindow, index);
    this.#lastWindow = Number.isNaN(this.#lastWindow) ? index : Math.max(this.#lastWindow, index);
  }

  #watchWindows(first: number, last: number): void {
    const { windowMs } = this.settings;
    // By the weight of its middle: its records bear, in the mean, the same.
    for (let index = first; index <= last; index++)
      this.#watched.add(
        { startMs: index * windowMs, windowMs },
        this.#decay.weightOf((index + 0.5) * windowMs),
      );
  }

  /** Places that have become `*` since the last time make one template of several. */
  #settleTemplates(): void {
    const { generalisedCount } = this.#templates;
    if (generalisedCount === this.#generalisedCount) return;
    this.#generalisedCount = generalisedCount;
    const renamed = this.#rows.resolve((kind, template) => this.#templates.resolve(kind, template));
    for (const clusters of [this.#shapeClusters, this.#termClusters])
      clusters.rename((id) => renamed.get(id) ?? id);
  }

  #stepClusters(atMs: number): void {
    this.#settleTemplates();
    this.#clusteredMs = atMs;
    const rows = [...this.#rows.rows].filter(({ weight }) => weight > 0);
    this.#shapeClusters.step(shapeMembers(rows, this.#hours, this.#watched, this.#decay.scale), atMs);
    this.#termClusters.step(termMembers(rows), atMs);
  }

  #moveRows(targetOf: (row: number) => number): void {
    const { partitionCount } = this.settings;
    for (const table of [this.#partitions, this.#clients, this.#hours, this.#series])
      table.moveRows(targetOf);
    this.#placeHours.moveRows((place) => {
      const partition = place % partitionCount;
      return targetOf((place - partition) / partitionCount) * partitionCount + partition;
    });
  }

  #rescale(timeMs: number): void {
    const factor = this.#decay.moveLandmark(timeMs);
    for (const part of [
      this.#rows,
      this.#partitions,
      this.#clients,
      this.#hours,
      this.#placeHours,
      this.#watched,
      this.#coAccess,
    ])
      part.rescale(factor);
  }
}

/** Some logs tell a command with its arguments: its name is the first word, and the key, where it is told apart, the key. */
function commandText({ query, keys }: PatternRecord): string {
  if (keys === undefined || keys.length === 0) return query;
  return `${query.trim().split(/\s/, 1)[0]} ${keys[0]}`;
}
