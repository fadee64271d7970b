/** Puts together what a `PatternAnalyzer` has counted. Pure; says nothing that was not counted. */
import { OTHER } from '../../model/affinity-matrix.ts';
import { findSeasons } from '../seasons/find-seasons.ts';
import { type AssociationLimits, type CountCell, findOwnAssociations } from './associations.ts';
import type { ClusterEvent, NamedGroup } from './cluster-names.ts';
import type { CoAccess } from './co-access.ts';
import { type HourOfWeekCounts, hourOfWeekName, type WatchedHours } from './hour-of-week.ts';
import type {
  AssociationReport,
  ClusterReport,
  PairReport,
  PatternReport,
  TemplateReport,
} from './pattern-report.ts';
import { seenIn } from './query-type-lifts.ts';
import type { SparseCounts } from './sparse-counts.ts';
import { OTHER_ROW, type TemplateRow, type TemplateRows } from './template-rows.ts';
import type { WindowSeries } from './window-series.ts';

/** Clusters whose seasons are looked for, by weight: a search takes some milliseconds. */
const SEASONS_MAX = 16;

interface Clusters {
  readonly clusters: readonly NamedGroup[];
  readonly events: readonly ClusterEvent[];
}

export interface Findings {
  readonly settings: {
    readonly windowMs: number;
    readonly halfLifeMs: number;
    readonly associations: AssociationLimits;
  };
  readonly startMs: number;
  readonly endMs: number;
  readonly recordCount: number;
  readonly refusedCount: number;
  /** Of `ForwardDecay`: sums times it are as of the newest record. */
  readonly scale: number;
  readonly rows: TemplateRows;
  readonly sql: PatternReport['sql'];
  readonly partitions: SparseCounts;
  readonly clients: SparseCounts;
  readonly clientNames: readonly string[];
  readonly ownerOf: ArrayLike<number> | null;
  readonly hours: HourOfWeekCounts;
  readonly watched: WatchedHours;
  readonly series: WindowSeries;
  readonly shapeClusters: Clusters;
  readonly termClusters: Clusters;
  readonly coAccess: CoAccess;
}

export function reportOf(found: Findings): PatternReport {
  const { settings, scale, rows, series, coAccess, ownerOf } = found;
  const sum = rows.all.reduce((total, { weight }) => total + weight, 0);
  const limits = settings.associations;
  const pairs = coAccess.report(scale, limits);
  const textOf = new Map(rows.all.map((row) => [row.row, row]));
  const associationsOf = (
    counts: SparseCounts,
    partnerOf: (column: number) => number | string,
  ): AssociationReport[] => associationsIn(counts, { scale, limits, textOf, partnerOf });
  return {
    startMs: found.startMs,
    endMs: found.endMs,
    windowMs: settings.windowMs,
    halfLifeMs: settings.halfLifeMs,
    recordCount: found.recordCount,
    refusedCount: found.refusedCount,
    templates: templatesOf(found, sum),
    evictedTemplateCount: rows.evictedCount,
    sql: found.sql,
    series: { ...series.span, windowMs: settings.windowMs },
    watchedHours: found.watched.count,
    clusters: {
      shape: clustersOf(found, found.shapeClusters, sum),
      terms: clustersOf(found, found.termClusters, sum),
    },
    clusterEvents: { shape: found.shapeClusters.events, terms: found.termClusters.events },
    falseDiscoveryRate: limits.falseDiscoveryRate,
    associations: {
      partitions: associationsOf(found.partitions, (partition) => partition),
      nodes: ownerOf === null ? [] : associationsOf(byNode(found.partitions, ownerOf), (node) => node),
      clients: associationsOf(found.clients, (client) => found.clientNames[client] ?? OTHER),
    },
    coAccess: {
      together: pairs.together.map(pairOf),
      sameClient: pairs.sameClient.map(pairOf),
      next: pairs.next.map(pairOf),
    },
    forgotten: { partitions: found.partitions.forgotten * scale, clients: found.clients.forgotten * scale },
  };
}

function templatesOf({ rows, scale, hours, watched, ...found }: Findings, sum: number): TemplateReport[] {
  const nameOf = (clusters: Clusters): ReadonlyMap<string, string> =>
    new Map(clusters.clusters.flatMap(({ name, memberIds }) => memberIds.map((id) => [id, name] as const)));
  const shapeNames = nameOf(found.shapeClusters);
  const termNames = nameOf(found.termClusters);
  return rows.all
    .filter(({ count }) => count > 0)
    .map((row) => ({
      id: row.id,
      kind: row.kind,
      text: row.text,
      count: row.count,
      recentCount: row.weight * scale,
      share: sum > 0 ? row.weight / sum : 0,
      writeShare: row.writeCount / row.count,
      bytes: row.bytes,
      latencyMsMean: row.latencyCount > 0 ? row.latencyMsSum / row.latencyCount : null,
      latencyMsMax: row.latencyCount > 0 ? row.latencyMsMax : null,
      hours: [...watched.ratesOf(hours.of(row.row))],
      shapeCluster: shapeNames.get(row.id) ?? null,
      termCluster: termNames.get(row.id) ?? null,
    }))
    .sort((a, b) => b.recentCount - a.recentCount || (a.id < b.id ? -1 : 1));
}

function clustersOf(
  { rows, scale, hours, watched, series }: Findings,
  { clusters }: Clusters,
  sum: number,
): ClusterReport[] {
  const rowOf = new Map([...rows.rows].map(({ id, row }) => [id, row]));
  return clusters.map(({ name, memberIds, weight }, rank) => {
    const members = memberIds.flatMap((id) => rowOf.get(id) ?? []);
    const rates = new Array<number>(168).fill(0);
    for (const row of members)
      watched.ratesOf(hours.of(row)).forEach((rate, hour) => {
        rates[hour] = (rates[hour] as number) + rate;
      });
    const values = series.sumOf(members);
    const peak = rates.indexOf(Math.max(...rates));
    return {
      name,
      templateIds: memberIds,
      recentCount: weight * scale,
      share: sum > 0 ? weight / sum : 0,
      hours: rates,
      peakHour: (rates[peak] as number) > 0 ? hourOfWeekName(peak) : null,
      series: [...values],
      seasons: rank < SEASONS_MAX ? findSeasons(values.map(Math.log1p)) : [],
    };
  });
}

function associationsIn(
  counts: SparseCounts,
  options: {
    readonly scale: number;
    readonly limits: AssociationLimits;
    readonly textOf: ReadonlyMap<number, TemplateRow>;
    readonly partnerOf: (column: number) => number | string;
  },
): AssociationReport[] {
  const { scale, limits, textOf, partnerOf } = options;
  const { sum, effectiveFactor, rowSums, columnSums } = counts;
  const cells: CountCell[] = [];
  counts.forEach((row, column, count) => {
    // "(other)" is no kind of query: what it likes says nothing.
    if (row !== OTHER_ROW) cells.push({ row, column, count });
  });
  const testCount = rowSums.size * columnSums.size;
  const table = { sum, effectiveFactor, testCount };
  return findOwnAssociations(cells, seenIn(counts), table, limits).map((found) => ({
    templateId: textOf.get(found.row)?.id as string,
    template: textOf.get(found.row)?.text as string,
    partner: partnerOf(found.column),
    recentCount: found.count * scale,
    expectedCount: found.expected * scale,
    lift: found.lift,
    pValue: found.pValue,
    qValue: found.qValue,
  }));
}

/** The same counts by storage node. */
function byNode(partitions: SparseCounts, ownerOf: ArrayLike<number>): SparseCounts {
  return partitions.regrouped((partition) => ownerOf[partition] ?? -1);
}

const pairOf = (pair: {
  readonly row: number;
  readonly column: number;
  readonly count: number;
  readonly expected: number;
  readonly lift: number;
  readonly pValue: number;
  readonly qValue: number;
}): PairReport => ({
  partitionA: pair.row,
  partitionB: pair.column,
  recentCount: pair.count,
  expectedCount: pair.expected,
  lift: pair.lift,
  pValue: pair.pValue,
  qValue: pair.qValue,
});
