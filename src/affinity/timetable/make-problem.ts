import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../model/load-profile.ts';
import { HOUR_MS, type PlacementInputs } from '../instance.ts';
import type { AffinitySettings } from '../settings.ts';
import type { UnitInstance } from '../units.ts';
import type { TimetableProblem } from './problem.ts';
import { isWithin, parseMoveWindows } from './windows.ts';

/** What a timetable needs to know besides the placement problem. */
export interface TimetableFacts {
  /** Wall clock of slot 0, milliseconds, and a slot's length. */
  readonly startMs: number;
  readonly stepMs: number;
  readonly settings: Pick<
    AffinitySettings,
    'timetable' | 'copyUtilisation' | 'moveFixedIndexHours' | 'moveIndexHoursPerSecond' | 'moveBlipIndexHours'
  >;
  /** As the executor allows: a plan that it could not keep up with would be late. */
  readonly copiesPerNodeMax: number;
  /** Bytes written to a partition each second of a slot. */
  dirtyRate(partition: number, slot: number): number;
}

/** The timetable's problem of a cluster. */
export function makeTimetableProblem(
  { forecast }: PlacementInputs,
  units: Pick<UnitInstance, 'instance' | 'membersOf'>,
  { settings, copiesPerNodeMax }: { readonly settings: AffinitySettings; readonly copiesPerNodeMax: number },
): TimetableProblem {
  const { partitionCount, startMs, stepMs, mean } = forecast;
  const written = dimensionIndex('writeBytes');
  return timetableProblem(units, {
    startMs,
    stepMs,
    settings,
    copiesPerNodeMax,
    dirtyRate: (p, t) =>
      (mean[(t * partitionCount + p) * LOAD_DIMENSION_COUNT + written] as number) / (stepMs / 1000),
  });
}

export function timetableProblem(
  { instance, membersOf }: Pick<UnitInstance, 'instance' | 'membersOf'>,
  { startMs, stepMs, settings, copiesPerNodeMax, dirtyRate }: TimetableFacts,
): TimetableProblem {
  const { slotCount } = instance;
  const { timetable } = settings;
  const windows = parseMoveWindows(timetable.windows);
  const horizonHours = (slotCount * stepMs) / HOUR_MS;
  return {
    instance,
    startMs,
    slotSeconds: stepMs / 1000,
    isOpen: Uint8Array.from({ length: slotCount }, (_, t) =>
      isWithin(windows, startMs + t * stepMs, startMs + (t + 1) * stepMs) ? 1 : 0,
    ),
    bandwidth: instance.bandwidth,
    dirtyRate: unitDirtyRates(membersOf, slotCount, dirtyRate),
    copiesPerNodeMax,
    // As in the admission of moves: at most half of the nodes are busy with copies.
    copiesMax: Math.max(1, instance.nodeCount >> 1),
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

/** f64[unit][slot]. Members of a unit are copied one after the other: what is too hot for one of them is so for all. */
function unitDirtyRates(
  membersOf: UnitInstance['membersOf'],
  slotCount: number,
  dirtyRate: TimetableFacts['dirtyRate'],
): Float64Array {
  const rates = new Float64Array(membersOf.length * slotCount);
  membersOf.forEach((members, unit) => {
    for (const p of members)
      for (let t = 0; t < slotCount; t++) {
        const at = unit * slotCount + t;
        rates[at] = Math.max(rates[at] as number, dirtyRate(p, t));
      }
  });
  return rates;
}
