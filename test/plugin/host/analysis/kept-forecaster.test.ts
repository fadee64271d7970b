import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { CheckpointFile } from '../../../../plugin/host/analysis/checkpoint-file.ts';
import { KeptForecaster } from '../../../../plugin/host/analysis/kept-forecaster.ts';
import { FORECAST_DEFAULTS, type ForecastSettings } from '../../../../src/analyzer/settings.ts';
import type { Logger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { loadKernels } from '../../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../../src/kernels/pool.ts';
import type { Forecast } from '../../../../src/model/forecast.ts';
import type { LoadProfile } from '../../../../src/model/load-profile.ts';
import { HOUR_MS, profileOf, weeklyLoad } from '../../../support/synthetic-load.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('kept forecaster');
const PARTITIONS = 3;
const SETTINGS: ForecastSettings = { ...FORECAST_DEFAULTS, horizonSteps: 24, historyWindows: 840 };
const kernels = loadKernels();
const LOAD = weeklyLoad(3n, { noise: 0.2 });

/** One forecast of each profile by one process; what was logged. */
async function run(
  path: string,
  profiles: readonly LoadProfile[],
  settings: ForecastSettings = SETTINGS,
): Promise<{ forecasts: Forecast[]; said: string[] }> {
  const said: string[] = [];
  const say = (_: object, message: string): number => said.push(message);
  const logger = { debug: say, info: say, warn: say, error: say } as unknown as Logger;
  const file = new CheckpointFile(path);
  const kept = new KeptForecaster(settings, {
    runner: inlineRunner(kernels),
    random: seededRandom(7n),
    logger,
    file,
  });
  const forecasts: Forecast[] = [];
  try {
    for (const profile of profiles) forecasts.push(await kept.forecast(profile));
  } finally {
    await kept.close();
  }
  return { forecasts, said };
}

const windows = (first: number, count: number): LoadProfile =>
  profileOf({ partitionCount: PARTITIONS, firstWindow: first, windowCount: count, load: LOAD });

const bytesOf = ({ point, mean, lower, upper }: Forecast): string =>
  [point, mean, lower, upper].map((values) => Buffer.from(values.buffer).toString('base64')).join();

test('after a restart the forecast goes on as if there had been none', async () => {
  await withTemporaryFolder(async (folder) => {
    const before = windows(0, 400);
    const after = windows(0, 401);
    const { forecasts: whole } = await run(join(folder, 'a'), [before, after]);
    await run(join(folder, 'b'), [before]);
    const { forecasts: resumed, said } = await run(join(folder, 'b'), [after]);
    check.ok(said.includes('the forecast goes on from its checkpoint'), said.join());
    check.is(bytesOf(resumed[0] as Forecast), bytesOf(whole[1] as Forecast));
  });
});

test('with sums of partitions too, which are left behind where they are no longer wanted', async () => {
  const settings = { ...SETTINGS, isReconciled: true };
  await withTemporaryFolder(async (folder) => {
    const [before, after] = [windows(0, 480), windows(0, 481)];
    const { forecasts: whole } = await run(join(folder, 'a'), [before, after], settings);
    await run(join(folder, 'b'), [before], settings);
    const { forecasts: resumed } = await run(join(folder, 'b'), [after], settings);
    check.is(bytesOf(resumed[0] as Forecast), bytesOf(whole[1] as Forecast));
    const { forecasts: alone, said } = await run(join(folder, 'b'), [after]);
    check.ok(said.includes('the forecast goes on from its checkpoint'), said.join());
    check.is.not(bytesOf(alone[0] as Forecast), bytesOf(resumed[0] as Forecast));
    check.equal(alone[0]?.point, resumed[0]?.point);
  });
});

test('what cannot be gone on from is put aside, and the forecast is made anew', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'a');
    const profile = windows(0, 200);
    const fresh = bytesOf((await run(join(folder, 'fresh'), [profile])).forecasts[0] as Forecast);
    const reasons: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['damaged', async () => writeFileSync(path, 'no checkpoint')],
      ['of other settings', () => run(path, [profile], { ...SETTINGS, horizonSteps: 12 })],
      ['of a time that has not come', () => run(path, [windows(0, 300)])],
      ['of long ago', () => run(path, [windows(-5000, 200)])],
      [
        'of another number of partitions',
        () => run(path, [profileOf({ partitionCount: 2, firstWindow: 0, windowCount: 9, load: LOAD })]),
      ],
    ];
    for (const [name, write] of reasons) {
      await write();
      const { forecasts, said } = await run(path, [profile]);
      check.ok(said.includes('the forecast begins anew: its checkpoint cannot be used'), name);
      check.is(bytesOf(forecasts[0] as Forecast), fresh, name);
      check.is(forecasts[0]?.startMs, profile.startMs + 200 * HOUR_MS);
    }
  });
});

test('a folder that cannot be written costs a warning, not the forecast', async () => {
  await withTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'file'), '');
    const { forecasts, said } = await run(join(folder, 'file', 'below'), [windows(0, 100)]);
    check.is(forecasts.length, 1);
    check.ok(said.includes('the forecast could not be saved'), said.join());
  });
});

test.run();
