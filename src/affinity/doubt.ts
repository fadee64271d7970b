import type { Forecast } from '../model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import { PlacementState } from './cost-model.ts';
import type { PlacementInstance } from './instance.ts';
import { mustGo } from './must-go.ts';
import { phi } from './phi.ts';
import type { AffinitySettings } from './settings.ts';

/**
 * f64[partition]: how far the forecast's upper bound lies above its mean, as a factor, where it matters: each slot and
 * resource counts by the waiting that the partition's load causes at home, which is what moving it would relieve. 1 for a
 * partition without load.
 */
function boundRatios(
  instance: PlacementInstance,
  forecast: Forecast,
  { dimensions }: Pick<AffinitySettings, 'dimensions'>,
): Float64Array {
  const { partitionCount, slotCount, slotStride, depth, home, load, slotWeight } = instance;
  const state = new PlacementState(instance);
  const ratios = new Float64Array(partitionCount);
  for (let p = 0; p < partitionCount; p++) {
    let weightSum = 0;
    let sum = 0;
    dimensions.forEach(({ dimension }, r) => {
      const offset = dimensionIndex(dimension);
      for (let t = 0; t < slotCount; t++) {
        const mean = forecast.mean[(t * partitionCount + p) * LOAD_DIMENSION_COUNT + offset] as number;
        if (!(mean > 0)) continue;
        const d = r * slotStride + t;
        const waiting = phi(state.utilisation(home[p] as number, r, t));
        const weight = (slotWeight[d] as number) * (load[p * depth + d] as number) * waiting;
        const upper = forecast.upper[(t * partitionCount + p) * LOAD_DIMENSION_COUNT + offset] as number;
        weightSum += weight;
        sum += weight * (upper / mean);
      }
    });
    ratios[p] = weightSum > 0 ? sum / weightSum : 1;
  }
  return ratios;
}

/** The instance in which they stay. */
export function withoutDoubtful(
  instance: PlacementInstance,
  doubtful: ReadonlySet<number>,
): PlacementInstance {
  if (doubtful.size === 0) return instance;
  return { ...instance, isMovable: instance.isMovable.map((own, p) => (doubtful.has(p) ? 0 : own)) };
}

/**
 * Partitions whose forecast says too little to move them by: its bounds are wider than `boundRatioMax`. Who has to leave
 * whatever the load (his node is to be emptied, a rule is broken) is not among them.
 */
export function doubtfulPartitions(
  instance: PlacementInstance,
  forecast: Forecast,
  settings: Pick<AffinitySettings, 'dimensions' | 'boundRatioMax'>,
): ReadonlySet<number> {
  const doubtful = new Set<number>();
  boundRatios(instance, forecast, settings).forEach((ratio, p) => {
    if (ratio > settings.boundRatioMax && instance.isMovable[p] === 1 && !mustGo(instance, p))
      doubtful.add(p);
  });
  return doubtful;
}
