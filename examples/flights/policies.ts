import { DEFAULT_AFFINITY_SETTINGS } from '../../src/affinity/settings.ts';
import { FORECAST_DEFAULTS } from '../../src/analyzer/settings.ts';
import { staticPolicy, stayPolicy } from '../../src/backtest/fixed-policies.ts';
import type { ReplayContext } from '../../src/backtest/hourly.ts';
import { HourlyForecasts } from '../../src/backtest/hourly-forecasts.ts';
import { evaluateTimeline, type MeasuredLoad, type OwnershipTimeline } from '../../src/backtest/metrics.ts';
import { DEFAULT_MIGRATION_MODEL } from '../../src/backtest/migration-model.ts';
import { naiveHillClimbPolicy } from '../../src/backtest/planning-policies.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { inlineRunner } from '../../src/kernels/pool.ts';
import type { Forecast } from '../../src/model/forecast.ts';
import { DEFAULT_SETTINGS } from '../../src/settings.ts';
import type { PolicyFigures, PolicyName } from './report.ts';

const HOUR_MS = 3_600_000;

export interface PolicyInputs {
  /** Captured load, history first: f64[hour][partition], queries. */
  readonly queries: Float64Array;
  readonly startMs: number;
  /** i32[partition] before anything moved. */
  readonly startOwnerOf: Int32Array;
  readonly historyHours: number;
  readonly liveHours: number;
  /** Live hours that are not measured: the predictive policy has to migrate first. */
  readonly warmUpHours: number;
  readonly partitionCount: number;
  readonly nodeCount: number;
  /** Queries an hour at utilisation 1, of each node. */
  readonly capacity: number;
  readonly partitionBytes: Float64Array;
  /** i32[live hour][partition] as it was in the cluster. */
  readonly ownerOfByHour: Int32Array;
  /** Trace hours for which a partition that has moved stays. */
  readonly residenceHours: number;
  readonly seed: bigint;
}

/**
 * The policies on the same captured load, by the same rule: owners at the start of each hour, a move is a change from one
 * hour to the next. The predictive one is what the cluster itself has done.
 */
export async function comparePolicies(inputs: PolicyInputs): Promise<Record<PolicyName, PolicyFigures>> {
  const { partitionCount, nodeCount, historyHours, liveHours, warmUpHours, queries, startOwnerOf } = inputs;
  const capacity = new Float64Array(nodeCount).fill(inputs.capacity);
  const history = queries.subarray(0, historyHours * partitionCount);
  const measured: MeasuredLoad = {
    load: queries.subarray(historyHours * partitionCount),
    hourCount: liveHours,
    partitionCount,
    capacity,
    partitionBytes: inputs.partitionBytes,
  };
  const observed: OwnershipTimeline = {
    startOwnerOf,
    ownerOfAt: (hour) => inputs.ownerOfByHour.subarray(hour * partitionCount, (hour + 1) * partitionCount),
  };
  const context: ReplayContext = {
    measured,
    startOwnerOf,
    startMs: inputs.startMs + historyHours * HOUR_MS,
    history,
    settings: DEFAULT_AFFINITY_SETTINGS,
    migration: DEFAULT_MIGRATION_MODEL,
    residenceHours: inputs.residenceHours,
    random: seededRandom(inputs.seed).fork('policies'),
  };
  const naive = await withForecasts(inputs, (forecastAt) => naiveHillClimbPolicy({ ...context, forecastAt }));
  const evaluate = (timeline: OwnershipTimeline): PolicyFigures =>
    evaluateTimeline(measured, timeline, warmUpHours);
  return {
    stay: evaluate(stayPolicy(startOwnerOf)),
    static: evaluate(await staticPolicy(context)),
    'naive-hill-climb': evaluate(naive),
    predictive: evaluate(observed),
  };
}

/** Forecasts as the cluster makes them (same settings, same seed), from what was captured by the start of each hour. */
async function withForecasts<Result>(
  { queries, startMs, historyHours, partitionCount, seed }: PolicyInputs,
  use: (forecastAt: (hour: number) => Promise<Forecast>) => Promise<Result>,
): Promise<Result> {
  const forecasts = new HourlyForecasts(
    { load: queries, startMs, partitionCount },
    { forecast: FORECAST_DEFAULTS, skillMin: DEFAULT_SETTINGS.controller.skillMin },
    {
      runner: inlineRunner(loadKernels()),
      random: seededRandom(seed).fork('forecast'),
      logger: silentLogger,
    },
  );
  try {
    return await use((hour) => forecasts.forecastAt(historyHours + hour));
  } finally {
    forecasts.close();
  }
}
