import {
  type CardTables,
  cardFitScratchCount,
  cardParameterCount,
  cardPredictScratchCount,
} from '../../kernels/card-jobs.ts';
import type { Pointer } from '../../kernels/exports.ts';
import type { SeriesRows } from '../../kernels/series-rows.ts';
import { AUTOREGRESSION_PENALTY, seasonalAutoregression } from './autoregression.ts';
import { lagTable, type OwnedLagTable } from './lag-table.ts';
import type { Member, MemberComponents } from './member.ts';
import { distinctLags, memoryOf } from './seasonal-lags.ts';
import { SeriesMember } from './series-member.ts';

/** Share of Rho in the average: 0.5, as in the paper, loses 5 % on M4's training part, where our Rho is the stronger. */
const RHO_SHARE = 0.7;

/** Days of average forecast that the calibration takes for observed. */
const CALIBRATION_DAYS = 2;

/** A card's two tables, for days alone and with the week. */
interface OwnedTables {
  readonly rho: OwnedLagTable;
  readonly calibration: OwnedLagTable;
  readonly rowsMin: number;
}

/**
 * Calibrated average of Rho and Delta, after Card, the best published forecast of M4 Hourly.
 *
 * Rho is a seasonal autoregression in logarithms ({@link seasonalAutoregression}, where the paper has one with seasonal
 * dummies and a test for a unit root). Delta is a damped average of recent cycles, the newest ones first, moved to the
 * level of the last day. The calibration regresses the series, with their average as if it had been observed, on itself
 * one window, a day, a day and a window, a week, a week and a window ago, and forecasts that regression's fitted values.
 * Its weights are kept from one fit to the next; the paper estimates them for each forecast.
 *
 * @see Doornik, Castle & Hendry, "Card forecasts for M4", International Journal of Forecasting 36, 2020
 */
class Card extends SeriesMember {
  readonly name = 'card';
  readonly windowsMin: number;
  readonly refitWindows: number;
  readonly #tables: readonly OwnedTables[];
  readonly #estimation: { readonly penalty: number; readonly fade: number; readonly rhoShare: number };
  readonly #windowsMax: number;

  constructor(components: MemberComponents) {
    const { dayWindows, weekWindows } = components.history.shape;
    const tables = tablesOf(components);
    super(components, cardParameterCount(tables[0] as OwnedTables));
    const { windowsMax, fade } = memoryOf(weekWindows);
    this.#tables = tables;
    this.#estimation = { penalty: AUTOREGRESSION_PENALTY, fade, rhoShare: RHO_SHARE };
    this.refitWindows = dayWindows;
    this.windowsMin = windowsFor(tables[0] as OwnedTables);
    // Where windows are short the least that it needs may be more than it would like to spend.
    this.#windowsMax = Math.max(windowsMax, this.windowsMin);
  }

  protected async fitRows(rows: SeriesRows, parameters: Pointer): Promise<void> {
    const windows = Math.min(rows.length, this.#windowsMax);
    const horizon = CALIBRATION_DAYS * rows.dayWindows;
    const tableIndex = this.#tables.findLastIndex((tables) => windows >= windowsFor(tables));
    const tables = plainTables(this.#tables[tableIndex] as OwnedTables);
    const { runner } = this.components;
    const slots = cardFitScratchCount(runner.kernels.exports, tables, { windows, horizon });
    await this.#withScratch(slots, (scratch) =>
      runner.run('cardFit', {
        ...this.#estimation,
        rows,
        windows,
        horizon,
        tables,
        tableIndex,
        parameters,
        scratch,
      }),
    );
  }

  protected async predictRows(rows: SeriesRows, parameters: Pointer, out: Pointer): Promise<void> {
    const { horizon, runner } = this.components;
    const reaches = this.#tables.flatMap(({ rho, calibration }) => [rho.reach, calibration.reach]);
    const tables = this.#tables.map(plainTables);
    await this.#withScratch(cardPredictScratchCount(Math.max(...reaches), horizon), (scratch) =>
      runner.run('cardPredict', { ...this.#estimation, rows, horizon, tables, parameters, scratch, out }),
    );
  }

  override close(): void {
    const { arena } = this.components.runner.kernels;
    for (const { rho, calibration } of this.#tables)
      for (const block of [...rho.blocks, ...calibration.blocks]) arena.free(block);
  }

  async #withScratch(slots: number, work: (scratch: Pointer) => Promise<void>): Promise<void> {
    const { arena } = this.components.runner.kernels;
    const scratch = arena.f64(slots);
    try {
      await work(scratch.pointer);
    } finally {
      arena.free(scratch);
    }
  }
}

export const cardMember = (components: MemberComponents): Member => new Card(components);

function tablesOf(components: MemberComponents): OwnedTables[] {
  const { arena } = components.runner.kernels;
  const { shape } = components.history;
  const { dayWindows, weekWindows } = shape;
  const choices = seasonalAutoregression(shape);
  const width = Math.max(...choices.map(({ lagsOf }) => lagsOf(0).length));
  const calibrated = [[dayWindows], [dayWindows, weekWindows]].map((seasons) =>
    distinctLags([1, ...seasons.flatMap((season) => [season, season + 1])].map((lag) => ({ lag, prior: 0 }))),
  );
  const calibratedWidth = Math.max(...calibrated.map((lags) => lags.length));
  return choices.map(({ lagsOf, rowsMin }, index) => ({
    rho: lagTable(arena, { steps: 1, width, lagsOf }),
    calibration: lagTable(arena, {
      steps: 1,
      width: calibratedWidth,
      lagsOf: () => calibrated[index] ?? [],
    }),
    rowsMin,
  }));
}

/** What crosses to a worker: pointers, no blocks. */
function plainTables({ rho, calibration }: OwnedTables): CardTables {
  const plain = ({ blocks: _, ...table }: OwnedLagTable) => table;
  return { rho: plain(rho), calibration: plain(calibration) };
}

const windowsFor = ({ rho, rowsMin }: OwnedTables): number => rho.reach + rowsMin;
