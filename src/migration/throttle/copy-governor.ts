import type { Clock } from '../../base/clock.ts';
import type { PartitionRecord } from '../../model/migration.ts';
import { type CopyRates, FREE_COPY_RATES, type NodeMigrationStatus } from '../../ports/storage-engine.ts';
import { isHot } from '../phases.ts';
import { addCounts } from '../reads/read-guard.ts';
import { latencyTotal } from '../reads/read-latency.ts';
import type { OpenRecord } from '../records/record-changes.ts';
import type { MigrationSettings } from '../settings.ts';
import { lagOf, type Observation } from '../step.ts';
import { CATCH_UP_FACTOR, CatchUpBook, hopeless } from './catch-up.ts';
import {
  type ClientWatch,
  countsSince,
  LATENCIES_MIN,
  type LatencyCounts,
  latencyDistress,
  type NodeLatency,
} from './client-latency.ts';
import { firstPace, nextPace, type Pace } from './copy-pace.ts';
import { copyShareOf } from './copy-shares.ts';

/** Query nodes publish twice as often. */
const WINDOW_MS = 500;
/** Entries up to this cost by their number, not by their size: those of the log are applied no faster than the snapshot's. */
const ENTRY_BOUND_BYTES = 1024;
const NO_COUNTS: LatencyCounts = { reads: [], writes: [] };

/** How a copy is paced, for people. */
export interface CopyPaceStatus {
  /** What the coordinator allows it. */
  readonly limitBytesPerSecond: number;
  readonly bytesPerSecond: number;
  /** What holds it: the node's reason where the node allows less than the coordinator. */
  readonly reason: string;
  /** Entries a second that are written at the owner, and that the copy applies; null while that is not known. */
  readonly writeRate: number | null;
  readonly applyRate: number | null;
}

interface Governed {
  readonly migrationId: number;
  readonly catchUp: CatchUpBook;
  pace: Pace | null;
  nextWindowMs: number;
  /** What was told of each side last, and what of it is new but too little to be judged. */
  readonly sides: Record<'source' | 'target', { told: NodeLatency | null; fresh: LatencyCounts }>;
  floorBytes: number;
  seen: NodeMigrationStatus | null;
}

/**
 * The coordinator's side of the throttle: shares out the limits, gives each copy its pace by what clients feel, and says when
 * one will never catch up. What it remembers may be lost: a coordinator that takes over lets each copy begin slowly.
 */
export class CopyGovernor {
  readonly #settings: MigrationSettings;
  readonly #clock: Clock;
  readonly #watch: ClientWatch | undefined;
  readonly #governed = new Map<number, Governed>();

  constructor(
    settings: MigrationSettings,
    components: { readonly clock: Clock; readonly watch?: ClientWatch },
  ) {
    this.#settings = settings;
    this.#clock = components.clock;
    this.#watch = components.watch;
  }

  ratesOf(record: OpenRecord, records: readonly (PartitionRecord | null)[]): CopyRates {
    // Writes wait for it.
    if (isHot(record.migration.phase)) return FREE_COPY_RATES;
    const share = copyShareOf(record, records, this.#settings);
    const { isAdaptive, loopLagMsMax } = this.#settings.throttle;
    if (!isAdaptive) return { ...FREE_COPY_RATES, ...share };
    const governed = this.#of(record);
    const limits = this.#limits(governed, share.bytesPerSecond);
    governed.pace ??= firstPace(limits);
    return {
      bytesPerSecond: Math.min(limits.ceiling, Math.max(limits.floor, governed.pace.rate)),
      entriesPerSecond: share.entriesPerSecond,
      bytesPerSecondMin: limits.floor,
      loopLagMsMax,
    };
  }

  /** @returns why the copy is to be given up; null to go on. Never throws. */
  async observed(
    record: OpenRecord,
    seen: Observation,
    records: readonly (PartitionRecord | null)[],
  ): Promise<string | null> {
    const { phase } = record.migration;
    if ((phase !== 'COPY' && phase !== 'CATCHUP') || !seen.target) return null;
    const governed = this.#of(record);
    governed.seen = seen.target;
    const reason = this.#judgeCatchUp(governed, record, seen);
    const isDue = this.#clock.monotonicMs() >= governed.nextWindowMs;
    if (isDue && this.#settings.throttle.isAdaptive) await this.#closeWindow(governed, record, records);
    return reason;
  }

  /** A pause holds it: nothing of that time counts. */
  held({ partitionId }: OpenRecord): void {
    this.#governed.get(partitionId)?.catchUp.forget();
  }

  statusOf({ partitionId, migration }: OpenRecord): CopyPaceStatus | null {
    const governed = this.#governed.get(partitionId);
    const copy = governed?.seen?.copy;
    if (governed?.migrationId !== migration.migrationId || copy === undefined) return null;
    const rates = governed.catchUp.latest();
    const limitBytesPerSecond = Math.round(governed.pace?.rate ?? copy.limitBytesPerSecond);
    const isHeldByNode = copy.limitBytesPerSecond < limitBytesPerSecond * 0.99;
    return {
      limitBytesPerSecond: Math.min(limitBytesPerSecond, copy.limitBytesPerSecond),
      bytesPerSecond: copy.bytesPerSecond,
      reason: isHeldByNode ? copy.reason : (governed.pace?.reason ?? 'not adaptive'),
      writeRate: rates?.writeRate ?? null,
      applyRate: rates?.applyRate ?? null,
    };
  }

  #of({ partitionId, migration }: OpenRecord): Governed {
    let governed = this.#governed.get(partitionId);
    if (governed?.migrationId !== migration.migrationId) {
      governed = {
        migrationId: migration.migrationId,
        catchUp: new CatchUpBook(this.#settings.throttle.catchUpMs),
        pace: null,
        nextWindowMs: this.#clock.monotonicMs() + WINDOW_MS,
        sides: { source: { told: null, fresh: NO_COUNTS }, target: { told: null, fresh: NO_COUNTS } },
        floorBytes: 0,
        seen: null,
      };
      this.#governed.set(partitionId, governed);
    }
    return governed;
  }

  #limits(
    { floorBytes }: Governed,
    shareBytes: number,
  ): { readonly ceiling: number; readonly floor: number } {
    const floor = Math.max(this.#settings.throttle.bytesPerSecondMin, floorBytes);
    // What an operator has set is kept, also if the copy then never ends: that is found out, and said.
    return { ceiling: shareBytes, floor: Math.min(shareBytes, floor) };
  }

  #judgeCatchUp(governed: Governed, { migration }: OpenRecord, seen: Observation): string | null {
    const target = seen.target as NodeMigrationStatus;
    const { copy } = target;
    if (copy === undefined || copy.ownerLsn === 0) return null;
    const { copiedEntries, ownerLsn } = copy;
    const rates = governed.catchUp.add({
      atMs: this.#clock.monotonicMs(),
      ownerLsn,
      appliedEntries: copiedEntries,
    });
    const entryBytes = copiedEntries === 0 ? 0 : target.copiedBytes / copiedEntries;
    const writeRate = governed.catchUp.latest()?.writeRate ?? 0;
    governed.floorBytes = CATCH_UP_FACTOR * writeRate * entryBytes;
    if (rates === null) return null;
    const isNear = migration.phase === 'CATCHUP' && lagOf(seen) <= this.#settings.verifyLagMax;
    const isComparable = migration.phase === 'CATCHUP' || entryBytes <= ENTRY_BOUND_BYTES;
    return isNear || !isComparable ? null : hopeless(rates);
  }

  async #closeWindow(
    governed: Governed,
    record: OpenRecord,
    records: readonly (PartitionRecord | null)[],
  ): Promise<void> {
    governed.nextWindowMs = this.#clock.monotonicMs() + WINDOW_MS;
    const { sourceNodeId, targetNodeId } = record.migration;
    const distress =
      (await this.#distressAt(governed, 'source', sourceNodeId)) ??
      (await this.#distressAt(governed, 'target', targetNodeId));
    const used = governed.seen?.copy?.bytesPerSecond ?? 0;
    const limits = this.#limits(governed, copyShareOf(record, records, this.#settings).bytesPerSecond);
    governed.pace = nextPace(governed.pace ?? firstPace(limits), { used, distress }, limits);
  }

  async #distressAt(
    governed: Governed,
    which: 'source' | 'target',
    nodeId: OpenRecord['migration']['sourceNodeId'],
  ): Promise<string | null> {
    const told = (await this.#watch?.latencyOf(nodeId)) ?? null;
    const side = governed.sides[which];
    const before = side.told;
    side.told = told;
    if (told === null || before === null) return null;
    const reads = countsSince(told.total.reads, before.total.reads);
    const writes = countsSince(told.total.writes, before.total.writes);
    if (reads === null || writes === null) return null;
    const fresh = {
      reads: addCounts(side.fresh.reads, reads),
      writes: addCounts(side.fresh.writes, writes),
    };
    const node = `${which} (node ${nodeId})`;
    const distress = latencyDistress(node, fresh, told.calm, this.#settings.throttle);
    // What was judged is not judged again; what is too little waits for more.
    side.fresh = {
      reads: latencyTotal(fresh.reads) < LATENCIES_MIN ? fresh.reads : [],
      writes: latencyTotal(fresh.writes) < LATENCIES_MIN ? fresh.writes : [],
    };
    return distress;
  }
}
