import type { LoadLook } from '../../../src/affinity/relief/stress-watch.ts';
import {
  CpuPriceBook,
  type MeasuredWork,
  type SavedCpuPrices,
  type ServerWork,
} from '../../../src/analyzer/cpu/cpu-prices.ts';
import type { MeasuredCpu } from '../../../src/analyzer/cpu/measured-cpu.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadDimension } from '../../../src/model/load-profile.ts';
import type { MigrationTransport } from '../../engines/migration-agent/migration-transport.ts';
import {
  COSTS_OPERATION,
  type NodeCosts,
  parseCosts,
} from '../../engines/migration-agent/partition-costs.ts';
import type { CheckpointFile } from './checkpoint-file.ts';
import { FedWindows } from './fed-windows.ts';
import type { ProfileLedger } from './profile-ledger.ts';
import type { ProfilePublisher } from './profile-publisher.ts';

export interface NodeCpuFeedComponents {
  readonly transport: MigrationTransport;
  /** Storage nodes that own anything. */
  readonly nodeIds: () => Promise<readonly number[]>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the windows of CPU alone, which stand beside those of captured queries. */
  readonly publisher: Pick<ProfilePublisher, 'publish' | 'refresh'>;
  readonly ledger: MeasuredLedger;
  readonly feedId: number;
  /** Where prices outlive the process. */
  readonly file: Pick<CheckpointFile, 'read' | 'write'>;
  /** Told what partitions were asked since the last poll: {@link LOOK_DIMENSIONS} of it. */
  readonly onLook?: (look: LoadLook) => void;
}

/** Which bytes were read and which written, nodes do not count apart. */
export const LOOK_DIMENSIONS: readonly LoadDimension[] = ['queries', 'cpuSeconds'];

/** Two looks that lie further apart than this: the process slept, or did not lead; somebody else has told of the time between. */
const GAP_MS_MAX = 10 * 60_000;

/**
 * Windows of measured CPU that are kept: four weeks of hours, after which ratios to queries have forgotten. As long a history as of
 * queries would double what a large cluster has in its metadata store; older windows are priced at the measured level.
 */
export const CPU_WINDOWS_MAX = 672;

/** A node tells of more than so many looks at once: it did not answer the one before. */
const LATE_LOOKS_MIN = 1.5;

/** Prices move within hours: what a process that is killed has learnt since is little. */
const PRICES_KEPT_MS = 10 * 60_000;

const CPU = dimensionIndex('cpuSeconds');
const QUERIES = dimensionIndex('queries');

/**
 * CPU seconds by partition as the storage nodes measure them: each tells the CPU time of its process, and what it timed and counted
 * of each partition's requests, from which {@link CpuPriceBook} shares the process's out.
 *
 * Whoever leads asks; what happened while another led is left to that one. Windows say as their count how many milliseconds of
 * them were measured.
 */
export class NodeCpuFeed {
  readonly #grid: { readonly windowMs: number; readonly partitionCount: number };
  readonly #components: NodeCpuFeedComponents;
  readonly #windows: FedWindows;
  readonly #prices = new CpuPriceBook();
  #isRecalled = false;
  /** When prices were kept, and whether they have moved since. */
  #keptMs: number;
  #hasNewPrices = false;
  readonly #before = new Map<number, NodeCosts>();
  #pollMs: number | null = null;

  constructor(
    grid: { readonly windowMs: number; readonly partitionCount: number },
    components: NodeCpuFeedComponents,
  ) {
    this.#grid = grid;
    this.#components = components;
    this.#windows = new FedWindows(grid, components);
    this.#keptMs = components.clock.monotonicMs();
  }

  /** Counting begins anew at the next poll. @throws ForeshardError FORESHARD_UNAVAILABLE of the metadata store. */
  async pause(): Promise<void> {
    this.#before.clear();
    this.#pollMs = null;
    await this.#keepPrices();
    await this.#windows.publishAll();
  }

  /** Keeps what was learnt of prices. Never throws. */
  close(): Promise<void> {
    return this.#keepPrices();
  }

  /**
   * What nodes have spent since the last poll goes into the window that is open now.
   *
   * @throws ForeshardError FORESHARD_UNAVAILABLE of the metadata store; what was counted is told with the next.
   */
  async poll(): Promise<void> {
    const { clock, nodeIds } = this.#components;
    await this.#recallPrices();
    const nowMs = clock.monotonicMs();
    if (this.#pollMs !== null && nowMs - this.#pollMs > GAP_MS_MAX) {
      this.#before.clear();
      this.#pollMs = null;
    }
    const costs = await Promise.all((await nodeIds()).map((nodeId) => this.#ask(nodeId)));
    const answers = costs.filter((found) => found !== null);
    if (answers.length === 0) return;
    const window = this.#windows.open();
    const lookMs = this.#pollMs === null ? 0 : nowMs - this.#pollMs;
    const look = new LookSum(this.#grid.partitionCount);
    for (const { nodeId, costs: now } of answers) {
      const before = this.#before.get(nodeId);
      this.#before.set(nodeId, now);
      const spent = before === undefined ? null : workBetween(before, now);
      if (spent === null) continue;
      this.#prices.observe(spent.whole);
      this.#hasNewPrices = true;
      const { partitionSeconds } = this.#prices.attribute(spent.whole, spent.partitions);
      look.add(nodeId, spent, partitionSeconds);
      // Looks that a node did not answer are over and counted: what it did in windows that have closed stays out of this one.
      const elapsedMs = spent.whole.elapsedSeconds * 1000;
      const isLate = elapsedMs > LATE_LOOKS_MIN * lookMs;
      const share = isLate ? Math.min(1, (clock.nowMs() - window.startMs) / elapsedMs) : 1;
      partitionSeconds.forEach((seconds, p) => {
        window.values[p * LOAD_DIMENSION_COUNT + CPU]! += share * seconds;
      });
    }
    if (look.nodeIds.size > 0) window.count += lookMs;
    this.#pollMs = nowMs;
    if (nowMs - this.#keptMs >= PRICES_KEPT_MS) await this.#keepPrices();
    if (look.nodeIds.size > 0 && lookMs > 0)
      this.#components.onLook?.({ atMs: nowMs, durationMs: lookMs, ...look });
    await this.#windows.publishDue();
  }

  /** Takes in what was published. @returns what was measured in the window that starts then. */
  async measured(nowMs: number): Promise<(startMs: number) => MeasuredCpu | undefined> {
    const { publisher, ledger } = this.#components;
    await publisher.refresh(nowMs);
    return (startMs) => measuredIn(ledger, startMs);
  }

  /** Once: what the process before has learnt. Where there is nothing to be had, prices are learnt anew within hours. */
  async #recallPrices(): Promise<void> {
    if (this.#isRecalled) return;
    this.#isRecalled = true;
    try {
      const saved = await this.#components.file.read();
      if (saved !== undefined) this.#prices.load(saved as SavedCpuPrices);
    } catch (error) {
      if (!(error instanceof ForeshardError)) throw error;
      this.#components.logger.warn({ why: error.message }, 'prices of CPU are learnt anew');
    }
  }

  async #keepPrices(): Promise<void> {
    const { file, clock, logger } = this.#components;
    if (!this.#hasNewPrices) return;
    this.#hasNewPrices = false;
    this.#keptMs = clock.monotonicMs();
    try {
      await file.write(this.#prices.save());
    } catch (error) {
      logger.warn({ fault: (error as Error).message }, 'prices of CPU could not be saved');
    }
  }

  async #ask(nodeId: number): Promise<{ readonly nodeId: number; readonly costs: NodeCosts } | null> {
    const { transport, logger } = this.#components;
    try {
      const reply = await transport.request(nodeId, COSTS_OPERATION, {});
      return { nodeId, costs: parseCosts(reply, this.#grid.partitionCount) };
    } catch (error) {
      if (!(error instanceof ForeshardError)) throw error;
      // One of an older version, or one that is away: its partitions keep their prices.
      logger.debug({ storageNode: nodeId, fault: error.message }, 'what partitions cost is not known');
      return null;
    }
  }
}

type MeasuredLedger = Pick<ProfileLedger, 'windowAt' | 'windowMs' | 'partitionCount'>;

/** What feeds measured in the window that starts then: their windows count the milliseconds of it that each looked at. */
export function measuredIn(ledger: MeasuredLedger, startMs: number): MeasuredCpu | undefined {
  const { windowMs, partitionCount } = ledger;
  const parts = ledger.windowAt(startMs);
  if (parts.length === 0) return undefined;
  const seconds = new Float64Array(partitionCount);
  for (const { values } of parts)
    for (let p = 0; p < partitionCount; p++) seconds[p]! += values[p * LOAD_DIMENSION_COUNT + CPU] as number;
  const measuredMs = parts.reduce((sum, { capturedCount }) => sum + capturedCount, 0);
  return { seconds, share: measuredMs / windowMs };
}

/** What a poll finds, as rates: one of a node that did not answer the last time is of a longer time than the others. */
class LookSum {
  readonly perSecond: Float64Array;
  readonly nodeIds = new Set<number>();

  constructor(partitionCount: number) {
    this.perSecond = new Float64Array(partitionCount * LOAD_DIMENSION_COUNT);
  }

  add(nodeId: number, { whole, partitions }: NodeWork, partitionSeconds: ArrayLike<number>): void {
    this.nodeIds.add(nodeId);
    partitions.forEach(({ requests }, p) => {
      this.perSecond[p * LOAD_DIMENSION_COUNT + QUERIES]! += requests / whole.elapsedSeconds;
      this.perSecond[p * LOAD_DIMENSION_COUNT + CPU]! +=
        (partitionSeconds[p] as number) / whole.elapsedSeconds;
    });
  }
}

interface NodeWork {
  readonly whole: MeasuredWork;
  readonly partitions: readonly ServerWork[];
}

/** Null where the node was started anew in between. */
function workBetween(before: NodeCosts, now: NodeCosts): NodeWork | null {
  const elapsedSeconds = (now.atMs - before.atMs) / 1000;
  const cpuSeconds = now.cpuSeconds - before.cpuSeconds;
  if (!(elapsedSeconds > 0) || cpuSeconds < 0) return null;
  const partitions: ServerWork[] = [];
  const whole = { requests: 0, writes: 0, kibibytes: 0, timedSeconds: 0 };
  for (let p = 0; p < now.requests.length; p++) {
    const difference = (name: keyof ServerWork): number =>
      (now[name][p] as number) - (before[name][p] as number);
    const own: ServerWork = {
      requests: difference('requests'),
      writes: difference('writes'),
      kibibytes: difference('kibibytes'),
      timedSeconds: difference('timedSeconds'),
    };
    // A count may have passed that of the process before by now; all of them, of every partition, have not.
    if (Object.values(own).some((count) => count < 0)) return null;
    partitions.push(own);
    for (const name of ['requests', 'writes', 'kibibytes', 'timedSeconds'] as const) whole[name] += own[name];
  }
  return { whole: { ...whole, elapsedSeconds, cpuSeconds }, partitions };
}
