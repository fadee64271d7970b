import type { PlacementInstance } from '../instance.ts';

/** A move whose hour is to be found. */
export interface PlannedMove {
  readonly partition: number;
  readonly source: number;
  readonly target: number;
}

/** When copies may run and what they take, beside the placement problem that says what they are worth. */
export interface TimetableProblem {
  readonly instance: PlacementInstance;
  /** Wall clock of slot 0, milliseconds. */
  readonly startMs: number;
  readonly slotSeconds: number;
  /** u8[slot]: 1 where copies may run. */
  readonly isOpen: Uint8Array;
  /** f64[node]: bytes a second of a copy into or out of it, above 0. */
  readonly bandwidth: Float64Array;
  /** f64[partition][slot]: bytes written a second; a copy has to be faster. */
  readonly dirtyRate: Float64Array;
  /** Open copies a node may be the source of, and as many it may be the target of. */
  readonly copiesPerNodeMax: number;
  /** Open copies in the cluster. */
  readonly copiesMax: number;
  /** Bytes a second of all copies together. */
  readonly bandwidthMax: number;
  readonly fixedSeconds: number;
  /** Utilisation that a running copy adds to either node. */
  readonly copyUtilisation: number;
  readonly price: MovePrices;
}

/** Index points of the horizon's mean, as the objective counts them. */
export interface MovePrices {
  readonly fixed: number;
  /** For each second of copying, whatever the hour. */
  readonly perSecond: number;
  /** For fencing the mean load of the whole cluster; a partition pays its share of it. */
  readonly blip: number;
}

/** Why a move is not in the timetable. */
export type LeftOutCode =
  | 'no-window' // no time at which moves may run is long enough
  | 'dirty-rate' // it is written faster than it can be copied
  | 'no-space' // the target has no room for it while it could run
  | 'no-place' // all copies that may run at one time are taken until the horizon ends
  | 'horizon' // it would end after the horizon
  | 'gain-too-late' // what is left to gain when it arrives is not worth its price
  | 'taken-back' // a later cycle with the same forecast would take it back
  | 'moves-per-day' // it waits: so many moves were made within a day
  | 'prefix'; // the map it would leave, with the moves before it, breaks a rule or is worse than the present one

export const LEFT_OUT_MEANING: Readonly<Record<LeftOutCode, string>> = {
  'no-window': 'no window for moves is long enough',
  'dirty-rate': 'it is written faster than it can be copied',
  'no-space': 'the target has no room for it',
  'no-place': 'every place for a copy is taken until the horizon ends',
  horizon: 'it would end after the horizon',
  'taken-back': 'a later plan for the same forecast would take it back',
  'gain-too-late': 'what is left to gain when it arrives is not worth its price',
  'moves-per-day': 'as many moves as a day may have were made, or gain more: it waits',
  prefix:
    'with the moves before it, it would leave a map that breaks a rule or is worse than the present one',
};

/** What moving costs at the hour it is done, index points. */
export interface PriceParts {
  readonly fixed: number;
  /** Time of the copy, whatever the hour. */
  readonly copy: number;
  /** What the copy's load costs the queries of both nodes. */
  readonly load: number;
  /** The fence, in proportion to the partition's load when it is put up. */
  readonly blip: number;
}

export const priceSum = ({ fixed, copy, load, blip }: PriceParts): number => fixed + copy + load + blip;

export interface ScheduledMove extends PlannedMove {
  readonly startSlot: number;
  /** The target carries the load when `endShare` of this slot is over. */
  readonly endSlot: number;
  readonly endShare: number;
  /** From the start of the copy to the switch. */
  readonly seconds: number;
  readonly bytesPerSecond: number;
  readonly price: PriceParts;
  /** Fall of the objective after its arrival, among the other moves at their times; price not subtracted. */
  readonly gain: number;
}

export interface Timetable {
  /** By start; of those with one start, in the order in which they were planned. */
  readonly moves: readonly ScheduledMove[];
  readonly leftOut: readonly (PlannedMove & { readonly code: LeftOutCode })[];
  /** The objective with each partition where it is at the time, and prices at their hour. */
  readonly cost: number;
  /** The same with every partition at home. */
  readonly costStay: number;
}
