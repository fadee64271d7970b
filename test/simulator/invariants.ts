/**
 * What must hold at every step. I1 to I15 are those of the protocol's design; where each is looked at:
 *
 *   I1   one owner at a time, and one an epoch       RoleChecks.roleChanged
 *   I2   an owner's epoch is the map's               RoleChecks.roleChanged, MapChecks (no owner is left behind by a switch)
 *   I3   epochs, migration numbers, lsns never fall  RoleChecks.roleChanged, MapChecks, History.wrote
 *   I4   the fence is durable before FENCED          MapChecks
 *   I5   nothing is written behind the fence         RoleChecks.wrote, History.checkOwner
 *   I6   the copy is whole at SWITCHED               MapChecks
 *   I7   the owner changes in the switch alone, or   MapChecks
 *        in a takeover
 *   I8   a staging copy is seen by nobody            SimClient (a read it answers must be right); KEYS, SCAN and expiry are
 *                                                    commands of the engine, which the simulation does not have
 *   I9   what was acknowledged is at every owner     History.checkOwner, when one becomes it; linearizability at the end
 *   I10  deletion in RETIRED only (or an abandoned   RoleChecks.deleted
 *        copy)
 *   I11  no acknowledgement after a commit error     RoleChecks.acknowledged
 *   I12  a session's token <= lsn of what answers    SimClient
 *   I13  the map has one valid record a partition    MapChecks (none is deleted, each decodes), checkEnd
 *   I14  no cleanup record is left                   checkEnd
 *   I15  ABORT and SWITCHED never of one migration   MapChecks
 *
 * Beside them: a target that loses all reads gets no more of them (MapChecks), no copy is faster than its limit (CopyLimits), a retired store never becomes an owner's (MapChecks), and nothing of one is left in the end (World); digests differ only where a disk of the simulation has torn an entry.
 */
import type { RecordCodec } from '../../src/migration/records/records.ts';
import type { MigrationRecord, PartitionRecord } from '../../src/model/migration.ts';
import type { MetadataEntry } from '../../src/ports/metadata-store.ts';
import type { PartitionMeta } from '../../src/ports/partition-store.ts';
import type { DiskPartition } from '../support/memory-partition-store.ts';
import { decodeValue, type History } from './history.ts';
import { partitionOfKey } from './map-records.ts';

export interface CheckedWorld {
  readonly codec: RecordCodec;
  readonly history: History;
  readonly nodeCount: number;
  /** What is on a node's disk. */
  readonly onDisk: (nodeId: number, partitionId: number) => DiskPartition | undefined;
  readonly recordOf: (partitionId: number) => PartitionRecord | null;
  readonly keysOf: (partitionId: number) => readonly string[];
  readonly hasFailed: (nodeId: number) => boolean;
  /** The machine is gone, and nothing can be looked at there. */
  readonly isLost: (nodeId: number) => boolean;
  /** It will never start again, though its disk may be there. */
  readonly isGone: (nodeId: number) => boolean;
  readonly isRetired: (storeId: string) => boolean;
  readonly takenOver: (record: PartitionRecord) => void;
  /** How many reads at a migration's target were lost in that time, if all were; 0 where faults may keep that from the coordinator. */
  readonly lostReads: (partitionId: number, migrationId: number, span: readonly [number, number]) => number;
  readonly nowMs: () => number;
  readonly violate: (what: string) => void;
}

/** Roles and numbers of one partition over all disks, at every change of any. */
export class RoleChecks {
  readonly #world: CheckedWorld;
  readonly #ownersEver = new Map<string, number>();

  constructor(world: CheckedWorld) {
    this.#world = world;
  }

  roleChanged(nodeId: number, partitionId: number, before: PartitionMeta, after: PartitionMeta): void {
    const violate = (what: string): void =>
      this.#world.violate(`partition ${partitionId} at node ${nodeId}: ${what}`);
    if (after.epochMax < before.epochMax) violate(`the highest epoch fell to ${after.epochMax}`);
    if (after.closedMigrationId < before.closedMigrationId) violate('a closed migration is open again');
    if (after.lsn < before.lsn) violate(`the lsn fell from ${before.lsn} to ${after.lsn}`);
    if (after.role !== 'OWNER' || (before.role === 'OWNER' && before.epoch === after.epoch)) return;
    this.#ownerMade(nodeId, partitionId, after, violate);
  }

  #ownerMade(
    nodeId: number,
    partitionId: number,
    { epoch, lsn }: PartitionMeta,
    violate: (what: string) => void,
  ): void {
    const { nodeCount, onDisk, recordOf, history, keysOf } = this.#world;
    for (let other = 0; other < nodeCount; other++)
      if (other !== nodeId && onDisk(other, partitionId)?.meta.role === 'OWNER')
        violate(`two owners: nodes ${other} and ${nodeId}`);
    const ofEpoch = `${partitionId}@${epoch}`;
    const first = this.#ownersEver.get(ofEpoch) ?? nodeId;
    this.#ownersEver.set(ofEpoch, first);
    if (first !== nodeId) violate(`epoch ${epoch} was owned by node ${first} already`);
    const record = recordOf(partitionId);
    if (record && record.epoch !== epoch) violate(`owner at epoch ${epoch}, the map is at ${record.epoch}`);
    const entries = onDisk(nodeId, partitionId)?.entries;
    history.checkOwner(partitionId, lsn, keysOf(partitionId), (name) => decodeValue(entries?.get(name)));
  }

  wrote(nodeId: number, partitionId: number): void {
    const role = this.#world.onDisk(nodeId, partitionId)?.meta.role;
    if (role !== 'OWNER')
      this.#world.violate(`partition ${partitionId} at node ${nodeId}: a client wrote to it as ${role}`);
  }

  deleted(nodeId: number, partitionId: number, { role, staging, closedMigrationId }: PartitionMeta): void {
    const isAbandoned = role === 'STAGING' && (staging?.migrationId ?? 0) <= closedMigrationId;
    if (role !== 'RETIRED' && !isAbandoned)
      this.#world.violate(`partition ${partitionId} at node ${nodeId}: entries of ${role} were removed`);
  }

  acknowledged(nodeId: number): void {
    if (this.#world.hasFailed(nodeId))
      this.#world.violate(`node ${nodeId} acknowledges after a commit error`);
  }
}

/** Windows of the guard, looks of the coordinator and commits that may pass before it acts, and some to spare. */
const GUARD_MS = 250;
/** So many the guard judges though others are too few. */
const LOST_READS_MIN = 6;

/** What the map may become. */
export class MapChecks {
  readonly #world: CheckedWorld;
  readonly #onPhase: (partitionId: number, migration: MigrationRecord) => void;
  readonly #outcomes = new Map<string, 'SWITCHED' | 'ABORT'>();
  /** `partition/migration` of copies of which a disk has lost something. */
  readonly #torn = new Set<string>();
  /** When the present read weight of a migration was set, by `partition/migration`. */
  readonly #weighedMs = new Map<string, number>();
  switchCount = 0;
  abortCount = 0;
  openCount = 0;

  constructor(world: CheckedWorld, onPhase: (partitionId: number, migration: MigrationRecord) => void) {
    this.#world = world;
    this.#onPhase = onPhase;
  }

  torn(partitionId: number, migrationId: number): void {
    this.#torn.add(`${partitionId}/${migrationId}`);
  }

  changed(key: string, entry: MetadataEntry | undefined, value: Uint8Array | null): void {
    const { codec, violate } = this.#world;
    if (!key.startsWith(codec.keys.mapPrefix) || !entry) return;
    const partitionId = partitionOfKey(codec, key);
    if (value === null) {
      violate(`the record of partition ${partitionId} was deleted`);
      return;
    }
    const before = codec.decodePartition(partitionId, entry.value);
    const after = codec.decodePartition(partitionId, value);
    this.openCount += (after.migration ? 1 : 0) - (before.migration ? 1 : 0);
    this.#recordChanged(before, after, (what) => violate(`map of partition ${partitionId}: ${what}`));
    if (after.migration && after.migration.phase !== before.migration?.phase)
      this.#onPhase(partitionId, after.migration);
  }

  #recordChanged(before: PartitionRecord, after: PartitionRecord, violate: (what: string) => void): void {
    if (after.migrationSeq < before.migrationSeq || after.epoch < before.epoch) violate('a number went back');
    const phase = after.migration?.phase;
    const isSwitch = phase === 'SWITCHED' && before.migration?.phase === 'FENCED';
    const isTakeover = phase === 'SWITCHED' && after.migration?.kind === 'takeover';
    if (before.ownerNodeId !== after.ownerNodeId && !isSwitch && !isTakeover)
      violate('the owner changed outside the switch');
    if (before.ownerStoreId !== after.ownerStoreId && this.#world.isRetired(after.ownerStoreId))
      violate(`store ${after.ownerStoreId} is retired, and becomes the owner's`);
    if (phase === 'FENCED' && before.migration?.phase !== 'FENCED') this.#fenceRecorded(after, violate);
    if (isSwitch || isTakeover) this.#switched(after, violate);
    if (isTakeover && before.migration?.phase !== 'SWITCHED') this.#world.takenOver(after);
    this.#checkReason(before, after, violate);
    this.#checkGuard(before, after, violate);
    if (phase !== 'SWITCHED' && phase !== 'ABORT') return;
    if (phase === 'ABORT' && before.migration?.phase !== 'ABORT') this.abortCount++;
    const migration = `${after.partitionId}/${after.migration?.migrationId}`;
    const outcome = this.#outcomes.get(migration) ?? phase;
    this.#outcomes.set(migration, outcome);
    if (outcome !== phase) violate(`migration ${migration} was both switched and aborted`);
  }

  /** Reads are not given to a target, nor writes, that has lost all that were sent there since the last step. */
  #checkGuard(before: PartitionRecord, after: PartitionRecord, violate: (what: string) => void): void {
    const [old, now] = [before.migration, after.migration];
    if (now?.phase !== 'SHIFT' && now?.phase !== 'FENCING') return;
    const name = `${after.partitionId}/${now.migrationId}`;
    const isStep = old?.phase !== now.phase || old.readWeight !== now.readWeight;
    if (!isStep) return;
    const [nowMs, sinceMs] = [this.#world.nowMs(), this.#weighedMs.get(name) ?? Number.POSITIVE_INFINITY];
    this.#weighedMs.set(name, nowMs);
    if (old?.phase !== 'SHIFT' || old.readWeight === 0 || now.readWeight < old.readWeight) return;
    const lost = this.#world.lostReads(after.partitionId, now.migrationId, [sinceMs, nowMs - GUARD_MS]);
    if (lost >= LOST_READS_MIN)
      violate(`${lost} reads in a row were lost at the target, and it gets ${now.phase} ${now.readWeight}`);
  }

  #fenceRecorded({ partitionId, migration }: PartitionRecord, violate: (what: string) => void): void {
    const sourceNodeId = migration?.sourceNodeId ?? -1;
    if (this.#world.isLost(sourceNodeId)) return;
    const source = this.#world.onDisk(sourceNodeId, partitionId)?.meta;
    const isDurable = source?.role === 'FENCED' && source.fence?.migrationId === migration?.migrationId;
    if (!isDurable) violate(`FENCED, and the source is ${source?.role}`);
    else if (source.fence?.lsn !== migration?.fenceLsn)
      violate(`the fence is not at lsn ${migration?.fenceLsn}`);
  }

  #switched({ partitionId, migration, epoch }: PartitionRecord, violate: (what: string) => void): void {
    const { nodeCount, onDisk } = this.#world;
    this.switchCount++;
    for (let nodeId = 0; nodeId < nodeCount; nodeId++)
      if (onDisk(nodeId, partitionId)?.meta.role === 'OWNER')
        violate(`SWITCHED to epoch ${epoch}, and node ${nodeId} is still the owner`);
    const targetNodeId = migration?.targetNodeId ?? -1;
    const target = onDisk(targetNodeId, partitionId)?.meta;
    if (!this.#world.isLost(targetNodeId) && target?.lsn !== migration?.fenceLsn)
      violate(`SWITCHED, and the copy stands at lsn ${target?.lsn}, the fence at ${migration?.fenceLsn}`);
  }

  #checkReason(
    before: PartitionRecord,
    { partitionId, migration }: PartitionRecord,
    violate: (what: string) => void,
  ) {
    if (!migration || migration.reason === before.migration?.reason) return;
    if (this.#torn.has(`${partitionId}/${migration.migrationId}`)) return;
    if (/verification|digest|beyond the fence|mirrored/.test(migration.reason)) violate(migration.reason);
  }
}

/** I13, I14, and that nothing is left of any migration: once all is healed and stable. */
export function checkEnd(world: CheckedWorld, partitionIds: readonly number[], keys: Iterable<string>): void {
  const { codec, nodeCount, onDisk, recordOf, isGone, violate } = world;
  for (const partitionId of partitionIds) {
    const owner = recordOf(partitionId)?.ownerNodeId;
    for (let nodeId = 0; nodeId < nodeCount; nodeId++) {
      if (isGone(nodeId)) continue;
      const partition = onDisk(nodeId, partitionId);
      const where = `partition ${partitionId} at node ${nodeId}`;
      const expected = nodeId === owner ? 'OWNER' : 'NONE';
      const role = partition?.meta.role ?? 'NONE';
      if (role !== expected) violate(`${where} is ${role}, the map says ${expected}`);
      if (expected === 'NONE' && (partition?.entries.size ?? 0) > 0) violate(`${where} has left entries`);
      if (partition?.isLogging) violate(`${where} still keeps a change log`);
    }
  }
  const left = [...keys].filter((key) => key.startsWith(codec.keys.cleanupPrefix));
  if (left.length > 0) violate(`cleanup records are left: ${left.join(', ')}`);
}
