/** Series whose seasons, shifts and bursts are known, for tests of what finds them. */
import type { Random } from '../../src/base/random.ts';

/** Standard normal, by Box and Muller. */
export function normal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.nextFloat()));
  return radius * Math.cos(2 * Math.PI * random.nextFloat());
}

export const whiteNoise = (random: Random, length: number): Float64Array =>
  Float64Array.from({ length }, () => normal(random));

/** x(t) = persistence x(t - 1) + noise; a persistence of 1 is a random walk. */
export function redNoise(random: Random, length: number, persistence: number): Float64Array {
  let level = 0;
  return Float64Array.from({ length }, () => {
    level = persistence * level + normal(random);
    return level;
  });
}

export const wave = (length: number, period: number, amplitude: number): Float64Array =>
  Float64Array.from({ length }, (_, t) => amplitude * Math.sin((2 * Math.PI * t) / period));

export const sumOf = (...series: readonly Float64Array[]): Float64Array =>
  (series[0] as Float64Array).map((_, t) => series.reduce((sum, values) => sum + (values[t] as number), 0));
