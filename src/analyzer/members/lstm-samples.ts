import type { Random } from '../../base/random.ts';
import type { History } from '../history.ts';

/** Windows looked at, and their mean absolute deviation in log units, below which a partition teaches nothing. */
const FLAT_WINDOWS = 168;
const FLAT_SPREAD = 0.002;
/** Draws of a sample before a flat one is taken: with nothing but flat partitions there is nothing else. */
const DRAWS_MAX = 4;

/**
 * i32[count][2]: partitions and origins by chance, for the network to learn from or to be judged by.
 *
 * @param first the first origin that has its whole lookback; @param end the first one whose segment has not come yet
 */
export function drawSamples(
  history: History,
  options: { readonly count: number; readonly first: number; readonly end: number; readonly random: Random },
): Int32Array {
  const { count, first, end, random } = options;
  const samples = new Int32Array(count * 2);
  for (let index = 0; index < count; index++) {
    let partition = 0;
    let origin = 0;
    for (let draw = 0; draw < DRAWS_MAX; draw++) {
      partition = random.nextBelow(history.shape.partitionCount);
      // The later of two: what was lately is more like what comes, and what was long ago is not forgotten.
      origin = first + Math.max(random.nextBelow(end - first), random.nextBelow(end - first));
      if (!isFlat(history, partition, origin)) break;
    }
    samples[index * 2] = partition;
    samples[index * 2 + 1] = origin;
  }
  return samples;
}

function isFlat(history: History, partition: number, origin: number): boolean {
  const first = origin - FLAT_WINDOWS;
  const value = history.logLoad(partition, first);
  let sum = 0;
  // The deviation from any of its values is at most twice that from the mean: most partitions show theirs at once.
  for (let window = first + 1; window < origin; window++) {
    sum += Math.abs(history.logLoad(partition, window) - value);
    if (sum >= FLAT_SPREAD * FLAT_WINDOWS) return false;
  }
  return true;
}
