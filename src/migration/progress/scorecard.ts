/** What a move was to bring and to cost beside what it brought and cost. Pure. */
import type { MovePrediction } from '../../model/migration.ts';
import type { Move } from '../../model/proposal.ts';
import type { OpenRecord } from '../records/record-changes.ts';
import type { MigrationHistory } from '../records/records.ts';

/** Measured of one move; null where this coordinator did not see it, or nobody told. */
export interface MoveMeasures {
  /** Queries a second that the nodes answered without a migration before, and in the grace after; clients' own, by query nodes. */
  readonly sourceBefore: number | null;
  readonly sourceAfter: number | null;
  readonly targetBefore: number | null;
  readonly targetAfter: number | null;
  /** The worst p99 of reads and writes at source and target from the copy to the switch, and what it was without: of the same. */
  readonly latencyMs: number | null;
  readonly calmLatencyMs: number | null;
}

/** Kept with the history of a move that a plan asked for. */
export interface Scorecard {
  readonly predicted: MovePrediction;
  readonly measured: MoveMeasures;
}

export const NOT_MEASURED: MoveMeasures = {
  sourceBefore: null,
  sourceAfter: null,
  targetBefore: null,
  targetAfter: null,
  latencyMs: null,
  calmLatencyMs: null,
};

/** A share beyond these says more of other loads that changed meanwhile than of the move. */
const SHARE_MAX = 2;
/** Of a partition that is asked less nothing can be told apart from the nodes' other load. */
const QUERIES_PER_SECOND_MIN = 1;

/**
 * How much of the load that was to leave the source for the target has done so: the gap between the two nodes closes by twice
 * the partition's load. What rises or falls on both nodes alike cancels out.
 *
 * @returns 0..2; null where it was not measured.
 */
export function realisedShareOf({ predicted, measured }: Scorecard): number | null {
  const { sourceBefore, sourceAfter, targetBefore, targetAfter } = measured;
  const { queriesPerSecond } = predicted;
  if (sourceBefore === null || sourceAfter === null || targetBefore === null || targetAfter === null)
    return null;
  if (queriesPerSecond === null || queriesPerSecond < QUERIES_PER_SECOND_MIN) return null;
  const closed = sourceBefore - targetBefore - (sourceAfter - targetAfter);
  return Math.min(SHARE_MAX, Math.max(0, closed / (2 * queriesPerSecond)));
}

/** At its hour by the timetable, where it has one. */
export const predictionOf = ({
  gain,
  cost,
  sizeBytes,
  schedule,
  queriesPerSecond,
}: Pick<Move, 'gain' | 'cost' | 'sizeBytes' | 'schedule' | 'queriesPerSecond'>): MovePrediction => ({
  gain: schedule?.gain ?? gain,
  price: schedule?.price ?? cost,
  sizeBytes,
  seconds: schedule?.seconds ?? null,
  queriesPerSecond: queriesPerSecond ?? null,
});

/** The history of a move that was planned and carried out, with its card. */
export function withScorecard(
  history: MigrationHistory,
  { migration: { predicted } }: OpenRecord,
  measured: MoveMeasures,
): MigrationHistory {
  if (predicted === undefined || history.outcome !== 'done') return history;
  return { ...history, scorecard: { predicted, measured } };
}

/** Clients' p99 while it moved over the one without; null where it was not measured. */
export const latencyRatioOf = ({ latencyMs, calmLatencyMs }: MoveMeasures): number | null =>
  latencyMs === null || calmLatencyMs === null || calmLatencyMs === 0 ? null : latencyMs / calmLatencyMs;
