import type { Clock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { assertPartitionCount } from '../../../src/model/partition-map.ts';
import { CommandContext } from './commands/command-context.ts';
import { EntryHasher } from './entry-hasher.ts';
import { LmdbEnvironment } from './environment.ts';
import { Expirer } from './expirer.ts';
import { GroupCommit } from './group-commit.ts';
import { LmdbPartitionStore } from './lmdb-partition-store.ts';
import { RequestCosts } from './request-costs.ts';
import { SpaceGuard } from './space-guard.ts';

export interface LmdbEngineOptions {
  /** Folder of the store; made if it is missing. */
  readonly path: string;
  readonly partitionCount: number;
  /** Own limit of the bytes of all partitions. Default: none but the disk. */
  readonly quotaBytes?: number;
  /** What writes leave free in the file system. */
  readonly reserveBytes?: number;
  /** Largest value of a string or a field. */
  readonly valueBytesMax?: number;
  /** Address space kept for the file; neither memory nor a quota. */
  readonly mapSizeBytes?: number;
}

export interface LmdbEngineComponents {
  readonly clock: Clock;
}

// Half a second of writing as fast as a common disk takes it, and more than any one group of requests.
const RESERVE_BYTES_DEFAULT = 64 * 1024 * 1024;
const VALUE_BYTES_MAX_DEFAULT = 8 * 1024 * 1024;
// LMDB cannot grow its map while readers are in it; 256 GiB of addresses cost nothing on a 64-bit machine.
const MAP_SIZE_BYTES_DEFAULT = 256 * 1024 ** 3;

/** The storage engine of one node: an LMDB environment and the partitions in it. */
export class LmdbEngine {
  readonly environment: LmdbEnvironment;
  readonly store: LmdbPartitionStore;
  readonly spaceGuard: SpaceGuard;
  readonly requests: GroupCommit;
  readonly expirer: Expirer;

  private constructor(parts: {
    environment: LmdbEnvironment;
    store: LmdbPartitionStore;
    spaceGuard: SpaceGuard;
    requests: GroupCommit;
    expirer: Expirer;
  }) {
    this.environment = parts.environment;
    this.store = parts.store;
    this.spaceGuard = parts.spaceGuard;
    this.requests = parts.requests;
    this.expirer = parts.expirer;
  }

  /** @throws ForeshardError FORESHARD_CONFIG when the folder holds a store of another format or partition count. */
  static async open(options: LmdbEngineOptions, components: LmdbEngineComponents): Promise<LmdbEngine> {
    const { path, partitionCount } = options;
    const { clock } = components;
    assertPartitionCount(partitionCount);
    const hasher = EntryHasher.load();
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
    const valueBytesMax = options.valueBytesMax ?? VALUE_BYTES_MAX_DEFAULT;
    // Any seed: it has to be out of step with clients, not secret.
    const costs = new RequestCosts(partitionCount, { clock, random: seededRandom(1n) });
    const requests = new GroupCommit({ store, spaceGuard, clock, valueBytesMax, costs });
    const context = new CommandContext({
      table: environment.data,
      writer: store.writer,
      valueBytesMax,
      partitionOfSlot: (slot) => store.partitionOfSlot(slot),
    });
    const expirer = new Expirer({ store, context, clock });
    return new LmdbEngine({ environment, store, spaceGuard, requests, expirer });
  }

  /** Whether writes are taken: no commit has failed, and there is room. */
  get isWritable(): boolean {
    return this.environment.failure === null && this.spaceGuard.fault() === null;
  }

  /** Answers what has arrived, then closes the store. Snapshots must have been closed. */
  async close(): Promise<void> {
    this.expirer.stop();
    this.requests.close();
    await this.environment.close();
  }
}
