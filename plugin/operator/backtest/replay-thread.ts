/**
 * A thread that works for a backtest: it is asked for forecasts, hour by hour in order of time, or for the replay of a whole
 * policy that needs none. Two of them and the parent keep two processors busy.
 */
import { workerData } from 'node:worker_threads';
import { LEAD_IN_HOURS, replayPolicy } from '../../../src/backtest/backtest.ts';
import type { ReplayedHours } from '../../../src/backtest/hourly.ts';
import { HourlyForecasts } from '../../../src/backtest/hourly-forecasts.ts';
import { assert } from '../../../src/base/assert.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { type RunningThread, runThread } from '../../threads/thread-main.ts';
import { packForecast } from './forecast-message.ts';
import { type ReplayBody, type ReplaySetup, replayTools } from './replay-setup.ts';

async function start(setup: ReplaySetup): Promise<RunningThread> {
  const { backtest, forecast, skillMin } = setup;
  const { runner, forecastRandom, ...tools } = replayTools(setup);
  const forecasts = new HourlyForecasts(
    backtest,
    { forecast, skillMin },
    { runner, random: forecastRandom, logger: silentLogger },
  );
  const firstHour = backtest.trainHours - LEAD_IN_HOURS;
  const noForecast = (): never => {
    assert(false, 'a policy that is replayed beside the forecasts asks for none');
  };
  const answer = async (body: ReplayBody): Promise<unknown> => {
    if (body.ask === 'forecast') return packForecast(await forecasts.forecastAt(firstHour + body.hour));
    const { replayed } = await replayPolicy(body.policy, backtest, { ...tools, forecastAt: noForecast });
    return replayed satisfies ReplayedHours;
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    respond(body) {
      // One after the other: each forecast goes on from the one before.
      const next = last.then(() => answer(body as ReplayBody));
      last = next.catch(() => undefined);
      return next;
    },
    async close() {
      await last;
      forecasts.close();
    },
  };
}

void runThread(() => start(workerData as ReplaySetup));
