import { optimizers } from '../../../src/affinity/optimisers/registry.ts';
import type { Backtest, PolicyName } from '../../../src/backtest/backtest.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import type { Settings } from '../../../src/settings.ts';

export interface ReplaySetup {
  /** Its load lies in shared memory. */
  readonly backtest: Backtest;
  readonly forecast: Settings['forecast'];
  readonly skillMin: number;
  readonly seed: number;
}

export type ReplayBody =
  | { readonly ask: 'forecast'; readonly hour: number }
  | { readonly ask: 'replay'; readonly policy: PolicyName };

/** What a replay takes beside its backtest, the same in every thread. */
export function replayTools({ backtest, seed }: Pick<ReplaySetup, 'backtest' | 'seed'>) {
  const runner = inlineRunner(loadKernels());
  const random = seededRandom(BigInt(seed));
  const { optimizer, iterations } = backtest.settings;
  return {
    runner,
    forecastRandom: random.fork('forecast'),
    random: random.fork('affinity'),
    logger: silentLogger,
    optimiser: optimizers[optimizer]({ runner: () => runner, clock: systemClock() }, iterations),
  };
}
