export interface SummaryLimits {
  readonly typesMax: number;
  readonly partitionsMax: number;
  readonly clientsMax: number;
}

/** Whether a template and whom it concerns go together more often than chance. */
export interface Liked {
  /** Only where they do, at a false-discovery rate of 0.05: how many times as often as if neither cared about the other. */
  readonly lift?: number;
}

/** One template and whom it concerns; lists are sorted by count, the largest first. */
export interface QueryType {
  /** Such as `HGET user:{n}:cart`, or "(other)". */
  readonly template: string;
  /** Of all recent queries, 0..1. */
  readonly share: number;
  /** Queries, weighted by age: one that is a half-life old counts half. */
  readonly recentCount: number;
  /** Queries since the counting began, each counted whole. */
  readonly totalCount: number;
  readonly partitions: readonly ({ readonly partitionId: number; readonly recentCount: number } & Liked)[];
  /** How many there are, whether listed or not. */
  readonly partitionCount: number;
  readonly clients: readonly ({ readonly client: string; readonly recentCount: number } & Liked)[];
  readonly clientCount: number;
}

/** Of one type. */
export interface TypeNode extends Liked {
  readonly nodeId: number;
  readonly recentCount: number;
}

export interface QueryTypeSummary {
  readonly types: readonly QueryType[];
  readonly typeCount: number;
  readonly recentCount: number;
  readonly totalCount: number;
  /** Weighted queries of entries beyond `entriesMax`, which no type shows. */
  readonly forgottenCount: number;
}
