import { ForeshardError } from '../../src/base/errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `15m`, `1h`, `1d` in ms. @throws ForeshardError FORESHARD_CONFIG naming the flag. */
export function parseDuration(flag: string, text: string): number {
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h|d|w)$/.exec(text) ?? [];
  const ms = Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  if (!(ms > 0))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `${flag}: found "${text}", it must be a number and a unit: 30s, 15m, 1h or 1d`,
    );
  return ms;
}
