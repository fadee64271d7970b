/**
 * Clean-up records that no open migration answers for: what a crash, a takeover or a restored map has left behind. A copy
 * is removed only where the map names another owner and that owner has just said so itself: while it may be dead, what
 * looks like garbage may be the last copy.
 */

import { asEpoch, asNodeId, asPartitionId } from '../model/ids.ts';
import type { MigrationCommand, PartitionRecord } from '../model/migration.ts';
import type { CoordinatorParts } from './coordinator-parts.ts';
import { DecodeCache } from './records/decode-cache.ts';
import type { CleanupRecord } from './records/records.ts';
import type { MigrationSettings } from './settings.ts';

export interface Leftover {
  readonly key: string;
  readonly partitionId: number;
  readonly migrationId: number;
  readonly storeId: string;
  readonly revision: number;
  readonly cleanup: CleanupRecord;
}

/** The records are few, and nothing hurries: they are looked at this often. */
const LOOK_MS = 5_000;

/** @returns null for a key that names no clean-up. */
export function parseCleanupKey(
  key: string,
  cleanupPrefix: string,
): { readonly partitionId: number; readonly migrationId: number; readonly storeId: string } | null {
  const match = /^(\d+)\/(\d+)\/(.+)$/.exec(key.slice(cleanupPrefix.length));
  if (!match) return null;
  return { partitionId: Number(match[1]), migrationId: Number(match[2]), storeId: match[3] as string };
}

type LeftoverReading = Pick<CoordinatorParts, 'metadata' | 'codec' | 'logger'>;

const newCleanupCache = ({ codec, logger }: LeftoverReading): DecodeCache<CleanupRecord> =>
  new DecodeCache(
    ({ value }) => codec.decodeCleanup(value),
    (key, error) => logger.error({ key, error }, 'a clean-up record is not valid, it is passed over'),
  );

/** All clean-up records that are valid, or those of one partition. @param options.cache of whoever looks again and again. */
export async function listLeftovers(
  reading: LeftoverReading,
  {
    partitionId,
    cache = newCleanupCache(reading),
  }: { readonly partitionId?: number; readonly cache?: DecodeCache<CleanupRecord> } = {},
): Promise<Leftover[]> {
  const { cleanupPrefix, cleanupOf } = reading.codec.keys;
  const prefix = partitionId === undefined ? cleanupPrefix : cleanupOf(partitionId);
  const { entries } = await reading.metadata.list(prefix);
  const cleanups = cache.all(entries);
  return entries.flatMap(({ key, revision }, i) => {
    const named = parseCleanupKey(key, cleanupPrefix);
    const cleanup = cleanups[i] as CleanupRecord | null;
    return named && cleanup ? [{ key, revision, ...named, cleanup }] : [];
  });
}

/** What is to be done about a clean-up record, by the map. */
function leftoverState(
  { migrationId, storeId }: Pick<Leftover, 'migrationId' | 'storeId'>,
  record: PartitionRecord | null | undefined,
  isRetired: (storeId: string) => boolean,
): 'needed' | 'gone' | 'remove' | 'unknown' {
  if (!record) return 'unknown';
  if (record.migration?.migrationId === migrationId) return 'needed';
  // The disk is lost, or its owner is: nothing can be removed there, and nothing has to be.
  if (isRetired(storeId)) return 'gone';
  if (record.ownerStoreId === storeId) return 'gone';
  // One thing at a time: the open migration may have this very node as its target.
  if (record.migration !== null) return 'needed';
  return isRetired(record.ownerStoreId) ? 'unknown' : 'remove';
}

/** Whether a clean-up has waited for longer than any grace explains. */
export const isOverdue = ({ sinceMs }: CleanupRecord, settings: MigrationSettings, nowMs: number): boolean =>
  nowMs - sinceMs > settings.graceMs + settings.cleanupAlarmMs;

export class LeftoverSweeper {
  readonly #settings: MigrationSettings;
  readonly #components: CoordinatorParts;
  /** Told of once a coordinator. */
  readonly #alarmed = new Set<string>();
  readonly #cache: DecodeCache<CleanupRecord>;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #sweep: Promise<void> | null = null;

  constructor(settings: MigrationSettings, components: CoordinatorParts) {
    this.#settings = settings;
    this.#components = components;
    this.#cache = newCleanupCache(components);
  }

  /** Looks, now and then, in the background. Never throws. */
  tick(records: readonly (PartitionRecord | null)[], isRetired: (storeId: string) => boolean): void {
    const { clock, logger } = this.#components;
    const nowMs = clock.monotonicMs();
    if (this.#sweep || nowMs - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = nowMs;
    this.#sweep = this.#sweepOnce(records, isRetired)
      .catch((error) => logger.warn({ error: String(error) }, 'left-overs could not be looked at'))
      .finally(() => {
        this.#sweep = null;
      });
  }

  async settled(): Promise<void> {
    await this.#sweep;
  }

  async #sweepOnce(
    records: readonly (PartitionRecord | null)[],
    isRetired: (storeId: string) => boolean,
  ): Promise<void> {
    const { clock } = this.#components;
    for (const leftover of await listLeftovers(this.#components, { cache: this.#cache })) {
      const known = records[leftover.partitionId];
      // Read after the clean-up was: by the older map a migration that was opened since would look like a left-over, and
      // its copy, whole or not, would be dropped. Migrations are numbered, so one that is over by this reading stays so.
      const isSuspect = leftoverState(leftover, known, isRetired) !== 'needed';
      const record = isSuspect ? await this.#readRecord(leftover.partitionId) : known;
      const state = leftoverState(leftover, record, isRetired);
      if (isOverdue(leftover.cleanup, this.#settings, clock.nowMs())) this.#alarm(leftover, state);
      if (state === 'gone') await this.#forget(leftover);
      else if (state === 'remove' && record) await this.#remove(leftover, record);
    }
  }

  async #readRecord(partitionId: number): Promise<PartitionRecord | undefined> {
    const { metadata, codec } = this.#components;
    const entry = await metadata.get(codec.keys.map(partitionId));
    return entry && codec.decodePartition(partitionId, entry.value);
  }

  async #remove(leftover: Leftover, record: PartitionRecord): Promise<void> {
    const { engine, logger } = this.#components;
    const { partitionId, migrationId, storeId, cleanup } = leftover;
    if (cleanup.nodeId === undefined) return; // an old record: nobody knows where that store is
    const nodeId = asNodeId(cleanup.nodeId);
    const command: MigrationCommand = {
      partitionId: asPartitionId(partitionId),
      migrationId,
      epoch: asEpoch(record.epoch),
    };
    try {
      const owner = await engine.status(record.ownerNodeId, command);
      const isOwnerThere = owner.role === 'OWNER' && owner.epoch === record.epoch;
      if (!isOwnerThere) return;
      const isSameStore = (await engine.nodeStatistics(nodeId)).storeId === storeId;
      if (isSameStore && !(await engine.abort(nodeId, command))) return;
      // An abort drops what was being filled, and ends a deletion that had begun. A whole copy stays, and is an alarm: its
      // owner was given up by a takeover, and what that has lost may be here, so people look before anybody deletes it.
      const { role } = await engine.status(nodeId, command);
      if (isSameStore && (role === 'FOLLOWER' || role === 'FENCED')) return;
      logger.warn({ partitionId, migrationId, nodeId }, 'what a migration had left behind is removed');
      await this.#forget(leftover);
    } catch (error) {
      logger.debug({ partitionId, migrationId, error: String(error) }, 'a left-over waits for its node');
    }
  }

  async #forget({ key, revision }: Leftover): Promise<void> {
    await this.#components.committer.commit([{ key, revisionIs: revision }], [{ kind: 'delete', key }]);
  }

  #alarm({ key, partitionId, migrationId, cleanup }: Leftover, state: string): void {
    if (this.#alarmed.has(key)) return;
    this.#alarmed.add(key);
    this.#components.logger.error(
      { partitionId, migrationId, nodeId: cleanup.nodeId, kind: cleanup.kind, state },
      'a clean-up is overdue: what it names still takes space',
    );
  }
}
