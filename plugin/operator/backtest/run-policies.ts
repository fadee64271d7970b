import {
  type Backtest,
  LEAD_IN_HOURS,
  measurePolicy,
  POLICY_NAMES,
  type PolicyName,
  replayPolicy,
} from '../../../src/backtest/backtest.ts';
import { type ReplayedHours, type ReplayedTimeline, timelineOf } from '../../../src/backtest/hourly.ts';
import type { PolicyMetrics } from '../../../src/backtest/metrics.ts';
import type { Forecast } from '../../../src/model/forecast.ts';
import type { Settings } from '../../../src/settings.ts';
import { startThread } from '../../threads/thread.ts';
import { ThreadLink } from '../../threads/thread-link.ts';
import { type PackedForecast, unpackForecast } from './forecast-message.ts';
import { type ReplayBody, type ReplaySetup, replayTools } from './replay-setup.ts';

export interface ReplayedPolicy {
  readonly timeline: ReplayedTimeline;
  readonly metrics: PolicyMetrics;
}

/** Forecasts that are made before they are wanted: a few keep the thread busy, and fit in memory. */
const FORECASTS_AHEAD = 4;

/**
 * Replays every policy: forecasts in one thread, the oracle in another, and here the rest, of which the predictive one plans
 * each hour as soon as its forecast is there.
 */
export async function runPolicies(
  backtest: Backtest,
  options: {
    readonly settings: Pick<Settings, 'forecast' | 'controller'>;
    readonly seed: number;
    /** Of the predictive policy. */
    readonly onHour: (hour: number) => void;
  },
): Promise<Record<PolicyName, ReplayedPolicy>> {
  const { settings, seed } = options;
  const setup: ReplaySetup = {
    backtest,
    forecast: settings.forecast,
    skillMin: settings.controller.skillMin,
    seed,
  };
  const forecaster = openThread('forecast', setup);
  const oracle = openThread('oracle', setup);
  try {
    const foretold = ask<ReplayedHours>(oracle, { ask: 'replay', policy: 'oracle' });
    // Whoever fails first is told of below.
    foretold.catch(() => undefined);
    const { runner: _runner, forecastRandom: _random, ...tools } = replayTools(setup);
    const ahead = forecastsAhead(forecaster, backtest);
    const replayed: Partial<Record<PolicyName, ReplayedPolicy>> = {};
    for (const name of POLICY_NAMES) {
      const timeline =
        name === 'oracle'
          ? timelineOf(await foretold)
          : await replayPolicy(name, backtest, {
              ...tools,
              forecastAt: ahead,
              ...(name === 'predictive' && { onHour: options.onHour }),
            });
      replayed[name] = { timeline, metrics: measurePolicy(backtest, timeline) };
    }
    return replayed as Record<PolicyName, ReplayedPolicy>;
  } finally {
    await Promise.all([forecaster.close(), oracle.close()]);
  }
}

/** A fault of the thread reaches whoever waits for its answer; nobody else has to hear of it. */
const openThread = (name: string, workerData: ReplaySetup): ThreadLink =>
  new ThreadLink(name, startThread(new URL('./replay-thread.ts', import.meta.url), { workerData }), () => {});

const ask = async <Answer>(thread: ThreadLink, body: ReplayBody): Promise<Answer> => {
  await thread.started;
  return (await thread.ask(body)) as Answer;
};

/** Asks for the forecasts of the next cycles before they are wanted. */
function forecastsAhead(
  thread: ThreadLink,
  { liveHours, cycleHours }: Backtest,
): (hour: number) => Promise<Forecast> {
  const hourCount = LEAD_IN_HOURS + liveHours;
  const asked = new Map<number, Promise<PackedForecast>>();
  let next = 0;
  const askMore = (): void => {
    for (; asked.size < FORECASTS_AHEAD && next < hourCount; next += cycleHours) {
      const forecast = ask<PackedForecast>(thread, { ask: 'forecast', hour: next });
      forecast.catch(() => undefined);
      asked.set(next, forecast);
    }
  };
  askMore();
  return async (hour) => {
    const forecast = await (asked.get(hour) as Promise<PackedForecast>);
    asked.delete(hour);
    askMore();
    return unpackForecast(forecast);
  };
}
