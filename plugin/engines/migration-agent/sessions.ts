import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MigrationCommand } from '../../../src/model/migration.ts';
import type { PartitionStore } from '../../../src/ports/partition-store.ts';
import { MigrationSession } from './migration-session.ts';

/** Every partition's session with the newest migration that has asked for anything; an older one's ends with it. */
export class MigrationSessions {
  readonly #store: PartitionStore;
  readonly #clock: Clock;
  readonly #byPartition = new Map<number, MigrationSession>();

  constructor(store: PartitionStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @throws ForeshardError FORESHARD_STALE_EPOCH where a later migration has begun. */
  of({ partitionId, migrationId }: MigrationCommand): MigrationSession {
    const found = this.#byPartition.get(partitionId);
    if (found?.migrationId === migrationId) return found;
    if (found && found.migrationId > migrationId)
      throw new ForeshardError(
        'FORESHARD_STALE_EPOCH',
        'refresh-map',
        `migration ${migrationId} is over here`,
      );
    found?.close();
    const session = new MigrationSession(partitionId, migrationId, this.#store, this.#clock);
    this.#byPartition.set(partitionId, session);
    return session;
  }

  /** Of whatever migration. */
  at(partitionId: number): MigrationSession | undefined {
    return this.#byPartition.get(partitionId);
  }

  close(partitionId: number): void {
    this.#byPartition.get(partitionId)?.close();
    this.#byPartition.delete(partitionId);
  }

  closeAll(): void {
    for (const session of this.#byPartition.values()) session.close();
    this.#byPartition.clear();
  }
}
