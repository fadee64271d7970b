import { DEFAULT_AFFINITY_SETTINGS } from '../affinity/settings.ts';
import { DEFAULT_TIMETABLE_SETTINGS } from '../affinity/timetable/settings.ts';
import { assert } from '../base/assert.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../migration/settings.ts';

/** What a move takes, and what it takes from the nodes meanwhile. */
export interface MigrationModel {
  /** Of one copy. */
  readonly bytesPerSecond: number;
  /** Of a migration, beside its copy: verification, the shift of reads, the fence. */
  readonly fixedSeconds: number;
  /** Writes to the partition wait so long. */
  readonly fenceSeconds: number;
  /** Utilisation that a running migration adds to its source and to its target. */
  readonly copyUtilisation: number;
  /** Migrations out of a node at one time, and as many into it. */
  readonly copiesPerNodeMax: number;
  /** Of a query, by which waiting behind a fence is measured. */
  readonly serviceSeconds: number;
}

/** A move to be made as soon as there is a place. */
export interface MoveOrder {
  readonly partition: number;
  readonly target: number;
  /** For people. */
  readonly reason: string;
}

/** A change of owner. */
export interface OwnerChange extends MoveOrder {
  readonly source: number;
  /** When the migration began and when the target took over, hours since the simulation's first, with their fractions. */
  readonly startHour: number;
  readonly endHour: number;
}

/** What migrations did in one hour. */
export interface MigratedHour {
  /** Changes of owner within the hour, by time. */
  readonly changes: readonly OwnerChange[];
  /** f64[node]: how much of the hour a migration ran at the node, summed over those that ran at once. */
  readonly busyShare: Float64Array;
}

/** As the planner takes moves to be before it has seen any, at the settings' defaults. */
export const DEFAULT_MIGRATION_MODEL: MigrationModel = {
  bytesPerSecond: DEFAULT_MIGRATION_SETTINGS.copyBytesPerSecond,
  fixedSeconds: DEFAULT_TIMETABLE_SETTINGS.fixedSeconds,
  // As in the planner's calibration, before it has seen any fence.
  fenceSeconds: 0.1,
  copyUtilisation: DEFAULT_AFFINITY_SETTINGS.copyUtilisation,
  copiesPerNodeMax: DEFAULT_MIGRATION_SETTINGS.copiesPerNodeMax,
  // Of a key-value query, generously; a fence of 0.1 s is a hundred of them.
  serviceSeconds: 0.001,
};

const SECONDS_PER_HOUR = 3600;

/**
 * Carries moves out on a virtual clock, as the executor does: in order, each as soon as its source, its target and the cluster
 * have a place for one more copy. What finds no place within the hour is given up: the next cycle orders it again if it still
 * wants it. The ownership changes when the migration ends.
 */
export class SimulatedMigrations {
  readonly #model: MigrationModel;
  readonly #partitionBytes: Float64Array;
  readonly #nodeCount: number;
  readonly #ownerOf: Int32Array;
  #running: OwnerChange[] = [];

  constructor(
    model: MigrationModel,
    ground: {
      readonly startOwnerOf: Int32Array;
      readonly nodeCount: number;
      readonly partitionBytes: Float64Array;
    },
  ) {
    this.#model = model;
    this.#ownerOf = ground.startOwnerOf.slice();
    this.#nodeCount = ground.nodeCount;
    this.#partitionBytes = ground.partitionBytes;
  }

  /** i32[partition] as it is now. */
  get ownerOf(): Int32Array {
    return this.#ownerOf;
  }

  /** Partition -> node that it is on its way to. */
  get open(): ReadonlyMap<number, number> {
    return new Map(this.#running.map(({ partition, target }) => [partition, target]));
  }

  /** The hour that begins now, with the moves that were ordered for it. */
  runHour(hour: number, orders: readonly MoveOrder[]): MigratedHour {
    const places = new Places(this.#running, {
      hour,
      nodeCount: this.#nodeCount,
      copiesPerNodeMax: this.#model.copiesPerNodeMax,
    });
    const ordered = new Set(this.#running.map(({ partition }) => partition));
    for (const { partition, target, reason } of orders) {
      const source = this.#ownerOf[partition] as number;
      if (source === target || ordered.has(partition)) continue;
      const startHour = places.firstFree(source, target);
      if (startHour >= hour + 1) continue;
      const endHour = startHour + this.#hoursOf(partition);
      const change = { partition, source, target, reason, startHour, endHour };
      places.take(change);
      ordered.add(partition);
      this.#running.push(change);
    }
    return this.#endOf(hour);
  }

  #hoursOf(partition: number): number {
    const { fixedSeconds, bytesPerSecond } = this.#model;
    return (fixedSeconds + (this.#partitionBytes[partition] as number) / bytesPerSecond) / SECONDS_PER_HOUR;
  }

  #endOf(hour: number): MigratedHour {
    const busyShare = new Float64Array(this.#nodeCount);
    for (const { source, target, startHour, endHour } of this.#running) {
      const share = Math.min(hour + 1, endHour) - Math.max(hour, startHour);
      busyShare[source]! += share;
      busyShare[target]! += share;
    }
    const changes = this.#running
      .filter(({ endHour }) => endHour <= hour + 1)
      .sort((a, b) => a.endHour - b.endHour || a.partition - b.partition);
    this.#running = this.#running.filter(({ endHour }) => endHour > hour + 1);
    for (const { partition, source, target } of changes) {
      assert(this.#ownerOf[partition] === source, 'a partition moves from where it is');
      this.#ownerOf[partition] = target;
    }
    return { changes, busyShare };
  }
}

/** When each place for a copy is free again, hours. */
class Places {
  readonly #out: Float64Array[];
  readonly #in: Float64Array[];
  readonly #cluster: Float64Array;

  constructor(
    running: readonly OwnerChange[],
    options: { readonly hour: number; readonly nodeCount: number; readonly copiesPerNodeMax: number },
  ) {
    const { hour, nodeCount, copiesPerNodeMax } = options;
    const perNode = (): Float64Array[] =>
      Array.from({ length: nodeCount }, () => new Float64Array(copiesPerNodeMax).fill(hour));
    this.#out = perNode();
    this.#in = perNode();
    // As in the admission of moves: at most half of the nodes are busy with copies.
    this.#cluster = new Float64Array(Math.max(1, nodeCount >> 1)).fill(hour);
    for (const change of running) this.take(change);
  }

  firstFree(source: number, target: number): number {
    const earliest = (places: Float64Array): number => places[earliestIndex(places)] as number;
    return Math.max(
      earliest(this.#out[source] as Float64Array),
      earliest(this.#in[target] as Float64Array),
      earliest(this.#cluster),
    );
  }

  /** Of the places that are free by its start, each the one that was free last: who can start earlier finds the others. */
  take({ source, target, startHour, endHour }: OwnerChange): void {
    for (const places of [this.#out[source], this.#in[target], this.#cluster] as Float64Array[]) {
      let best = earliestIndex(places);
      places.forEach((freeAt, i) => {
        if (freeAt <= startHour && freeAt > (places[best] as number)) best = i;
      });
      places[best] = endHour;
    }
  }
}

function earliestIndex(places: Float64Array): number {
  let best = 0;
  for (let i = 1; i < places.length; i++) if ((places[i] as number) < (places[best] as number)) best = i;
  return best;
}
