import type { Pointer } from '../../kernels/exports.ts';
import type { SeriesRows } from '../../kernels/series-rows.ts';
import type { Member, MemberComponents } from './member.ts';
import { QB_INPUTS_MAX, QB_TRAINING_DAYS, QB_WINDOWS_MAX } from './qb-settings.ts';
import { SeriesMember } from './series-member.ts';

export interface KernelRegressionSettings {
  readonly name: string;
  /** Windows that are compared. */
  readonly inputs: number;
  readonly windowsMax: number;
  /** In standard deviations of the series. */
  readonly bandwidth: number;
  /** Moves each past to the level of the present before they are compared. */
  readonly isLevelled: boolean;
}

/** Nadaraya-Watson kernel regression: what followed the pasts that looked like the present. Nothing is fitted. */
export class KernelRegression extends SeriesMember {
  readonly name: string;
  readonly windowsMin: number;
  readonly refitWindows = 0;
  readonly #settings: KernelRegressionSettings;

  constructor(settings: KernelRegressionSettings, components: MemberComponents) {
    super(components, 0);
    this.name = settings.name;
    this.#settings = settings;
    // A day of pasts to choose from, all of which have the whole horizon behind them.
    this.windowsMin = 2 * settings.inputs + components.horizon;
  }

  protected async fitRows(): Promise<void> {}

  protected async predictRows(rows: SeriesRows, _parameters: Pointer, out: Pointer): Promise<void> {
    const { inputs, windowsMax, bandwidth, isLevelled } = this.#settings;
    const { runner, horizon } = this.components;
    const { arena, exports } = runner.kernels;
    const windows = Math.min(rows.length, Math.max(windowsMax, this.windowsMin));
    const scratch = arena.f64(exports.kernelRegressionScratchCount(windows, horizon));
    try {
      await runner.run('kernelRegression', {
        rows,
        windows,
        inputs,
        bandwidth,
        isLevelled,
        scratch: scratch.pointer,
        horizon,
        out,
      });
    } finally {
      arena.free(scratch);
    }
  }
}

/**
 * QueryBot 5000's kernel regression, which it keeps for spikes that no regression foresees.
 *
 * As published: logarithms, the last day as input, weight exp(-distance) with distances in standard deviations, 25 days of
 * data. Otherwise here: each series stands alone instead of the three largest clusters jointly; one deviation serves all
 * inputs (the published code takes one per input, which for a sliding window is the same number); at most 96 inputs.
 *
 * @see {@link qbLinearMember} for the paper
 */
export function qbKernelMember(components: MemberComponents): Member {
  const { dayWindows } = components.history.shape;
  return new KernelRegression(
    {
      name: 'qb-kernel',
      inputs: Math.min(dayWindows, QB_INPUTS_MAX),
      windowsMax: Math.min(QB_TRAINING_DAYS * dayWindows, QB_WINDOWS_MAX),
      bandwidth: 1,
      isLevelled: false,
    },
    components,
  );
}

/** Days compared: with one, a night looks like every night. */
const ANALOGUE_DAYS = 2;

/** 0.5 loses 10 % on M4's training part, 0.15 ties. */
const ANALOGUE_BANDWIDTH = 0.25;

/**
 * Kernel regression on shapes: pasts are moved to the level of the present, and only the nearest count.
 *
 * Alone it is behind the regressions on lags; it errs otherwise than they do, which is what a median of members wants.
 */
export function analogueMember(components: MemberComponents): Member {
  const { dayWindows, weekWindows } = components.history.shape;
  return new KernelRegression(
    {
      name: 'analogue',
      inputs: Math.min(ANALOGUE_DAYS * dayWindows, ANALOGUE_DAYS * QB_INPUTS_MAX),
      windowsMax: Math.min(6 * weekWindows, QB_WINDOWS_MAX),
      bandwidth: ANALOGUE_BANDWIDTH,
      isLevelled: true,
    },
    components,
  );
}
