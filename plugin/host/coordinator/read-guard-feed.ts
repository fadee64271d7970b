import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import {
  addCounts,
  forgetReads,
  type GuardMemory,
  judgeReads,
  NEW_GUARD_MEMORY,
  type ReadSample,
  type ReadVerdict,
} from '../../../src/migration/reads/read-guard.ts';
import type { ReadGuardSettings } from '../../../src/migration/reads/read-guard-settings.ts';
import type { ReadSummary, ReadWatch } from '../../../src/migration/reads/read-watch.ts';
import type { OpenRecord } from '../../../src/migration/step.ts';
import type { NodeId } from '../../../src/model/ids.ts';
import type { NodePressure, StorageEngine } from '../../../src/ports/storage-engine.ts';
import { type MigrationReads, summariseReads } from '../../metadata/read-report.ts';
import type { KeyedReport, ReadReports } from './read-reports.ts';

export interface ReadGuardFeedComponents {
  readonly reports: Pick<ReadReports, 'read'>;
  readonly engine: Pick<StorageEngine, 'nodeStatistics'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What is known of a node's load is a second old as it is. */
const PRESSURE_MS = 500;
const GREEN: ReadVerdict = { kind: 'green' };

/** What has been learnt of one migration. */
interface Watched {
  readonly migrationId: number;
  readWeight: number;
  memory: GuardMemory;
  verdict: ReadVerdict;
  nextLookMs: number;
  /** Counts of each query node's life when they were looked at last. */
  readonly seen: Map<string, MigrationReads>;
  reports: readonly MigrationReads[];
}

/**
 * Feeds the executor's guard: adds up what all query nodes have published of a migration's reads since it was looked at
 * last, asks the target how busy it is, and lets `judgeReads` decide. Nothing of it is kept that matters: a coordinator
 * that takes over begins with all that is published, as if it were one window.
 */
export class ReadGuardFeed implements ReadWatch {
  readonly #settings: ReadGuardSettings;
  readonly #components: ReadGuardFeedComponents;
  readonly #watched = new Map<number, Watched>();
  readonly #pressureOf = new Map<number, { readonly askedMs: number; pressure: NodePressure | null }>();

  constructor(settings: ReadGuardSettings, components: ReadGuardFeedComponents) {
    this.#settings = settings;
    this.#components = components;
  }

  async verdictOf(record: OpenRecord, lagEntries: number): Promise<ReadVerdict> {
    const { clock } = this.#components;
    const watched = this.#watchedOf(record);
    if (clock.monotonicMs() < watched.nextLookMs) return watched.verdict;
    watched.nextLookMs = clock.monotonicMs() + this.#settings.windowMs;
    const { targetNodeId, sourceNodeId } = record.migration;
    const load = this.#pressure(targetNodeId);
    const sourceLoad = this.#pressure(sourceNodeId);
    const reports = await this.#components.reports.read();
    if (reports === null) return watched.verdict;
    const before = watched.verdict;
    const sample = this.#sampleOf(record, watched, { reports, lagEntries, load, sourceLoad });
    ({ memory: watched.memory, verdict: watched.verdict } = judgeReads(
      watched.memory,
      sample,
      this.#settings,
    ));
    this.#tellChange(record, before, watched.verdict);
    return watched.verdict;
  }

  summaryOf(partitionId: number, migrationId: number): ReadSummary | null {
    const watched = this.#watched.get(partitionId);
    if (watched?.migrationId !== migrationId) return null;
    const { readWeight, reports, memory } = watched;
    return summariseReads(reports, { readWeight, redReason: memory.redReason });
  }

  #watchedOf({ partitionId, migration }: OpenRecord): Watched {
    const { migrationId, readWeight } = migration;
    let watched = this.#watched.get(partitionId);
    if (watched?.migrationId !== migrationId) {
      watched = {
        migrationId,
        readWeight,
        memory: NEW_GUARD_MEMORY,
        verdict: GREEN,
        nextLookMs: Number.NEGATIVE_INFINITY,
        seen: new Map(),
        reports: [],
      };
      this.#watched.set(partitionId, watched);
    }
    if (watched.readWeight !== readWeight) {
      watched.readWeight = readWeight;
      watched.memory = forgetReads(watched.memory);
    }
    return watched;
  }

  #sampleOf(
    { partitionId }: OpenRecord,
    watched: Watched,
    known: {
      readonly reports: readonly KeyedReport[];
      readonly lagEntries: number;
      readonly load: NodePressure | null;
      readonly sourceLoad: NodePressure | null;
    },
  ): ReadSample {
    let [source, target, shadow] = [NO_READS, NO_READS, NO_SHADOWS];
    const reports: MigrationReads[] = [];
    for (const [nodeKey, { migrations }] of known.reports) {
      const reads = migrations.find(
        (entry) => entry.partitionId === partitionId && entry.migrationId === watched.migrationId,
      );
      if (reads === undefined) continue;
      reports.push(reads);
      const key = `${nodeKey}@${reads.openedAtMs}`;
      const before = watched.seen.get(key);
      watched.seen.set(key, reads);
      source = addSince(
        source,
        { ...reads.source, behindCount: 0 },
        before && { ...before.source, behindCount: 0 },
      );
      target = addSince(target, reads.target, before?.target);
      // Not since the last look: one unequal answer condemns the copy, whoever was the coordinator when it came.
      shadow = {
        comparedCount: shadow.comparedCount + reads.shadow.comparedCount,
        unequalCount: shadow.unequalCount + reads.shadow.unequalCount,
        evidence: shadow.evidence === '' ? reads.shadow.evidence : shadow.evidence,
      };
    }
    watched.reports = reports;
    const { lagEntries, load, sourceLoad } = known;
    return { source, target, shadow, lagEntries, load, sourceLoad };
  }

  /** As it was told last; asked for anew without waiting, since a node that does not answer is just what this is about. */
  #pressure(nodeId: NodeId): NodePressure | null {
    const { engine, clock } = this.#components;
    const known = this.#pressureOf.get(nodeId) ?? { askedMs: Number.NEGATIVE_INFINITY, pressure: null };
    if (clock.monotonicMs() - known.askedMs < PRESSURE_MS) return known.pressure;
    const asked = { ...known, askedMs: clock.monotonicMs() };
    this.#pressureOf.set(nodeId, asked);
    engine.nodeStatistics(nodeId).then(
      ({ pressure = null }) => {
        asked.pressure = pressure;
      },
      // A node that does not answer is the executor's business, which asks it for its status all the time.
      () => {
        asked.pressure = null;
      },
    );
    return known.pressure;
  }

  #tellChange({ partitionId, migration }: OpenRecord, before: ReadVerdict, now: ReadVerdict): void {
    if (before.kind === now.kind) return;
    const fields = { partitionId, migrationId: migration.migrationId, readWeight: migration.readWeight };
    const { logger } = this.#components;
    if (now.kind === 'green') logger.info(fields, 'the guard of reads at a target is green again');
    else logger.warn({ ...fields, reason: now.reason }, 'the guard of reads at a target is red');
  }
}

const NO_READS = { readCount: 0, errorCount: 0, behindCount: 0, latencyCounts: [] as readonly number[] };
const NO_SHADOWS = { comparedCount: 0, unequalCount: 0, evidence: '' };

function addSince(
  sum: typeof NO_READS,
  now: MigrationReads['target'],
  before: MigrationReads['target'] | undefined,
): typeof NO_READS {
  return {
    readCount: sum.readCount + now.readCount - (before?.readCount ?? 0),
    errorCount: sum.errorCount + now.errorCount - (before?.errorCount ?? 0),
    behindCount: sum.behindCount + now.behindCount - (before?.behindCount ?? 0),
    latencyCounts: addCounts(
      sum.latencyCounts,
      now.latencyCounts.map((count, i) => count - (before?.latencyCounts[i] ?? 0)),
    ),
  };
}
