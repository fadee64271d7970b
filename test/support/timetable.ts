import type { PlacementInstance } from '../../src/affinity/instance.ts';
import type { TimetableProblem } from '../../src/affinity/timetable/problem.ts';

/** Copies of a minute each at any hour, one a node, priced by the instance's own kind of points. */
export function timetableOf(
  instance: PlacementInstance,
  changes: Partial<TimetableProblem> = {},
): TimetableProblem {
  const { nodeCount, partitionCount, slotCount } = instance;
  return {
    instance,
    startMs: Date.UTC(2001, 0, 1),
    slotSeconds: 3600,
    isOpen: new Uint8Array(slotCount).fill(1),
    bandwidth: new Float64Array(nodeCount).fill(1e8),
    dirtyRate: new Float64Array(partitionCount * slotCount),
    copiesPerNodeMax: 1,
    copiesMax: Math.max(1, nodeCount >> 1),
    bandwidthMax: 1e12,
    fixedSeconds: 60,
    copyUtilisation: 0.05,
    price: { fixed: 1e-4, perSecond: 0, blip: 0.001 },
    ...changes,
  };
}
