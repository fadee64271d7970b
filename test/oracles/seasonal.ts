/** Slow, obvious twins of assembly/seasonal.ts. Series are f64[series][stride]. */
export interface SeasonalOptions {
  readonly series: Float64Array;
  readonly count: number;
  readonly stride: number;
  readonly length: number;
  readonly season: number;
  readonly horizon: number;
}

export function seasonalNaive(options: SeasonalOptions): Float64Array {
  return seasonalTrimmedMean({ ...options, cycles: 1 });
}

export function seasonalTrimmedMean(options: SeasonalOptions & { readonly cycles: number }): Float64Array {
  const { series, count, stride, length, season, cycles, horizon } = options;
  const out = new Float64Array(count * horizon);
  for (let s = 0; s < count; s++)
    for (let step = 0; step < horizon; step++) {
      const values: number[] = [];
      for (let c = 1; c <= cycles; c++)
        values.push(series[s * stride + length - c * season + (step % season)]!);
      let sum = values.reduce((total, value) => total + value);
      if (cycles >= 3) sum = sum - Math.max(...values) - Math.min(...values);
      // The kernel multiplies by the inverse.
      out[s * horizon + step] = sum * (1 / (cycles >= 3 ? cycles - 2 : cycles));
    }
  return out;
}
