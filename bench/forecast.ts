/**
 * How good and how dear the forecasts are: rolling origins on the flights log, M4 Hourly and real workloads, against
 * Naive2, the seasonal naives, QueryBot 5000's two regressions and the forecasting libraries that are installed.
 *
 * Choices were made by `npm run bench -- forecast-training`, which does not see what is forecast here, and on other days of
 * the flights log. What was read of the test parts, and when, stands in docs/forecasting.md.
 */
import { barRows, missedCoverageBars } from './forecast/bars.ts';
import { runCost } from './forecast/cost.ts';
import { runDimensionCost, runDimensions } from './forecast/dimensions.ts';
import { runEveryOrigin, runFlightsEveryOrigin } from './forecast/every-origin.ts';
import { runFlights, runLevelShift } from './forecast/flights.ts';
import { runM4 } from './forecast/m4.ts';
import { runNodeSums } from './forecast/node-sums.ts';
import type { Outcome } from './forecast/rows.ts';
import { m4Hourly, sharedDataFolder, workloads } from './forecast/sets.ts';
import { runWorkload, TEST_PART } from './forecast/workloads.ts';
import { kernelsAgainstC } from './native.ts';
import type { BenchOutcome } from './types.ts';

export const area = 'forecast';

export async function run({ isSmall }: { readonly isSmall: boolean }): Promise<BenchOutcome> {
  const outcome: Outcome = { results: [], skipped: [] };
  await runFlights(outcome, isSmall);
  await runDimensions(outcome, isSmall);
  if (!isSmall) {
    await runFlightsEveryOrigin(outcome);
    await runLevelShift(outcome);
    await runNodeSums(outcome);
    await runCost(outcome, [1000, 16_384]);
    await runDimensionCost(outcome, 1000);
  }
  const folder = sharedDataFolder();
  if (folder === undefined)
    outcome.skipped.push({
      name: 'forecast/m4-hourly and real workloads',
      why: 'no shared data: set FORESHARD_SHARED_DATA to the folder that holds m4-hourly',
    });
  else {
    if (!isSmall) await runM4(outcome, m4Hourly(folder), { name: 'm4-hourly', hasPeers: true });
    const sets = workloads(folder).filter(({ name }) => !isSmall || name === 'mongodb-machine-rps');
    for (const set of sets) {
      await runWorkload(outcome, set, isSmall ? 1 : TEST_PART.origins);
      await runEveryOrigin(outcome, set);
    }
  }
  const kernels = await kernelsAgainstC({ isSmall });
  outcome.results.push(...kernels.results);
  outcome.skipped.push(...kernels.skipped);
  // A small run is too small to hold it to anything.
  if (!isSmall) outcome.results.push(...missedCoverageBars(outcome.results), ...barRows(outcome.results));
  return outcome;
}
