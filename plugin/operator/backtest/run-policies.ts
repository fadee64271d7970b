import { optimizers } from '../../../src/affinity/optimizers.ts';
import {
  type Backtest,
  LEAD_IN_HOURS,
  measurePolicy,
  POLICY_NAMES,
  type PolicyName,
  replayPolicy,
} from '../../../src/backtest/backtest.ts';
import { HourlyForecasts } from '../../../src/backtest/hourly-forecasts.ts';
import type { OwnershipTimeline, PolicyMetrics } from '../../../src/backtest/metrics.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import type { Settings } from '../../../src/settings.ts';

export interface ReplayedPolicy {
  readonly timeline: OwnershipTimeline;
  readonly metrics: PolicyMetrics;
}

/** Replays every policy. */
export async function runPolicies(
  backtest: Backtest,
  options: {
    readonly settings: Pick<Settings, 'forecast' | 'controller'>;
    readonly seed: number;
    readonly onHour: (name: PolicyName, hour: number) => void;
  },
): Promise<Record<PolicyName, ReplayedPolicy>> {
  const runner = inlineRunner(loadKernels());
  const random = seededRandom(BigInt(options.seed));
  const { optimizer, iterations } = backtest.settings;
  const forecasts = new HourlyForecasts(
    backtest,
    { forecast: options.settings.forecast, skillMin: options.settings.controller.skillMin },
    { runner, random: random.fork('forecast'), logger: silentLogger },
  );
  const firstHour = backtest.trainHours - LEAD_IN_HOURS;
  const replayed: Partial<Record<PolicyName, ReplayedPolicy>> = {};
  try {
    for (const name of POLICY_NAMES) {
      const timeline = await replayPolicy(name, backtest, {
        random: random.fork('affinity'),
        logger: silentLogger,
        optimiser: optimizers[optimizer]({ runner: () => runner, clock: systemClock() }, iterations),
        forecastAt: (hour) => forecasts.forecastAt(firstHour + hour),
        onHour: (hour) => options.onHour(name, hour),
      });
      replayed[name] = { timeline, metrics: measurePolicy(backtest, timeline) };
    }
  } finally {
    forecasts.close();
  }
  return replayed as Record<PolicyName, ReplayedPolicy>;
}
