import type { Forecast } from '../../../src/model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';

const ARRAYS = ['point', 'mean', 'lower', 'upper'] as const;
const QUERIES = dimensionIndex('queries');

/** A forecast of queries alone, a quarter as large as one of all dimensions: what goes from thread to thread. */
export interface PackedForecast extends Omit<Forecast, (typeof ARRAYS)[number] | 'intervals'> {
  /** f64[step][partition] each. */
  readonly packed: Readonly<Record<(typeof ARRAYS)[number], Float64Array>>;
}

export function packForecast({ point, mean, lower, upper, intervals: _, ...rest }: Forecast): PackedForecast {
  const pack = (values: Float64Array): Float64Array => {
    const packed = new Float64Array(values.length / LOAD_DIMENSION_COUNT);
    for (let i = 0; i < packed.length; i++) packed[i] = values[i * LOAD_DIMENSION_COUNT + QUERIES] as number;
    return packed;
  };
  return {
    ...rest,
    packed: { point: pack(point), mean: pack(mean), lower: pack(lower), upper: pack(upper) },
  };
}

/** Of the other dimensions nothing comes: a log says nothing of them. */
export function unpackForecast({ packed, ...rest }: PackedForecast): Forecast {
  const unpack = (values: Float64Array): Float64Array => {
    const all = new Float64Array(values.length * LOAD_DIMENSION_COUNT);
    for (let i = 0; i < values.length; i++) all[i * LOAD_DIMENSION_COUNT + QUERIES] = values[i] as number;
    return all;
  };
  const { point, mean, lower, upper } = packed;
  return { ...rest, point: unpack(point), mean: unpack(mean), lower: unpack(lower), upper: unpack(upper) };
}
