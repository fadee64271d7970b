import type { KernelExports, Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';
import type { LagTable } from './lag-table.ts';
import { forEachForecast, forEachRow, type SeriesRows } from './series-rows.ts';

/** How the two regressions of Card are estimated (src/analyzer/members/card.ts says why). */
export interface CardEstimation {
  readonly penalty: number;
  readonly fade: number;
  /** Share of Rho in the average with Delta. */
  readonly rhoShare: number;
}

/** Rho and the calibration for one length of history; one step each. */
export interface CardTables {
  readonly rho: LagTable;
  readonly calibration: LagTable;
}

interface CardParameters extends CardEstimation {
  readonly rows: SeriesRows;
  readonly horizon: number;
  /** f64[count][cardParameterCount]: number of the tables, or -1 where there is no model; Rho; the calibration. */
  readonly parameters: Pointer;
  /** f64[cardFitScratchCount] or f64[cardPredictScratchCount]. */
  readonly scratch: Pointer;
}

export interface CardFitParameters extends CardParameters {
  readonly tables: CardTables;
  readonly tableIndex: number;
  /** Windows of each row to learn from, the last ones. */
  readonly windows: number;
}

export interface CardPredictParameters extends CardParameters {
  readonly tables: readonly CardTables[];
  readonly out: Pointer;
}

export const cardParameterCount = ({ rho, calibration }: CardTables): number =>
  1 + (1 + rho.width) + (1 + calibration.width);

/** f64 slots of scratch for a prediction: the end of a row with its forecast, and Delta's two forecasts. */
export const cardPredictScratchCount = (windows: number, horizon: number): number =>
  windows + 3 * horizon + 4;

/** The same for a fit: a whole row, and what the regressions need. */
export function cardFitScratchCount(
  exports: KernelExports,
  { rho, calibration }: CardTables,
  { windows, horizon }: { readonly windows: number; readonly horizon: number },
): number {
  const scratchOf = ({ reach, steps, width, groupCount }: LagTable): number =>
    exports.lagScratchCount(windows + horizon, reach, steps, width, groupCount);
  return cardPredictScratchCount(windows, horizon) + Math.max(scratchOf(rho), scratchOf(calibration));
}

/** Fits Rho to the history, and the calibration to the history with the average forecast as if it had been observed. */
const cardFit: Job<CardFitParameters, void> = {
  run(context, job) {
    const { exports, buffer } = context;
    const { rows, windows, horizon, tables, tableIndex, parameters, scratch } = job;
    const work = scratch + cardPredictScratchCount(windows, horizon) * 8;
    forEachRow(context, rows, (end, index) => {
      const at = parameters + index * cardParameterCount(tables) * 8;
      const calibrationAt = at + (2 + tables.rho.width) * 8;
      const fit = (series: Pointer, length: number, table: LagTable, out: Pointer): boolean =>
        fitOne(exports, { series, windows: length, table, estimation: job, scratch: work, out });
      const isFitted =
        fit(end - windows * 8, windows, tables.rho, at + 8) &&
        writeExtended(context, job, { end, kept: windows, tables, weights: at + 8 }) &&
        fit(scratch, windows + horizon, tables.calibration, calibrationAt);
      new Float64Array(buffer, at, 1)[0] = isFitted ? tableIndex : -1;
    });
  },
};

/** Averages Rho and Delta, and takes the calibration's fitted values of that. */
const cardPredict: Job<CardPredictParameters, void> = {
  run(context, job) {
    const { exports, buffer } = context;
    const { rows, horizon, parameters, scratch, out } = job;
    const count = cardParameterCount(job.tables[0] as CardTables);
    forEachForecast(context, { rows, horizon, out }, (end, index, target) => {
      const at = parameters + index * count * 8;
      const tables = job.tables[new Float64Array(buffer, at, 1)[0] as number];
      if (tables === undefined) return false;
      const { rho, calibration } = tables;
      const kept = Math.max(rho.reach, calibration.reach);
      if (kept > rows.length || !writeExtended(context, job, { end, kept, tables, weights: at + 8 }))
        return false;
      const weights = at + (2 + rho.width) * 8;
      exports.lagFitted(scratch + kept * 8, calibration.lags, calibration.width, weights, horizon, target);
      return true;
    });
  },
};

function fitOne(
  exports: KernelExports,
  options: {
    series: Pointer;
    windows: number;
    table: LagTable;
    estimation: CardEstimation;
    scratch: Pointer;
    out: Pointer;
  },
): boolean {
  const { series, windows, table, estimation, scratch, out } = options;
  const { lags, steps, width, reach, prior, groups, groupCount } = table;
  const { penalty, fade } = estimation;
  const isFitted = exports.lagFit(
    series,
    windows,
    lags,
    steps,
    width,
    reach,
    prior,
    groups,
    groupCount,
    penalty,
    0,
    fade,
    1,
    scratch,
    out,
  );
  return isFitted === 1;
}

/** The last windows of a row, and after them the average of Rho and Delta: f64[kept + horizon] at the scratch. */
function writeExtended(
  { exports, buffer }: JobContext,
  { rows, horizon, scratch, rhoShare }: CardParameters,
  row: { end: Pointer; kept: number; tables: CardTables; weights: Pointer },
): boolean {
  const { end, kept, tables, weights } = row;
  const { lags, steps, width } = tables.rho;
  new Uint8Array(buffer).copyWithin(scratch, end - kept * 8, end);
  const forecast = scratch + kept * 8;
  const delta = forecast + horizon * 8;
  exports.lagPredict(end, lags, steps, width, weights, horizon, forecast);
  if (exports.boundForecast(scratch, kept, forecast, horizon) === 0) return false;
  const { length, dayWindows, weekWindows } = rows;
  exports.deltaForecast(end, length, dayWindows, weekWindows, horizon, delta + horizon * 8, delta);
  exports.scaleInPlace(forecast, horizon, rhoShare);
  exports.addScaled(delta, horizon, 1 - rhoShare, forecast);
  return true;
}

export const cardJobs = { cardFit, cardPredict };
