import {
  LOAD_DIMENSION_COUNT,
  LOAD_DIMENSIONS,
  type LoadDimension,
  type LoadProfile,
} from '../../../src/model/load-profile.ts';
import type { Settings } from '../../../src/settings.ts';

/** Where nobody has said what a node carries, its share of the history's peak is taken to be this utilisation. */
const ASSUMED_PEAK_UTILISATION = 0.7;

/** f64[dimension] a second, for one node: as it says itself, else as all; infinite where nobody has said. */
export const capacityPerSecond = (
  { cluster: { nodeCapacity: perSecondOf } }: Pick<Settings, 'cluster'>,
  own?: Readonly<Partial<Record<LoadDimension, number | null>>> | null,
): Float64Array =>
  Float64Array.from(
    LOAD_DIMENSIONS,
    (dimension) => own?.[dimension] ?? perSecondOf[dimension] ?? Number.POSITIVE_INFINITY,
  );

/** f64[dimension] for one node and one window: as it says itself, else as all. */
export function nodeCapacity(
  { cluster: { nodeCapacity: perSecondOf, storageNodeCount } }: Pick<Settings, 'cluster'>,
  profile: LoadProfile,
  own?: Readonly<Partial<Record<LoadDimension, number | null>>> | null,
): Float64Array {
  const windowSeconds = profile.windowMs / 1000;
  return Float64Array.from(LOAD_DIMENSIONS, (dimension, index) => {
    const perSecond = own?.[dimension] ?? perSecondOf[dimension];
    if (perSecond !== null) return perSecond * windowSeconds;
    const assumed = peakTotal(profile, index) / storageNodeCount / ASSUMED_PEAK_UTILISATION;
    return assumed > 0 ? assumed : Number.POSITIVE_INFINITY;
  });
}

/** The largest sum over partitions of one dimension in one window. */
function peakTotal(profile: LoadProfile, dimension: number): number {
  const { windowCount, partitionCount, values } = profile;
  let peak = 0;
  for (let w = 0; w < windowCount; w++) {
    let total = 0;
    for (let p = 0; p < partitionCount; p++)
      total += values[(w * partitionCount + p) * LOAD_DIMENSION_COUNT + dimension] as number;
    if (total > peak) peak = total;
  }
  return peak;
}
