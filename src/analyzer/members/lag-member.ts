import type { Pointer } from '../../kernels/exports.ts';
import { lagParameterCount } from '../../kernels/lag-table.ts';
import type { SeriesRows } from '../../kernels/series-rows.ts';
import { type Lag, lagTable, type OwnedLagTable } from './lag-table.ts';
import type { MemberComponents } from './member.ts';
import { SeriesMember } from './series-member.ts';

/** Which past windows the steps of a forecast look at, and how much history that takes. */
export interface LagChoice {
  lagsOf(step: number): readonly Lag[];
  /** Rows (origins) from which it may be fitted. */
  readonly rowsMin: number;
}

export interface LagSettings {
  readonly name: string;
  readonly refitWindows: number;
  /** Steps fitted directly; a longer horizon is rolled forward over them. */
  readonly steps: number;
  /** From the humblest to the one that needs most history: the last one that the history suffices for is fitted. */
  readonly choices: readonly LagChoice[];
  /** Windows learnt from at most. */
  readonly windowsMax: number;
  /** Ridge penalty of the standardised series: as a share of the rows, and as a number. */
  readonly penalty: number;
  readonly penaltyFixed: number;
  /** Weight of a row against the next one's. */
  readonly fade: number;
  readonly hasConstant: boolean;
}

/** Every member that is a regression of each series on its own lags: `ridge` and `qb-linear`. */
export class LagMember extends SeriesMember {
  readonly name: string;
  readonly windowsMin: number;
  readonly refitWindows: number;
  readonly #settings: LagSettings;
  readonly #tables: readonly OwnedLagTable[];

  constructor(settings: LagSettings, components: MemberComponents) {
    const { arena } = components.runner.kernels;
    const { steps, choices } = settings;
    const width = Math.max(
      ...choices.map(({ lagsOf }) => Math.max(...Array.from({ length: steps }, (_, s) => lagsOf(s).length))),
    );
    const tables = choices.map(({ lagsOf }) => lagTable(arena, { steps, width, lagsOf }));
    super(components, lagParameterCount({ steps, width }));
    this.name = settings.name;
    this.refitWindows = settings.refitWindows;
    this.#settings = settings;
    this.#tables = tables;
    this.windowsMin = this.#windowsFor(0);
  }

  protected async fitRows(rows: SeriesRows, parameters: Pointer): Promise<void> {
    const { windowsMax, penalty, penaltyFixed, fade, hasConstant } = this.#settings;
    // Where windows are short the least that it needs may be more than it would like to spend.
    const windows = Math.min(rows.length, Math.max(windowsMax, this.windowsMin));
    let tableIndex = this.#tables.length - 1;
    while (tableIndex > 0 && windows < this.#windowsFor(tableIndex)) tableIndex--;
    const table = this.#tables[tableIndex] as OwnedLagTable;
    const { runner } = this.components;
    const { arena, exports } = runner.kernels;
    const { reach, steps, width, groupCount } = table;
    const scratch = arena.f64(exports.lagScratchCount(windows, reach, steps, width, groupCount));
    try {
      const { blocks: _, ...plainTable } = table;
      await runner.run('lagFit', {
        rows,
        table: plainTable,
        tableIndex,
        windows,
        penalty,
        penaltyFixed,
        fade,
        hasConstant,
        scratch: scratch.pointer,
        out: parameters,
      });
    } finally {
      arena.free(scratch);
    }
  }

  protected async predictRows(rows: SeriesRows, parameters: Pointer, out: Pointer): Promise<void> {
    const { runner, horizon } = this.components;
    const tables = this.#tables.map(({ blocks: _, ...table }) => table);
    await runner.run('lagPredict', { rows, tables, parameters, horizon, out });
  }

  override close(): void {
    const { arena } = this.components.runner.kernels;
    for (const { blocks } of this.#tables) for (const block of blocks) arena.free(block);
  }

  /** Windows from which a table can be fitted. */
  #windowsFor(tableIndex: number): number {
    const { reach, steps } = this.#tables[tableIndex] as OwnedLagTable;
    return reach + steps - 1 + (this.#settings.choices[tableIndex] as LagChoice).rowsMin;
  }
}
