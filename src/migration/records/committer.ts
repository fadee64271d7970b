import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import type { PartitionRecord } from '../../model/migration.ts';
import type {
  Leadership,
  MetadataCondition,
  MetadataStore,
  MetadataWrite,
} from '../../ports/metadata-store.ts';
import type { RecordCodec } from './records.ts';

export interface CommitterComponents {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metadata: MetadataStore;
  readonly codec: RecordCodec;
  readonly leadership: () => Leadership | null;
}

/** The store must have answered twice within this before a fence may be put up. */
const HEALTH_MS = 1_000;

/** All that the coordinator writes goes through here: under the leader's fence, and with the outcome never guessed. */
export class Committer {
  readonly #components: CommitterComponents;
  #answersMs: number[] = [];
  /** Mean time of a commit; a guess until there has been one. */
  commitMs = 5;

  constructor(components: CommitterComponents) {
    this.#components = components;
  }

  /** One transition: conditioned on the record as it was read and on this term. Null: lost, or not known; re-read. */
  commitRecord(
    record: PartitionRecord,
    revision: number,
    writes: readonly MetadataWrite[],
    conditions: readonly MetadataCondition[] = [],
  ): Promise<number | null> {
    assert(revision > 0, 'a record is changed as it was read');
    const { codec } = this.#components;
    const key = codec.keys.map(record.partitionId);
    return this.commit(
      [{ key, revisionIs: revision }, ...conditions],
      [{ kind: 'put', key, value: codec.encodePartition(record) }, ...writes],
    );
  }

  /** Without a record: what accompanies them. */
  async commit(
    conditions: readonly MetadataCondition[],
    writes: readonly MetadataWrite[],
  ): Promise<number | null> {
    const { metadata, clock, leadership, logger } = this.#components;
    const term = leadership();
    if (!term?.isHeld()) return null;
    const startedMs = clock.monotonicMs();
    try {
      const result = await metadata.commit({ conditions: [...conditions, term.fence], writes });
      this.noteAnswer();
      this.commitMs += (clock.monotonicMs() - startedMs - this.commitMs) / 8;
      return result.isCommitted ? result.revision : null;
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      logger.warn({ key: writes[0]?.key, error: fault }, 'a commit is not known to have happened');
      return null;
    }
  }

  /** The store has answered just now. */
  noteAnswer(): void {
    this.#answersMs = [...this.#answersMs.slice(-7), this.#components.clock.monotonicMs()];
  }

  get isHealthy(): boolean {
    const nowMs = this.#components.clock.monotonicMs();
    return this.#answersMs.filter((atMs) => nowMs - atMs <= HEALTH_MS).length >= 2;
  }
}
