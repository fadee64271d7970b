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
  // The kernel multiplies by the inverse.
  const share = 1 / (cycles >= 3 ? cycles - 2 : cycles);
  for (let s = 0; s < count; s++)
    for (let step = 0; step < horizon; step++) {
      const last = s * stride + length - season + (step % season);
      let sum = 0;
      let low = Number.POSITIVE_INFINITY;
      let high = Number.NEGATIVE_INFINITY;
      for (let c = 0; c < cycles; c++) {
        const value = series[last - c * season]!;
        sum += value;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      out[s * horizon + step] = (cycles >= 3 ? sum - high - low : sum) * share;
    }
  return out;
}
