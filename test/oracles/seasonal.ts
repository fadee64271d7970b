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

export function followLevel(
  options: Omit<SeasonalOptions, 'season'> & {
    readonly expected: Float64Array;
    readonly windows: number;
    readonly fade: number;
    readonly forecast: Float64Array;
  },
): Float64Array {
  const { series, stride, length, horizon, expected, windows, fade, forecast } = options;
  return forecast.map((value, index) => {
    const s = Math.floor(index / horizon);
    let distance = 0;
    for (let w = 0; w < windows; w++)
      distance += series[s * stride + length - windows + w]! - expected[s * windows + w]!;
    distance /= windows;
    for (let step = 0; step <= index % horizon; step++) distance *= fade;
    return Math.max(0, value + distance);
  });
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
