/** What `foreshard migrations` tells: open migrations with what their nodes say, ended ones, and what is still to be removed. */
import { isOverdue, parseCleanupKey } from '../../../src/migration/leftovers.ts';
import { commandOf } from '../../../src/migration/node-work.ts';
import { isOpen, type OpenRecord } from '../../../src/migration/record-changes.ts';
import type { CleanupRecord, MigrationHistory } from '../../../src/migration/records.ts';
import type { MigrationSettings } from '../../../src/migration/settings.ts';
import type { MigrationPhase } from '../../../src/model/migration.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { StorageEngine } from '../../../src/ports/storage-engine.ts';
import { clusterKeys, decodeHistory, loadMap, recordCodec } from '../../metadata/cluster-map.ts';
import { asTime, counted } from '../units-text.ts';
import { orNothing } from './lenient.ts';

export interface OpenMigration {
  readonly partitionId: number;
  readonly migrationId: number;
  readonly kind: 'move' | 'rollback' | 'takeover';
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  readonly phase: MigrationPhase;
  readonly phaseSeconds: number;
  readonly isPaused: boolean;
  readonly readWeight: number;
  readonly reason: string;
  /** What the target has pulled, and what the source holds; null where the node did not say. */
  readonly copiedBytes: number | null;
  readonly sizeBytes: number | null;
  /** Until COPY is over, by its pace so far; null in other phases, or while there is no pace. */
  readonly etaSeconds: number | null;
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
  return {
    open: await Promise.all(open.map((record) => describeOpen(record, engine, nowMs))),
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

async function describeOpen(
  record: OpenRecord,
  engine: StorageEngine,
  nowMs: number,
): Promise<OpenMigration> {
  const { partitionId, migration } = record;
  const { phase, pausedAtMs } = migration;
  const [copiedBytes, sizeBytes] = await Promise.all([
    orNull(engine.status(migration.targetNodeId, commandOf(record)).then((status) => status.copiedBytes)),
    orNull(
      engine
        .nodeStatistics(migration.sourceNodeId)
        .then((statistics) => statistics.partitionBytes[partitionId] ?? null),
    ),
  ]);
  const phaseSeconds = Math.max(0, (pausedAtMs ?? nowMs) - migration.phaseAtMs) / 1000;
  const isCopying = phase === 'COPY' && pausedAtMs === undefined;
  return {
    partitionId,
    migrationId: migration.migrationId,
    kind: migration.kind ?? 'move',
    sourceNodeId: migration.sourceNodeId,
    targetNodeId: migration.targetNodeId,
    phase,
    phaseSeconds,
    isPaused: pausedAtMs !== undefined,
    readWeight: migration.readWeight,
    reason: migration.reason,
    copiedBytes,
    sizeBytes,
    etaSeconds: isCopying ? copyEtaSeconds({ copiedBytes, sizeBytes, phaseSeconds }) : null,
    wayBackSeconds: phase === 'GRACE' ? Math.max(0, migration.notBeforeMs - nowMs) / 1000 : null,
  };
}

const orNull = async <T>(question: Promise<T>): Promise<T | null> => question.catch(() => null);

/** What is left, at the pace so far. Null while there is no pace, or nobody knows the size. */
export function copyEtaSeconds({
  copiedBytes,
  sizeBytes,
  phaseSeconds,
}: {
  readonly copiedBytes: number | null;
  readonly sizeBytes: number | null;
  readonly phaseSeconds: number;
}): number | null {
  if (!copiedBytes || sizeBytes === null || phaseSeconds === 0) return null;
  return Math.max(0, sizeBytes - copiedBytes) / (copiedBytes / phaseSeconds);
}

export function reportLines({ open, ended, cleanups }: MigrationsReport, endedMax: number): string[] {
  const lines = [`${counted(open.length, 'migration')} open`, ...open.map(openLine)];
  lines.push(`${ended.length} ended${ended.length > endedMax ? `, the latest ${endedMax}` : ''}`);
  lines.push(...ended.slice(0, endedMax).map(endedLine));
  const overdue = cleanups.filter((cleanup) => cleanup.isOverdue);
  for (const { partitionId, migrationId, nodeId, storeId, sinceMs } of overdue)
    lines.push(
      `ALARM: what migration ${migrationId} of partition ${partitionId} left on ${nodeId === undefined ? `store ${storeId}` : `node ${nodeId}`} is not removed since ${asTime(sinceMs)}`,
    );
  return lines;
}

const ofKind = (kind: OpenMigration['kind'] | undefined): string =>
  kind === undefined || kind === 'move' ? '' : `${kind}, `;

function openLine(migration: OpenMigration): string {
  const { partitionId, migrationId, kind, sourceNodeId, targetNodeId, phase, phaseSeconds, reason } =
    migration;
  const facts = [`${phase} for ${secondsText(phaseSeconds)}`];
  if (migration.isPaused) facts.push('paused');
  if (migration.readWeight > 0)
    facts.push(`reads ${Math.round(migration.readWeight * 100)} % at node ${targetNodeId}`);
  if (phase === 'COPY' && migration.copiedBytes !== null)
    facts.push(
      `${mebibytes(migration.copiedBytes)}${migration.sizeBytes === null ? '' : ` of ${mebibytes(migration.sizeBytes)}`}`,
    );
  if (migration.etaSeconds !== null) facts.push(`about ${secondsText(migration.etaSeconds)} left`);
  if (migration.wayBackSeconds !== null)
    facts.push(`way back open for ${secondsText(migration.wayBackSeconds)}`);
  return `partition ${partitionId}, migration ${migrationId}: ${ofKind(kind)}node ${sourceNodeId} -> ${targetNodeId}, ${facts.join(', ')}: ${reason}`;
}

function endedLine(ended: MigrationHistory): string {
  const { partitionId, migrationId, sourceNodeId, targetNodeId, outcome, reason } = ended;
  const facts = [
    `after ${secondsText((ended.endedAtMs - ended.startedAtMs) / 1000)}`,
    mebibytes(ended.copiedBytes),
  ];
  if (ended.fenceSeconds !== null) facts.push(`writes waited ${Math.round(ended.fenceSeconds * 1000)} ms`);
  if (ended.fenceLsn !== null) facts.push(`lsn ${ended.fenceLsn}`);
  const where = ended.abortedIn === undefined ? '' : ` in ${ended.abortedIn}`;
  const next = ended.continuedBy === undefined ? '' : `, goes on as migration ${ended.continuedBy}`;
  const opened = ended.openedFor === undefined ? '' : ` (it was opened for: ${ended.openedFor})`;
  return `${asTime(ended.endedAtMs)} partition ${partitionId}, migration ${migrationId}: ${ofKind(ended.kind)}node ${sourceNodeId} -> ${targetNodeId}, ${outcome}${where} ${facts.join(', ')}${next}: ${reason}${opened}`;
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const secondsText = (seconds: number): string =>
  seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
