import type { Random } from '../../src/base/random.ts';

/** Sum of twelve even draws, less six: near enough to a standard normal. */
export function normal(random: Random): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random.nextFloat();
  return sum;
}

/** A seasonal ARMA process with shocks of unit variance; `ar` and `ma` are by lag, as [lag, coefficient] pairs. */
export function simulateArma(
  random: Random,
  options: {
    readonly count: number;
    readonly ar?: readonly (readonly [number, number])[];
    readonly ma?: readonly (readonly [number, number])[];
  },
): Float64Array {
  const { count, ar = [], ma = [] } = options;
  // What it began with is forgotten.
  const burn = 300;
  const values = new Float64Array(burn + count);
  const shocks = values.map(() => normal(random));
  values.forEach((_, t) => {
    let value = shocks[t]!;
    for (const [lag, phi] of ar) value += phi * (values[t - lag] ?? 0);
    for (const [lag, theta] of ma) value += theta * (shocks[t - lag] ?? 0);
    values[t] = value;
  });
  return values.slice(burn);
}
