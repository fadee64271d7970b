import type { MetadataWrite } from '../../ports/metadata-store.ts';
import type { CoordinatorParts } from '../coordinator-parts.ts';
import type { MigrationSettings } from '../settings.ts';
import type { Controls } from './controls.ts';

export type RecordTrimmerComponents = Omit<CoordinatorParts, 'engine'>;

/** People give few orders: what is too much is not for long, and no list of all of them is read at every tick. */
const LOOK_MS = 60_000;
/** Below the limit of a transaction: what has grown under a larger setting shrinks over several looks. */
const RECORDS_MAX = 100;
const REJECTIONS_MAX = 50; // each is a condition as well
/** The hour of a rejection is by wall clocks, and one of them may be wrong: deletion, unlike passing it over, is for good. */
const RUN_OUT_MS = 3_600_000;

/** Deletes, now and then and in the background, what operators' orders have left: old audit records, rejections that have run out. */
export class RecordTrimmer {
  readonly #auditsKept: number;
  readonly #components: RecordTrimmerComponents;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #work: Promise<void> | null = null;

  constructor({ auditRecordsMax }: MigrationSettings, components: RecordTrimmerComponents) {
    this.#auditsKept = auditRecordsMax;
    this.#components = components;
  }

  /** Never throws. */
  tick({ rejections }: Pick<Controls, 'rejections'>): void {
    const { clock, logger } = this.#components;
    const nowMs = clock.monotonicMs();
    if (this.#work || nowMs - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = nowMs;
    this.#work = Promise.all([this.#trimAudits(), this.#trimRejections(rejections)])
      .then(() => undefined)
      .catch((error) => logger.debug({ error: String(error) }, 'old records could not be trimmed'))
      .finally(() => {
        this.#work = null;
      });
  }

  async settled(): Promise<void> {
    await this.#work;
  }

  /** The newest `auditRecordsMax` stay. */
  async #trimAudits(): Promise<void> {
    const { metadata, codec, committer } = this.#components;
    // Sorted by key, and a request's id begins with its time: the oldest come first.
    const { entries } = await metadata.list(codec.keys.auditPrefix);
    const writes = entries
      .slice(0, Math.max(0, entries.length - this.#auditsKept))
      .slice(0, RECORDS_MAX)
      .map(({ key }): MetadataWrite => ({ kind: 'delete', key }));
    if (writes.length > 0) await committer.commit([], writes);
  }

  /** One that is given again meanwhile has another revision, and stays. One that nobody can read is for people to look at. */
  async #trimRejections(rejections: Controls['rejections']): Promise<void> {
    const { clock, codec, committer } = this.#components;
    const nowMs = clock.nowMs();
    const over = [...rejections]
      .filter(([, { untilMs }]) => untilMs !== null && untilMs + RUN_OUT_MS <= nowMs)
      .slice(0, REJECTIONS_MAX)
      .map(([partitionId, { revision }]) => ({ key: codec.keys.rejection(partitionId), revision }));
    if (over.length === 0) return;
    await committer.commit(
      over.map(({ key, revision }) => ({ key, revisionIs: revision })),
      over.map(({ key }): MetadataWrite => ({ kind: 'delete', key })),
    );
  }
}
