/** What is found in a log of queries: plain data, as `--json` prints it. */
import type { Season } from '../seasons/find-seasons.ts';
import type { ClusterEvent } from './cluster-names.ts';
import type { TemplateKind } from './templates.ts';

/** One query of a log. */
export interface PatternRecord {
  /** Wall clock, milliseconds since 1970-01-01 UTC. Out of order is fine; what is not finite is refused. */
  readonly timeMs: number;
  /** Whoever asked: a name or an address. "" where nobody knows. */
  readonly client: string;
  readonly kind: TemplateKind;
  /** A command (its keys are in `keys`, or the first is its second word), a statement, a search, or an HTTP request line. */
  readonly query: string;
  readonly keys?: readonly string[];
  /** Where known; else they come from `keys` by `partitionOf`. */
  readonly partitions?: readonly number[];
  readonly latencyMs?: number | undefined;
  readonly bytes?: number | undefined;
  readonly isWrite?: boolean;
}

export interface TemplateReport {
  /** 16 hex digits, the same in every run; of "(other)" as well. */
  readonly id: string;
  /** Null: "(other)", what was not told apart. */
  readonly kind: TemplateKind | null;
  readonly text: string;
  /** Queries, each counted whole. */
  readonly count: number;
  /** Queries weighted by age: one that is a half-life old counts half. */
  readonly recentCount: number;
  /** Of all recent queries, 0..1. */
  readonly share: number;
  /** 0..1. */
  readonly writeShare: number;
  readonly bytes: number;
  /** Null where no record says. */
  readonly latencyMsMean: number | null;
  readonly latencyMsMax: number | null;
  /** Queries an hour by hour of the week, Monday 00:00 UTC first; 0 also where no such hour was in the log. */
  readonly hours: readonly number[];
  /** Names; null where it is in none (without terms, or with no queries left). */
  readonly shapeCluster: string | null;
  readonly termCluster: string | null;
}

export interface ClusterReport {
  readonly name: string;
  readonly templateIds: readonly string[];
  readonly recentCount: number;
  /** Of all recent queries, 0..1. */
  readonly share: number;
  /** Queries an hour by hour of the week, as of a template. */
  readonly hours: readonly number[];
  /** The hour of the week with most queries, such as `mon 09:00`; null where there are none. */
  readonly peakHour: string | null;
  /** Queries by window, from `PatternReport.series.startMs` on. */
  readonly series: readonly number[];
  /** Found in the series, shortest first; of the largest clusters only (16 by shape, 16 by terms), empty for the others. */
  readonly seasons: readonly Season[];
}

/** A template that touches a partition, a storage node or a client more often than chance. */
export interface AssociationReport {
  readonly templateId: string;
  readonly template: string;
  /** Partition or node number, or the client's name. */
  readonly partner: number | string;
  readonly recentCount: number;
  readonly expectedCount: number;
  readonly lift: number;
  readonly pValue: number;
  /** The share of chance finds among this and all more certain ones (Benjamini-Hochberg). */
  readonly qValue: number;
}

export interface PairReport {
  readonly partitionA: number;
  readonly partitionB: number;
  readonly recentCount: number;
  readonly expectedCount: number;
  readonly lift: number;
  readonly pValue: number;
  readonly qValue: number;
}

export interface PatternReport {
  /** Of the records; both 0 where there is none. */
  readonly startMs: number;
  readonly endMs: number;
  readonly windowMs: number;
  readonly halfLifeMs: number;
  readonly recordCount: number;
  /** Records without a finite time. */
  readonly refusedCount: number;
  /** By recent count, the largest first; "(other)" among them where it has any. */
  readonly templates: readonly TemplateReport[];
  /** How often a template was given up to keep memory bounded: its queries are in "(other)". */
  readonly evictedTemplateCount: number;
  readonly sql: { readonly parsedCount: number; readonly unparsedCount: number };
  readonly series: { readonly startMs: number; readonly windowMs: number; readonly windowCount: number };
  /** Hours of the week that the log covers, at most 168. */
  readonly watchedHours: number;
  readonly clusters: {
    /** Templates that come at the same hours. */
    readonly shape: readonly ClusterReport[];
    /** Templates that are about the same things. */
    readonly terms: readonly ClusterReport[];
  };
  readonly clusterEvents: {
    readonly shape: readonly ClusterEvent[];
    readonly terms: readonly ClusterEvent[];
  };
  /** Of the associations and pairs told below, so many are expected to be chance. */
  readonly falseDiscoveryRate: number;
  readonly associations: {
    readonly partitions: readonly AssociationReport[];
    /** Empty without a partition map. */
    readonly nodes: readonly AssociationReport[];
    readonly clients: readonly AssociationReport[];
  };
  readonly coAccess: {
    /** Partitions of one multi-key query. */
    readonly together: readonly PairReport[];
    /** Partitions of different queries of one client, soon after each other. */
    readonly sameClient: readonly PairReport[];
    /** From a client's query to its very next one: A, then B. */
    readonly next: readonly PairReport[];
  };
  /** Recent counts that were forgotten to keep memory bounded, in template x partition and template x client. */
  readonly forgotten: { readonly partitions: number; readonly clients: number };
}

/** What one template brings to a node, or to some partitions, in one hour of the week. */
export interface HotType {
  readonly templateId: string;
  readonly template: string;
  /** Queries an hour, in that hour of the week. */
  readonly ratePerHour: number;
  /** Of all queries there in that hour, 0..1. */
  readonly share: number;
  /** The mean over all hours of the week that were watched. */
  readonly usualRatePerHour: number;
}
