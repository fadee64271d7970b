import {
  type Backtest,
  LEAD_IN_HOURS,
  measuredOf,
  type PolicyName,
} from '../../../../src/backtest/backtest.ts';
import { nodesInHour } from '../../../../src/backtest/metrics.ts';
import type { OwnerChange } from '../../../../src/backtest/migration-model.ts';
import type { ReplayedPolicy } from '../run-policies.ts';

const HOUR_MS = 3_600_000;
/** More rows than this are not told apart on a screen: partitions are taken together. */
const ROWS_MAX = 256;
/** And of more columns hours are: 60 days have 1,440. */
const COLUMNS_MAX = 1_440;

/** Load of partitions over the hours that count, as shades. */
export interface HeatMap {
  readonly rowCount: number;
  readonly columnCount: number;
  readonly partitionsPerRow: number;
  readonly hoursPerColumn: number;
  /** u8[row][column]: the highest load of any partition and hour in the cell, on a scale of square roots. */
  readonly shades: Uint8Array;
  /** Queries an hour that the darkest shade stands for. */
  readonly queriesMax: number;
}

/** The hour after training is the first. */
export const liveStartMs = ({ startMs, trainHours }: Backtest): number => startMs + trainHours * HOUR_MS;

/** Roots, so that partitions of a hundredth of the hottest one's load are seen as well. */
export function heatMapOf({ load, trainHours, liveHours, partitionCount }: Backtest): HeatMap {
  const partitionsPerRow = Math.ceil(partitionCount / ROWS_MAX);
  const hoursPerColumn = Math.ceil(liveHours / COLUMNS_MAX);
  const rowCount = Math.ceil(partitionCount / partitionsPerRow);
  const columnCount = Math.ceil(liveHours / hoursPerColumn);
  const most = new Float64Array(rowCount * columnCount);
  let queriesMax = 0;
  for (let hour = 0; hour < liveHours; hour++)
    for (let p = 0; p < partitionCount; p++) {
      const own = load[(trainHours + hour) * partitionCount + p] as number;
      const cell = Math.floor(p / partitionsPerRow) * columnCount + Math.floor(hour / hoursPerColumn);
      most[cell] = Math.max(most[cell] as number, own);
      queriesMax = Math.max(queriesMax, own);
    }
  const shades = Uint8Array.from(most, (own) =>
    queriesMax > 0 ? Math.round(255 * Math.sqrt(own / queriesMax)) : 0,
  );
  return { rowCount, columnCount, partitionsPerRow, hoursPerColumn, shades, queriesMax };
}

/** f64[hour]: utilisation of the busiest node, over the hours that count. */
export function busiestNode(backtest: Backtest, { timeline }: ReplayedPolicy): Float64Array {
  const measured = measuredOf(backtest);
  return Float64Array.from({ length: backtest.liveHours }, (_, hour) =>
    nodesInHour(measured, timeline, LEAD_IN_HOURS + hour).utilisation.reduce((a, b) => Math.max(a, b), 0),
  );
}

/** f64[node][hour]: utilisation over the hours that count. */
export function nodeCurves(backtest: Backtest, { timeline }: ReplayedPolicy): Float64Array[] {
  const measured = measuredOf(backtest);
  const curves = Array.from(backtest.capacity, () => new Float64Array(backtest.liveHours));
  for (let hour = 0; hour < backtest.liveHours; hour++)
    nodesInHour(measured, timeline, LEAD_IN_HOURS + hour).utilisation.forEach((rho, n) => {
      (curves[n] as Float64Array)[hour] = rho;
    });
  return curves;
}

/** A move with its time, wall clock. */
export interface TimedMove extends OwnerChange {
  readonly atMs: number;
}

/** All moves of a policy, from its first hour on. */
export function movesInTime(
  backtest: Backtest,
  policies: Readonly<Record<PolicyName, ReplayedPolicy>>,
  name: PolicyName,
): TimedMove[] {
  const zeroMs = liveStartMs(backtest) - LEAD_IN_HOURS * HOUR_MS;
  return policies[name].timeline.replayed.hours.flatMap(({ changes }) =>
    changes.map((change) => ({ ...change, atMs: zeroMs + change.startHour * HOUR_MS })),
  );
}
