import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { MigrationCommand } from '../../../src/model/migration.ts';
import type { PartitionStore } from '../../../src/ports/partition-store.ts';
import type { AgentSettings } from './agent-settings.ts';
import * as role from './role-changes.ts';

interface RemovalComponents {
  readonly store: PartitionStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Deletes partitions that are nobody's any more, a batch at a time, so that clients of the others do not notice. */
export class Removals {
  readonly #settings: AgentSettings;
  readonly #components: RemovalComponents;
  readonly #running = new Map<number, Promise<void>>();
  #isClosed = false;

  constructor(settings: AgentSettings, components: RemovalComponents) {
    this.#settings = settings;
    this.#components = components;
  }

  isRunning(partitionId: number): boolean {
    return this.#running.has(partitionId);
  }

  /** Deletes in the background; true once nothing is left and the role says so. */
  async run(command: MigrationCommand): Promise<boolean> {
    const { partitionId, migrationId } = command;
    if (!this.#running.has(partitionId)) {
      const removal = this.#deleteInBatches(partitionId, migrationId)
        .catch((error) =>
          this.#components.logger.warn({ partitionId, error: String(error) }, 'a removal stopped'),
        )
        .finally(() => this.#running.delete(partitionId));
      this.#running.set(partitionId, removal);
    }
    // A small partition is gone within one request; a large one is asked about again.
    await Promise.race([
      this.#running.get(partitionId),
      this.#components.clock.sleep(this.#settings.removePauseMs),
    ]);
    return this.#components.store.meta(partitionId).role === 'NONE';
  }

  async #deleteInBatches(partitionId: number, migrationId: number): Promise<void> {
    const { store, clock } = this.#components;
    const { removeEntriesMax, removePauseMs } = this.#settings;
    while (!(await store.deleteBatch(partitionId, migrationId, removeEntriesMax))) {
      if (this.#isClosed) return;
      await clock.sleep(removePauseMs);
      if (this.#isClosed) return;
    }
    await store.stopChangeLog(partitionId);
    await store.updateMeta(partitionId, (meta) => role.emptied(meta, migrationId));
  }

  /** Begins no further batch. @returns what is under way; it never rejects. */
  close(): readonly Promise<void>[] {
    this.#isClosed = true;
    return [...this.#running.values()];
  }
}
