import { asNodeId } from '../../model/ids.ts';
import type { LoadDimension } from '../../model/load-profile.ts';
import type { NodeMoment, UtilisationTable } from '../../model/proposal-evidence.ts';
import type { PlacementState } from '../cost-model.ts';
import { type ComfortZones, zoneOf } from '../relief/settings.ts';

/** The horizon of a proposal. */
export interface Horizon<Dimension extends string = LoadDimension> {
  readonly dimensions: readonly Dimension[];
  /** Wall clock of slot 0, and a slot's length, milliseconds. */
  readonly startMs: number;
  readonly stepMs: number;
}

/** Cells of one of the four tables: 8 nodes by a week of hours in full. */
const CELLS_MAX = 4096;

/** @param upperZ deviations from the mean to the forecast's upper bound. */
export function utilisationTable<Dimension extends string>(
  before: PlacementState,
  after: PlacementState,
  { dimensions, startMs, stepMs, upperZ }: Horizon<Dimension> & { readonly upperZ: number },
): UtilisationTable<Dimension> {
  const { nodeCount, slotCount } = before.instance;
  let group = 1;
  while (dimensions.length * nodeCount * Math.ceil(slotCount / group) > CELLS_MAX && group < slotCount)
    group++;
  const table = (state: PlacementState, deviations: number): number[][][] =>
    dimensions.map((_, r) =>
      Array.from({ length: nodeCount }, (_, n) =>
        Array.from({ length: Math.ceil(slotCount / group) }, (_, column) => {
          let highest = 0;
          for (let t = column * group; t < Math.min(slotCount, (column + 1) * group); t++)
            highest = Math.max(highest, state.utilisation(n, r, t, deviations));
          return Math.round(1000 * highest);
        }),
      ),
    );
  return {
    startMs,
    stepMs: stepMs * group,
    dimensions,
    meanBefore: table(before, 0),
    upperBefore: table(before, upperZ),
    meanAfter: table(after, 0),
    upperAfter: table(after, upperZ),
  };
}

/** The first slot in which a node is above its comfort zone, and of several nodes the fullest; null if none ever is. */
export function firstBreach<Dimension extends string>(
  state: PlacementState,
  { dimensions, startMs, stepMs, relief }: Horizon<Dimension> & { readonly relief: ComfortZones },
): NodeMoment<Dimension> | null {
  const { nodeCount, slotCount } = state.instance;
  for (let t = 0; t < slotCount; t++) {
    let fullest: NodeMoment<Dimension> | null = null;
    for (let n = 0; n < nodeCount; n++)
      dimensions.forEach((dimension, r) => {
        const utilisation = state.utilisation(n, r, t);
        if (utilisation > zoneOf(relief, n, dimension).high && utilisation > (fullest?.utilisation ?? 0))
          fullest = { nodeId: asNodeId(n), dimension, atMs: startMs + t * stepMs, utilisation };
      });
    if (fullest !== null) return fullest;
  }
  return null;
}
