import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../model/load-profile.ts';
import { HOUR_MS, type PlacementInputs } from '../instance.ts';
import type { AffinitySettings } from '../settings.ts';
import type { UnitInstance } from '../units.ts';
import type { TimetableProblem } from './problem.ts';
import { isWithin, parseMoveWindows } from './windows.ts';

/** @param copiesPerNodeMax as the executor allows: a plan that it could not keep up with would be late. */
export function makeTimetableProblem(
  inputs: PlacementInputs,
  { instance, membersOf }: Pick<UnitInstance, 'instance' | 'membersOf'>,
  { settings, copiesPerNodeMax }: { readonly settings: AffinitySettings; readonly copiesPerNodeMax: number },
): TimetableProblem {
  const { forecast, nodes } = inputs;
  const { slotCount } = instance;
  const { partitionCount } = forecast;
  const { startMs, stepMs } = forecast;
  const { timetable } = settings;
  const windows = parseMoveWindows(timetable.windows);
  const written = dimensionIndex('writeBytes');
  const horizonHours = (slotCount * stepMs) / HOUR_MS;
  return {
    instance,
    startMs,
    slotSeconds: stepMs / 1000,
    isOpen: Uint8Array.from({ length: slotCount }, (_, t) =>
      isWithin(windows, startMs + t * stepMs, startMs + (t + 1) * stepMs) ? 1 : 0,
    ),
    bandwidth: instance.bandwidth,
    // Members of a unit are copied one after the other: what is too hot for one of them is so for all.
    dirtyRate: Float64Array.from({ length: instance.partitionCount * slotCount }, (_, i) => {
      const members = membersOf[Math.floor(i / slotCount)] as readonly number[];
      const rates = members.map((p) => {
        const at = ((i % slotCount) * partitionCount + p) * LOAD_DIMENSION_COUNT + written;
        return (forecast.mean[at] as number) / (stepMs / 1000);
      });
      return Math.max(...rates);
    }),
    copiesPerNodeMax,
    // As in the admission of moves: at most half of the nodes are busy with copies.
    copiesMax: Math.max(1, nodes.length >> 1),
    bandwidthMax: timetable.bandwidthBytesPerSecondMax,
    fixedSeconds: timetable.fixedSeconds,
    copyUtilisation: settings.copyUtilisation,
    price: {
      fixed: settings.moveFixedIndexHours / horizonHours,
      perSecond: settings.moveIndexHoursPerSecond / horizonHours,
      blip: settings.moveBlipIndexHours / horizonHours,
    },
  };
}
