import type { Clock } from '../../../src/base/clock.ts';
import { assertPartitionCount } from '../../../src/model/partition-map.ts';
import { LmdbEnvironment } from './environment.ts';
import { LmdbPartitionStore } from './lmdb-partition-store.ts';
import { EntryHasher } from './running-digest.ts';
import { SpaceGuard } from './space-guard.ts';

export interface LmdbEngineOptions {
  /** Folder of the store; made if it is missing. */
  readonly path: string;
  readonly partitionCount: number;
  /** Own limit of the bytes of all partitions. Default: none but the disk. */
  readonly quotaBytes?: number;
  /** What writes leave free in the file system. */
  readonly reserveBytes?: number;
  /** Address space kept for the file; neither memory nor a quota. */
  readonly mapSizeBytes?: number;
}

export interface LmdbEngineComponents {
  readonly clock: Clock;
}

// Half a second of writing as fast as a common disk takes it, and more than any one group of requests.
const RESERVE_BYTES_DEFAULT = 64 * 1024 * 1024;
// LMDB cannot grow its map while readers are in it; 256 GiB of addresses cost nothing on a 64-bit machine.
const MAP_SIZE_BYTES_DEFAULT = 256 * 1024 ** 3;

/** The storage engine of one node: an LMDB environment and the partitions in it. */
export class LmdbEngine {
  readonly environment: LmdbEnvironment;
  readonly store: LmdbPartitionStore;
  readonly spaceGuard: SpaceGuard;

  private constructor(environment: LmdbEnvironment, store: LmdbPartitionStore, spaceGuard: SpaceGuard) {
    this.environment = environment;
    this.store = store;
    this.spaceGuard = spaceGuard;
  }

  /** @throws ForeshardError FORESHARD_CONFIG when the folder holds a store of another format or partition count. */
  static async open(options: LmdbEngineOptions, components: LmdbEngineComponents): Promise<LmdbEngine> {
    const { path, partitionCount } = options;
    const { clock } = components;
    assertPartitionCount(partitionCount);
    const hasher = await EntryHasher.load();
    const environment = new LmdbEnvironment({
      path,
      partitionCount,
      mapSizeBytes: options.mapSizeBytes ?? MAP_SIZE_BYTES_DEFAULT,
    });
    const spaceGuard = new SpaceGuard({
      environment,
      clock,
      limits: {
        quotaBytes: options.quotaBytes ?? Number.POSITIVE_INFINITY,
        reserveBytes: options.reserveBytes ?? RESERVE_BYTES_DEFAULT,
      },
      usedBytes: () => store.usedBytes(),
    });
    const store = new LmdbPartitionStore({ environment, spaceGuard, hasher, clock, partitionCount });
    return new LmdbEngine(environment, store, spaceGuard);
  }

  async close(): Promise<void> {
    await this.environment.close();
  }
}
