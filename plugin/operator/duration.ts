import { ForeshardError } from '../../src/base/errors.ts';
import { durationMs } from '../host/config/units.ts';

/** `15m`, `1h`, `1d` in ms. @throws ForeshardError FORESHARD_CONFIG naming the flag. */
export function parseDuration(flag: string, text: string): number {
  const ms = durationMs(text);
  if (ms === null || !(ms > 0))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `${flag}: found "${text}", it must be a number and a unit: 30s, 15m, 1h or 1d`,
    );
  return ms;
}
