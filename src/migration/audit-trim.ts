import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { MetadataStore, MetadataWrite } from '../ports/metadata-store.ts';
import type { Committer } from './committer.ts';
import type { RecordCodec } from './records.ts';
import type { MigrationSettings } from './settings.ts';

export interface AuditTrimmerComponents {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metadata: MetadataStore;
  readonly codec: RecordCodec;
  readonly committer: Committer;
}

/** People give few orders: what is too much is not for long, and no list of all of them is read at every tick. */
const LOOK_MS = 60_000;
/** Below the limit of a transaction: an audit that has grown under a larger setting shrinks over several looks. */
const RECORDS_MAX = 100;

/** Deletes the oldest records of the audit beyond the newest `auditRecordsMax`, now and then, in the background. */
export class AuditTrimmer {
  readonly #keptCount: number;
  readonly #components: AuditTrimmerComponents;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #work: Promise<void> | null = null;

  constructor({ auditRecordsMax }: MigrationSettings, components: AuditTrimmerComponents) {
    this.#keptCount = auditRecordsMax;
    this.#components = components;
  }

  /** Never throws. */
  tick(): void {
    const { clock, logger } = this.#components;
    const nowMs = clock.monotonicMs();
    if (this.#work || nowMs - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = nowMs;
    this.#work = this.#trim()
      .catch((error) => logger.debug({ error: String(error) }, 'the audit could not be trimmed'))
      .finally(() => {
        this.#work = null;
      });
  }

  async settled(): Promise<void> {
    await this.#work;
  }

  async #trim(): Promise<void> {
    const { metadata, codec, committer } = this.#components;
    // Sorted by key, and a request's id begins with its time: the oldest come first.
    const { entries } = await metadata.list(codec.keys.auditPrefix);
    const writes = entries
      .slice(0, Math.max(0, entries.length - this.#keptCount))
      .slice(0, RECORDS_MAX)
      .map(({ key }): MetadataWrite => ({ kind: 'delete', key }));
    if (writes.length > 0) await committer.commit([], writes);
  }
}
