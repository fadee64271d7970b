import { ForeshardError } from '../base/errors.ts';
import type { AffinityCounts } from '../model/affinity-matrix.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../model/load-profile.ts';

/** One closed window of one query node: plain data, typed arrays and strings, ready to be published. */
export interface ProfileSegment {
  readonly startMs: number;
  readonly windowMs: number;
  readonly partitionCount: number;
  /** f64[partition][dimension]. */
  readonly values: Float64Array;
  /** Queries recorded, and queries that were offered but not recorded. */
  readonly recordCount: number;
  readonly droppedCount: number;
  /** Records that came after their window was closed and were counted here instead. */
  readonly lateCount: number;
  readonly affinity: AffinityCounts;
}

/**
 * One profile out of the segments of several query nodes and windows, in any order.
 *
 * A window nobody sent is an outage (coverage 0). Two segments of one window are different query nodes and add up; a node
 * that sends the same window twice must not be passed twice.
 *
 * @param options.endMs end of the profile; by default that of the newest segment. Windows up to it nobody sent are outages.
 * @throws ForeshardError FORESHARD_NOT_READY without segments, FORESHARD_CORRUPT when they do not fit together.
 */
export function mergeSegments(
  segments: readonly ProfileSegment[],
  options: { readonly endMs?: number } = {},
): LoadProfile {
  const [first] = segments;
  if (first === undefined)
    throw new ForeshardError('FORESHARD_NOT_READY', 'wait', 'no load profile has been recorded yet');
  const { windowMs, partitionCount } = first;
  const stride = partitionCount * LOAD_DIMENSION_COUNT;
  let startMs = first.startMs;
  let endMs = options.endMs ?? Number.NEGATIVE_INFINITY;
  for (const segment of segments) {
    const doesFit =
      segment.windowMs === windowMs &&
      segment.partitionCount === partitionCount &&
      segment.values.length === stride &&
      (segment.startMs - first.startMs) % windowMs === 0;
    if (!doesFit)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        're-read',
        `profile segment at ${segment.startMs}: ${segment.partitionCount} partitions and ${segment.windowMs} ms windows do ` +
          `not fit ${partitionCount} and ${windowMs} of the segment at ${first.startMs}`,
      );
    startMs = Math.min(startMs, segment.startMs);
    if (options.endMs === undefined) endMs = Math.max(endMs, segment.startMs + windowMs);
  }
  const windowCount = Math.max(0, Math.floor((endMs - startMs) / windowMs));
  const values = new Float64Array(windowCount * stride);
  const captured = new Float64Array(windowCount);
  const offered = new Float64Array(windowCount);
  const isSent = new Uint8Array(windowCount);
  for (const segment of segments) {
    const window = (segment.startMs - startMs) / windowMs;
    if (window >= windowCount) continue;
    isSent[window] = 1;
    captured[window] = (captured[window] as number) + segment.recordCount;
    offered[window] = (offered[window] as number) + segment.recordCount + segment.droppedCount;
    const base = window * stride;
    for (let i = 0; i < stride; i++)
      values[base + i] = (values[base + i] as number) + (segment.values[i] as number);
  }
  const coverage = captured.map((count, window) => {
    if (isSent[window] === 0) return 0;
    return offered[window] === 0 ? 1 : count / (offered[window] as number);
  });
  return { startMs, windowMs, windowCount, partitionCount, values, coverage };
}
