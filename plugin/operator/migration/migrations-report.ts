/** What `foreshard migrations` tells: open migrations with what their nodes say, ended ones, and what is still to be removed. */

import { isOverdue, parseCleanupKey } from '../../../src/migration/leftovers.ts';
import { commandOf } from '../../../src/migration/node-work.ts';
import { isSwitched } from '../../../src/migration/phases.ts';
import { etaOf } from '../../../src/migration/progress/eta.ts';
import type { MigrationProgress } from '../../../src/migration/progress/progress.ts';
import type { ReadSummary } from '../../../src/migration/reads/read-watch.ts';
import { isOpen, type OpenRecord } from '../../../src/migration/records/record-changes.ts';
import type { CleanupRecord, MigrationHistory } from '../../../src/migration/records/records.ts';
import type { MigrationSettings } from '../../../src/migration/settings.ts';
import { migrationName } from '../../../src/model/migration.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { StorageEngine } from '../../../src/ports/storage-engine.ts';
import { readOpenSlotMoves, type SlotMoveRecord } from '../../engines/redis-cluster/moves/move-record.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { loadMap } from '../../metadata/cluster-map.ts';
import { orNothing } from '../../metadata/json-values.ts';
import {
  decodeReadReport,
  type MigrationReads,
  readReportPrefix,
  summariseReads,
} from '../../metadata/read-report.ts';
import { decodeHistory, recordCodec } from '../../metadata/record-codec.ts';
import { type Pauses, readPauses } from '../held-back.ts';
import { asTime, counted } from '../units-text.ts';

export interface OpenMigration extends MigrationProgress {
  readonly phaseSeconds: number;
  /** How often a guard has taken the reads back. */
  readonly guardReds: number;
  /** Why it last did; null where none has. */
  readonly guardReason: string | null;
  /** In SHIFT: how reads at the target fare; null where no query node has published any. */
  readonly reads: Omit<ReadSummary, 'redReason'> | null;
  /** In GRACE: until the old copy may be removed, and with it the way back. */
  readonly wayBackSeconds: number | null;
}

export interface Cleanup extends CleanupRecord {
  readonly partitionId: number;
  readonly migrationId: number;
  readonly storeId: string;
  readonly isOverdue: boolean;
}

export interface MigrationsReport {
  readonly atMs: number;
  readonly open: readonly OpenMigration[];
  /** The latest first. */
  readonly ended: readonly MigrationHistory[];
  readonly cleanups: readonly Cleanup[];
}

export interface ReportOptions {
  readonly clusterName: string;
  readonly settings: MigrationSettings;
  readonly partitionId: number | null;
  readonly nowMs: number;
}

export async function gatherReport(
  metadata: MetadataStore,
  engine: StorageEngine,
  options: ReportOptions,
): Promise<MigrationsReport> {
  const { clusterName, partitionId, nowMs } = options;
  const isAsked = (id: number): boolean => partitionId === null || id === partitionId;
  const { records } = await loadMap(metadata, clusterName);
  const open = records.filter(isOpen).filter((record) => isAsked(record.partitionId));
  const history = await metadata.list(clusterKeys(clusterName).historyPrefix);
  const reports = await readReports(metadata, clusterName);
  const slotMoves = await readOpenSlotMoves(metadata, clusterName);
  const pauses = await readPauses(metadata, clusterName);
  const described = await Promise.all(
    open.map(async (record) => ({
      ...(await describeOpen(record, engine, options)),
      reads: readsOf(record, reports),
    })),
  );
  return {
    atMs: nowMs,
    open: [
      ...described,
      ...slotMoves
        .filter((move) => isAsked(move.partitionId))
        .map((move) => describeSlotMove(move, pauses, nowMs)),
    ],
    ended: history.entries
      .flatMap(({ value }) => orNothing(() => decodeHistory(value)))
      .filter((ended) => isAsked(ended.partitionId))
      .sort((a, b) => b.endedAtMs - a.endedAtMs),
    cleanups: (await readCleanups(metadata, options)).filter((cleanup) => isAsked(cleanup.partitionId)),
  };
}

async function readCleanups(
  metadata: MetadataStore,
  { clusterName, settings, nowMs }: ReportOptions,
): Promise<Cleanup[]> {
  const codec = recordCodec(clusterName);
  const { entries } = await metadata.list(codec.keys.cleanupPrefix);
  return entries.flatMap(({ key, value }) => {
    const named = parseCleanupKey(key, codec.keys.cleanupPrefix);
    return orNothing(() => codec.decodeCleanup(value)).flatMap((cleanup) =>
      named ? [{ ...named, ...cleanup, isOverdue: isOverdue(cleanup, settings, nowMs) }] : [],
    );
  });
}

async function readReports(metadata: MetadataStore, clusterName: string): Promise<MigrationReads[]> {
  const { entries } = await metadata.list(readReportPrefix(clusterName));
  return entries
    .flatMap(({ key, value }) => orNothing(() => decodeReadReport(key, value)))
    .flatMap(({ migrations }) => migrations);
}

function readsOf(
  { partitionId, migration }: OpenRecord,
  reports: readonly MigrationReads[],
): OpenMigration['reads'] {
  const reads = reports.filter(
    (of) => of.partitionId === partitionId && of.migrationId === migration.migrationId,
  );
  if (reads.length === 0) return null;
  const { redReason: _, ...summary } = summariseReads(reads, {
    readWeight: migration.readWeight,
    redReason: null,
  });
  return summary;
}

async function describeOpen(
  record: OpenRecord,
  engine: StorageEngine,
  { settings, nowMs }: ReportOptions,
): Promise<Omit<OpenMigration, 'reads'>> {
  const { partitionId, migration } = record;
  const { phase, pausedAtMs, sourceNodeId, targetNodeId } = migration;
  const command = commandOf(record);
  const [source, target, statistics] = await Promise.all([
    orNull(engine.status(sourceNodeId, command)),
    orNull(engine.status(targetNodeId, command)),
    orNull(engine.nodeStatistics(isSwitched(phase) ? targetNodeId : sourceNodeId)),
  ]);
  const isPulling = phase === 'COPY' || phase === 'CATCHUP';
  const pace = (isPulling && target?.copy) || null;
  const sizeBytes = statistics?.partitionBytes[partitionId] ?? null;
  const copiedBytes = target?.copiedBytes ?? null;
  const lagEntries = source && target ? Math.max(0, source.lsn - target.lsn) : null;
  // One look says nothing of rates: what is behind and how fast it shrinks is the coordinator's to judge.
  const facts = { copiedBytes, sizeBytes, lagEntries, writeRate: null, applyRate: null };
  return {
    partitionId,
    migrationId: migration.migrationId,
    kind: migration.kind ?? 'move',
    sourceNodeId,
    targetNodeId,
    phase,
    phaseSeconds: Math.max(0, (pausedAtMs ?? nowMs) - migration.phaseAtMs) / 1000,
    isPaused: pausedAtMs !== undefined,
    readWeight: migration.readWeight,
    guardReds: migration.guardReds ?? 0,
    guardReason: migration.guardReason ?? null,
    reason: migration.reason,
    copiedBytes,
    sizeBytes,
    bytesPerSecond: pace?.bytesPerSecond ?? null,
    limitBytesPerSecond: pace?.limitBytesPerSecond ?? null,
    paceReason: pace?.reason ?? null,
    eta: etaOf(record, facts, { settings, nowMs }),
    wayBackSeconds: phase === 'GRACE' ? Math.max(0, migration.notBeforeMs - nowMs) / 1000 : null,
  };
}

/** A partition of Redis Cluster on its way: what has been handed over is told by its slots. */
function describeSlotMove(move: SlotMoveRecord, pauses: Pauses, nowMs: number): OpenMigration {
  const { partitionId, firstSlot, lastSlot, movedSlots = 0, sizeBytes, startedAtMs, cancelledFor } = move;
  const movedShare = movedSlots / (lastSlot - firstSlot + 1);
  const elapsedSeconds = Math.max(0, nowMs - startedAtMs) / 1000;
  const leftSeconds = movedShare > 0 ? (elapsedSeconds * (1 - movedShare)) / movedShare : null;
  return {
    partitionId,
    migrationId: move.moveId,
    kind: 'move',
    sourceNodeId: move.sourceNodeId,
    targetNodeId: move.targetNodeId,
    phase: 'COPY',
    phaseSeconds: elapsedSeconds,
    isPaused: pauses.isPaused || pauses.pausedPartitionIds.includes(partitionId),
    readWeight: 0,
    guardReds: 0,
    guardReason: null,
    reason: cancelledFor === null ? move.reason : `cancelled: ${cancelledFor}`,
    copiedBytes: Math.round(sizeBytes * movedShare),
    sizeBytes,
    bytesPerSecond: null,
    limitBytesPerSecond: null,
    paceReason: null,
    // Each slot is handed over by itself: there is no one moment of hand-over.
    eta: { phaseSeconds: leftSeconds, handOverSeconds: null, endSeconds: leftSeconds },
    wayBackSeconds: null,
    reads: null,
  };
}

const orNull = async <T>(question: Promise<T>): Promise<T | null> => question.catch(() => null);

export function reportLines({ open, ended, cleanups }: MigrationsReport, endedMax: number): string[] {
  const lines = [
    `${counted(open.length, 'migration')} open`,
    ...open.map((migration) => openLine(migration)),
  ];
  lines.push(`${ended.length} ended${ended.length > endedMax ? `, the latest ${endedMax}` : ''}`);
  lines.push(...ended.slice(0, endedMax).map(endedLine));
  const overdue = cleanups.filter((cleanup) => cleanup.isOverdue);
  for (const { partitionId, migrationId, nodeId, storeId, sinceMs } of overdue)
    lines.push(
      `ALARM: what migration ${migrationName({ partitionId, migrationId })} left on ${nodeId === undefined ? `store ${storeId}` : `node ${nodeId}`} is not removed since ${asTime(sinceMs)}`,
    );
  return lines;
}

const ofKind = (kind: OpenMigration['kind'] | undefined): string =>
  kind === undefined || kind === 'move' ? '' : `${kind}, `;

/** @param from stands before the phase. */
export function openLine(
  migration: MigrationProgress & Partial<OpenMigration>,
  { from = '' }: { readonly from?: string } = {},
): string {
  const { partitionId, kind, sourceNodeId, targetNodeId, phase, phaseSeconds, reason } = migration;
  const facts = [`${from}${phase}${phaseSeconds === undefined ? '' : ` for ${secondsText(phaseSeconds)}`}`];
  if (migration.isPaused) facts.push('paused');
  if (migration.readWeight > 0)
    facts.push(`reads ${Math.round(migration.readWeight * 100)} % at node ${targetNodeId}`);
  if (migration.guardReds) {
    const why = migration.guardReason ? ` (${migration.guardReason})` : '';
    facts.push(`reads taken back ${counted(migration.guardReds, 'time')}${why}`);
  }
  if (phase === 'SHIFT' && migration.reads) facts.push(readsText(migration.reads));
  if (phase === 'COPY' && migration.copiedBytes !== null)
    facts.push(
      `${mebibytes(migration.copiedBytes)}${migration.sizeBytes === null ? '' : ` of ${mebibytes(migration.sizeBytes)}`}`,
    );
  facts.push(...paceFacts(migration), ...etaFacts(migration));
  if (migration.wayBackSeconds != null)
    facts.push(`way back open for ${secondsText(migration.wayBackSeconds)}`);
  return `migration ${migrationName(migration)}: ${ofKind(kind)}partition ${partitionId}, node ${sourceNodeId} -> ${targetNodeId}, ${facts.join(', ')}: ${reason}`;
}

function paceFacts({ bytesPerSecond, limitBytesPerSecond, paceReason }: MigrationProgress): string[] {
  if (bytesPerSecond === null || limitBytesPerSecond === null) return [];
  const pace = `${mebibytes(bytesPerSecond)}/s of ${mebibytes(limitBytesPerSecond)}/s allowed`;
  return [paceReason ? `${pace} (${paceReason})` : pace];
}

function etaFacts({
  phase,
  eta: { phaseSeconds, handOverSeconds, endSeconds },
}: MigrationProgress): string[] {
  const facts: string[] = [];
  if (phaseSeconds !== null && phase !== 'GRACE') facts.push(`about ${secondsText(phaseSeconds)} left`);
  if (handOverSeconds !== null) facts.push(`hand-over in ${secondsText(handOverSeconds)}`);
  if (endSeconds !== null) facts.push(`over in ${secondsText(endSeconds)}`);
  return facts;
}

function readsText(reads: NonNullable<OpenMigration['reads']>): string {
  const p99 = (latencyMs: number | null): string =>
    latencyMs === null ? '' : ` with a p99 of ${latencyMs.toFixed(1)} ms`;
  const failed = reads.targetErrorCount > 0 ? `, ${reads.targetErrorCount} of them failed or late` : '';
  const unequal = reads.shadowUnequalCount > 0 ? `, ${reads.shadowUnequalCount} of them unequal` : '';
  return (
    `${counted(reads.targetReadCount, 'read')} at the target${p99(reads.targetP99Ms)}${failed}, ` +
    `${reads.sourceReadCount} at the source${p99(reads.sourceP99Ms)}, ${reads.shadowComparedCount} compared${unequal}`
  );
}

export function endedLine(ended: MigrationHistory): string {
  const { partitionId, sourceNodeId, targetNodeId, outcome, reason } = ended;
  const facts = [
    `after ${secondsText((ended.endedAtMs - ended.startedAtMs) / 1000)}`,
    mebibytes(ended.copiedBytes),
  ];
  if (ended.fenceSeconds !== null) facts.push(`writes waited ${Math.round(ended.fenceSeconds * 1000)} ms`);
  if (ended.fenceLsn !== null) facts.push(`lsn ${ended.fenceLsn}`);
  const where = ended.abortedIn === undefined ? '' : ` in ${ended.abortedIn}`;
  const next =
    ended.continuedBy === undefined
      ? ''
      : `, goes on as migration ${migrationName({ partitionId, migrationId: ended.continuedBy })}`;
  const opened = ended.openedFor === undefined ? '' : ` (it was opened for: ${ended.openedFor})`;
  return `${asTime(ended.endedAtMs)} migration ${migrationName(ended)}: ${ofKind(ended.kind)}partition ${partitionId}, node ${sourceNodeId} -> ${targetNodeId}, ${outcome}${where} ${facts.join(', ')}${next}: ${reason}${opened}`;
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const secondsText = (seconds: number): string =>
  seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
