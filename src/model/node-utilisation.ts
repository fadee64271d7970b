import type { NodeId } from './ids.ts';

/** What a storage node can carry and what it carries now. */
export interface NodeUtilisation {
  readonly nodeId: NodeId;
  /** Whether it may be given anything. */
  readonly isAlive: boolean;
  /** An operator wants it empty: it serves, and is not alive in the sense above. */
  readonly isDraining?: boolean;
  /** Where it stands; where it is left out, the settings say. */
  readonly zone?: string;
  /** f64[dimension]: load the node can carry in one forecast step at utilisation 1; units of LoadProfile.values. */
  readonly capacity: Float64Array;
  /** f64[dimension]: load that is not the partitions' own (measured minus theirs), per forecast step. */
  readonly background: Float64Array;
  readonly dataBytes: number;
  readonly dataBytesMax: number;
  /** Bytes per second a migration may use into or out of this node. */
  readonly bandwidthBytesPerSecond: number;
}
