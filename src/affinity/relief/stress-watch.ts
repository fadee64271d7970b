import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadDimension } from '../../model/load-profile.ts';
import { type ReliefSettings, zoneOf } from './settings.ts';

/** What partitions were asked in the time between two looks. */
export interface LoadLook {
  /** Its end, by a clock that never goes back. */
  readonly atMs: number;
  readonly durationMs: number;
  /** f64[partition][dimension], a second. */
  readonly perSecond: Float64Array;
  /** Those that told: of partitions of the others nothing is known. */
  readonly nodeIds: ReadonlySet<number>;
}

/** The cluster at the time of a look. */
export interface WatchedCluster {
  /** i32[partition]. */
  readonly ownerOf: Int32Array;
  /** [node] of f64[dimension], a second. */
  readonly capacityOf: readonly Float64Array[];
}

export interface StressWatchSettings {
  /** A node is due that has been stressed for so long. */
  readonly reliefAfterMs: number;
  readonly dimensions: readonly LoadDimension[];
  readonly relief: ReliefSettings;
}

/** A node that has been outside its comfort zone for long enough. */
export interface LastingStress {
  readonly nodeId: number;
  readonly dimension: LoadDimension;
  /** In the mean over `reliefAfterMs`. */
  readonly utilisation: number;
  readonly high: number;
  readonly forMs: number;
}

/** Of which no look of the last `reliefAfterMs` told. */
export interface UnknownLoad {
  readonly partitionIds: ReadonlySet<number>;
  /** Those that own any. */
  readonly nodeIds: ReadonlySet<number>;
}

interface KeptLook {
  readonly atMs: number;
  readonly durationMs: number;
  readonly perSecond: Float64Array;
  /** u8[partition]. */
  readonly isKnown: Uint8Array;
}

/**
 * Watches nodes between cycles. Stress begins above `high` and ends `margin` below it: in between, a node stays what it was.
 *
 *             above high                  for reliefAfterMs, and so in the mean
 *   at ease ------------> stressed ---------------------------------------------> due
 *      ^                     |                                                     |
 *      +---------------------+----------------- margin below high -----------------+
 */
export class StressWatch {
  #looks: readonly KeptLook[] = [];
  #cluster: WatchedCluster = { ownerOf: new Int32Array(0), capacityOf: [] };
  /** [dimension] by node: the start of the first look that found it stressed. */
  readonly #sinceMs = new Map<number, Map<LoadDimension, number>>();
  readonly #toldMs = new Map<number, number>();

  /** Whoever did not look for a while, or is another than before, begins anew. */
  reset(): void {
    this.#looks = [];
    this.#sinceMs.clear();
    this.#toldMs.clear();
  }

  note(look: LoadLook, cluster: WatchedCluster, settings: StressWatchSettings): void {
    const { atMs, durationMs, perSecond, nodeIds } = look;
    const { reliefAfterMs } = settings;
    const lastMs = this.#looks.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY;
    // What happened in such a gap nobody knows: a node that is stressed before and after it may have rested meanwhile.
    if (atMs - durationMs - lastMs > reliefAfterMs) this.reset();
    this.#cluster = cluster;
    const isKnown = Uint8Array.from(cluster.ownerOf, (owner) => (nodeIds.has(owner) ? 1 : 0));
    const kept = { atMs, durationMs, perSecond, isKnown };
    this.#looks = [...this.#looks.filter((before) => before.atMs > atMs - reliefAfterMs), kept];
    for (const nodeId of nodeIds) this.#toldMs.set(nodeId, atMs);
    for (let nodeId = 0; nodeId < cluster.capacityOf.length; nodeId++) {
      if (nodeIds.has(nodeId)) this.#judge(nodeId, kept, settings);
      else if (atMs - (this.#toldMs.get(nodeId) ?? Number.NEGATIVE_INFINITY) > reliefAfterMs)
        this.#sinceMs.delete(nodeId);
    }
  }

  /** Nodes that are due at the last look, the most stressed first. */
  due({ reliefAfterMs, dimensions, relief }: StressWatchSettings): LastingStress[] {
    const last = this.#looks.at(-1);
    if (last === undefined) return [];
    const mean = this.meanPerSecond();
    const found: LastingStress[] = [];
    for (const [nodeId, since] of this.#sinceMs) {
      // Of one that is silent it is not known whether it still is.
      if (this.#toldMs.get(nodeId) !== last.atMs) continue;
      for (const dimension of dimensions) {
        const forMs = last.atMs - (since.get(dimension) ?? Number.POSITIVE_INFINITY);
        if (forMs < reliefAfterMs) continue;
        const { high } = zoneOf(relief, nodeId, dimension);
        const utilisation = utilisationOf(mean, this.#cluster, { nodeId, dimension });
        if (utilisation > high) found.push({ nodeId, dimension, utilisation, high, forMs });
      }
    }
    return found.sort((a, b) => b.utilisation - b.high - (a.utilisation - a.high) || a.nodeId - b.nodeId);
  }

  /** f64[partition][dimension]: the mean over the looks of the last `reliefAfterMs`; 0 where nothing is known. */
  meanPerSecond(): Float64Array {
    const partitionCount = this.#cluster.ownerOf.length;
    const mean = new Float64Array(partitionCount * LOAD_DIMENSION_COUNT);
    for (let p = 0; p < partitionCount; p++) {
      const known = this.#looks.filter(({ isKnown }) => isKnown[p] === 1);
      const totalMs = known.reduce((sum, { durationMs }) => sum + durationMs, 0);
      if (totalMs === 0) continue;
      for (let i = p * LOAD_DIMENSION_COUNT; i < (p + 1) * LOAD_DIMENSION_COUNT; i++)
        for (const { durationMs, perSecond } of known)
          mean[i]! += (durationMs / totalMs) * (perSecond[i] as number);
    }
    return mean;
  }

  /** What the mean says nothing of, though it is not idle. */
  unknown({ reliefAfterMs }: Pick<StressWatchSettings, 'reliefAfterMs'>): UnknownLoad {
    const { ownerOf } = this.#cluster;
    const sinceMs = (this.#looks.at(-1)?.atMs ?? 0) - reliefAfterMs;
    const isSilent = (nodeId: number): boolean =>
      (this.#toldMs.get(nodeId) ?? Number.NEGATIVE_INFINITY) <= sinceMs;
    const isUnknown = (p: number): boolean => this.#looks.every(({ isKnown }) => isKnown[p] !== 1);
    return {
      partitionIds: new Set([...ownerOf.keys()].filter(isUnknown)),
      nodeIds: new Set([...ownerOf].filter((owner) => owner >= 0 && isSilent(owner))),
    };
  }

  #judge(nodeId: number, { atMs, durationMs, perSecond }: KeptLook, settings: StressWatchSettings): void {
    const since = this.#sinceMs.get(nodeId) ?? new Map<LoadDimension, number>();
    for (const dimension of settings.dimensions) {
      const utilisation = utilisationOf(perSecond, this.#cluster, { nodeId, dimension });
      const { high } = zoneOf(settings.relief, nodeId, dimension);
      if (utilisation > high && !since.has(dimension)) since.set(dimension, atMs - durationMs);
      else if (utilisation <= high - settings.relief.margin) since.delete(dimension);
    }
    if (since.size > 0) this.#sinceMs.set(nodeId, since);
    else this.#sinceMs.delete(nodeId);
  }
}

function utilisationOf(
  perSecond: Float64Array,
  { ownerOf, capacityOf }: WatchedCluster,
  { nodeId, dimension }: { readonly nodeId: number; readonly dimension: LoadDimension },
): number {
  const d = dimensionIndex(dimension);
  let load = 0;
  for (let p = 0; p < ownerOf.length; p++)
    if (ownerOf[p] === nodeId) load += perSecond[p * LOAD_DIMENSION_COUNT + d] as number;
  const capacity = capacityOf[nodeId]?.[d] ?? 0;
  return capacity > 0 ? load / capacity : 0;
}
