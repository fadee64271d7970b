import { join } from 'node:path';
import { CalendarForecaster } from '../../../src/analyzer/seasons/calendar-forecaster.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { KernelPool } from '../../../src/kernels/pool.ts';
import type { Calendar } from '../../../src/model/calendar.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { eventEffectsPrefix } from '../records/record-keys.ts';
import { CheckpointFile } from './checkpoint-file.ts';
import type { CycleRunnerComponents } from './cycle-runner.ts';
import { EventEffects } from './event-effects.ts';
import { KeptForecaster } from './kept-forecaster.ts';

/** What a thread that computes forecasts with. The pool of kernels is the plans' as well. */
export interface OpenForecaster {
  readonly forecaster: CycleRunnerComponents['forecaster'];
  readonly pool: KernelPool;
  readonly kernelHash: string;
  close(): Promise<void>;
}

/** @param components.processName names the checkpoint, by which the forecast goes on after a restart. */
export function openForecaster(
  { cluster, analyzer, forecast, controller }: Settings,
  {
    calendar,
    metadata,
    logger,
    processName,
  }: {
    readonly calendar: Calendar | null;
    readonly metadata: MetadataStore;
    readonly logger: Logger;
    readonly processName: string;
  },
): OpenForecaster {
  const kernels = loadKernels();
  const pool = new KernelPool(
    { threads: analyzer.kernelThreads, niceness: analyzer.kernelNiceness },
    { kernels, logger },
  );
  const base = new KeptForecaster(forecast, {
    runner: pool,
    random: seededRandom(BigInt(controller.seed)).fork('forecast'),
    logger,
    file: new CheckpointFile(join(analyzer.stateDir, `${cluster.name}-${processName}.forecast`)),
  });
  const memory = new EventEffects({ metadata, prefix: eventEffectsPrefix(cluster.name), logger });
  const { driver } = forecast;
  return {
    forecaster: calendar === null ? base : new CalendarForecaster({ calendar, driver, base, memory }),
    pool,
    kernelHash: kernels.hash,
    async close() {
      await base.close();
      await pool.close();
    },
  };
}
