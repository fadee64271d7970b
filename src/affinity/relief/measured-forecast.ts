import { ForeshardError } from '../../base/errors.ts';
import type { Forecast } from '../../model/forecast.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../model/load-profile.ts';

const DAY_MS = 86_400_000;

/** A quarter seen can be scaled up to the whole; of less nobody should plan anything. */
const COVERAGE_MIN = 0.25;

/**
 * The measured load of the last day as if it came again, its last window first: what relief plans on, whatever forecasts are
 * worth. The last window says who is hot now; the others keep relief from filling nodes that are idle only at this hour.
 *
 * Windows that were hardly seen are left out; step 0 is the newest that was.
 *
 * @throws ForeshardError FORESHARD_NOT_READY where nothing of the last day was measured.
 */
export function measuredForecast(profile: LoadProfile): Forecast {
  const { startMs, windowMs, windowCount, partitionCount, values, coverage } = profile;
  const stride = partitionCount * LOAD_DIMENSION_COUNT;
  const perDay = Math.max(1, Math.round(DAY_MS / windowMs));
  const windows: number[] = [];
  for (let w = windowCount - 1; w >= Math.max(0, windowCount - perDay); w--)
    if ((coverage[w] as number) >= COVERAGE_MIN) windows.push(w);
  if (windows.length === 0)
    throw new ForeshardError('FORESHARD_NOT_READY', 'wait', 'no window of the last day was measured');
  const point = new Float64Array(windows.length * stride);
  windows.forEach((w, step) => {
    for (let i = 0; i < stride; i++)
      point[step * stride + i] = (values[w * stride + i] as number) / (coverage[w] as number);
  });
  return {
    startMs: startMs + windowCount * windowMs,
    stepMs: windowMs,
    horizonSteps: windows.length,
    partitionCount,
    level: 0.8,
    point,
    mean: point,
    lower: point,
    upper: point,
    skill: new Float64Array(partitionCount).fill(Number.NaN),
    members: [{ name: 'measured', weight: 1 }],
  };
}
