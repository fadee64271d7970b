import { type Inconsistency, numberFrom, outOfRange } from '../../base/claims.ts';
import { LOAD_DIMENSIONS, type LoadDimension } from '../../model/load-profile.ts';

/** The utilisation between which a node is left in peace; outside it, it is stressed or has room to spare. */
export interface ComfortZone<Dimension extends string = LoadDimension> {
  /** Of one node, or of all. */
  readonly node?: number;
  /** Of one dimension, or of all that load a node. */
  readonly dimension?: Dimension;
  readonly low: number;
  readonly high: number;
}

/** Zones of whatever loads a node; of several that fit, the last counts. */
export interface ComfortZones {
  readonly zones: readonly ComfortZone<string>[];
}

export interface ReliefSettings {
  /** Of several that fit a node and a dimension, the last counts. */
  readonly zones: readonly ComfortZone[];
  /** Relief goes on until a node is so far below the high end of its zone, and brings no other nearer to its own. */
  readonly margin: number;
  /** Moves of relief in one cycle. */
  readonly movesMax: number;
}

export const DEFAULT_RELIEF_SETTINGS: ReliefSettings = {
  // 0.8 is where overloaded node-hours are counted; below 0.3 at the peak of a week a node is hardly used.
  zones: [{ low: 0.3, high: 0.8 }],
  // On 60 days of the flights log, 8 and 16 nodes: 0.05 is alike at 8 and overloads a fifth more node-hours at 16; 0.1 leaves no target.
  margin: 0.02,
  // A node's copies run one after another: more would not be done within the hour.
  movesMax: 8,
};

export const RELIEF_RANGES = { margin: numberFrom(0, 0.5), movesMax: numberFrom(0, 1e6) };

/** Paths from `affinity.relief` on. */
export function reliefInconsistencies(settings: ReliefSettings): Inconsistency[] {
  const found = outOfRange(settings, RELIEF_RANGES);
  if (
    !settings.zones.every(isZone) ||
    !settings.zones.some((zone) => !('node' in zone || 'dimension' in zone))
  )
    found.push({
      path: 'zones',
      expected: `a list of { low, high, node?, dimension? } with 0 <= low < high <= 1, one of them for all nodes and dimensions (${LOAD_DIMENSIONS.join(', ')})`,
    });
  return found;
}

/** The list comes from a config file: its entries may be anything. */
function isZone(entry: unknown): boolean {
  if (typeof entry !== 'object' || entry === null) return false;
  const { low, high, node, dimension } = entry as Partial<ComfortZone>;
  return (
    typeof low === 'number' &&
    typeof high === 'number' &&
    low >= 0 &&
    low < high &&
    high <= 1 &&
    (node === undefined || (Number.isInteger(node) && node >= 0)) &&
    (dimension === undefined || LOAD_DIMENSIONS.includes(dimension))
  );
}

/** The zone of a node in a dimension. */
export function zoneOf({ zones }: ComfortZones, node: number, dimension: string): ComfortZone<string> {
  const fitting = zones.filter(
    (zone) =>
      (zone.node === undefined || zone.node === node) &&
      (zone.dimension === undefined || zone.dimension === dimension),
  );
  return fitting.at(-1) as ComfortZone<string>;
}
