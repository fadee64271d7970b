/** Migrations between real processes: how fast the copy is beside a plain one, and what clients notice of it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_AGENT_SETTINGS } from '../plugin/engines/migration-agent/agent-settings.ts';
import { ClusterMapReader } from '../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../plugin/metadata/embedded.ts';
import { LocalCluster } from '../plugin/node/local/local-cluster.ts';
import { assert } from '../src/base/assert.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../src/migration/settings.ts';
import type { Digest, MigrationPhase } from '../src/model/migration.ts';
import type { MetadataStore } from '../src/ports/metadata-store.ts';
import { keySlot } from '../src/routing/key-slot.ts';
import { DEFAULT_SETTINGS } from '../src/settings.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import { median } from './median.ts';
import { PATIENT_READ_GUARD } from './migration-cluster.ts';
import { fill, OpenLoopClient } from './open-loop-client.ts';
import { openMigration } from './open-migration.ts';
import { PlainCopy } from './plain-copy.ts';
import type { BenchResult } from './types.ts';

const PARTITION_COUNT = 16;
/** The first node's, 0 and on: each is moved once, since the removal of what has moved takes longer than all the rest. */
const MOVABLE_MAX = PARTITION_COUNT / 2;
/** Longer than the run: nothing is removed meanwhile. */
const GRACE_MS = 3_600_000;
const VALUE_BYTES = 200;
const UNTHROTTLED = 2 ** 40;
const NO_THROTTLE = { isAdaptive: false, nodeBytesPerSecond: UNTHROTTLED, nodeEntriesPerSecond: 1e9 };
/** Entries of every partition that clients read and write meanwhile, of both nodes. */
const CLIENT_KEYS = 64;
const CONNECTIONS = 8;

/** An overloaded machine may stretch a fence; it is the copy that is measured. */
const FENCE_BUDGET_MS = 20_000;
/** Of /proc: USER_HZ is 100 on every Linux. */
const CPU_TICK_MS = 10;

interface Sizes {
  readonly entryCount: number;
  readonly rounds: number;
  readonly queriesPerSecond: number;
  readonly calmMs: number;
  /** Whether clients are looked at beside a throttled copy as well. */
  readonly isThrottledToo: boolean;
}

/** Copies by rate, then clients beside copies, throttled as by default and not at all. */
export async function measureProcesses(sizes: Sizes): Promise<BenchResult[]> {
  const plain = await PlainCopy.start({ entryCount: sizes.entryCount, valueBytes: VALUE_BYTES });
  let results: BenchResult[];
  try {
    results = await withCluster(sizes, UNTHROTTLED, (cluster) => copyRates(cluster, plain, sizes));
  } finally {
    await plain.close();
  }
  const { copyBytesPerSecond } = DEFAULT_MIGRATION_SETTINGS;
  const throttles = [
    ['off', UNTHROTTLED],
    ...(sizes.isThrottledToo ? [['on', copyBytesPerSecond] as const] : []),
  ] as const;
  for (const [throttle, bytesPerSecond] of throttles)
    results.push(
      await withCluster(sizes, bytesPerSecond, (cluster) => clientLatency(cluster, sizes, throttle)),
    );
  return results;
}

async function withCluster<T>(
  { entryCount, rounds }: Sizes,
  copyBytesPerSecond: number,
  use: (cluster: MovableCluster) => Promise<T>,
): Promise<T> {
  const cluster = await MovableCluster.start({ entryCount, copyBytesPerSecond, moveCount: rounds + 1 });
  try {
    return await use(cluster);
  } finally {
    await cluster.stop();
  }
}

async function copyRates(cluster: MovableCluster, plain: PlainCopy, sizes: Sizes): Promise<BenchResult[]> {
  const { pieceBytes } = DEFAULT_AGENT_SETTINGS;
  const [copies, moves, plains]: [number[], number[], number[]] = [[], [], []];
  const cpuMs = { ours: 0, plain: 0 };
  // One of each to warm up; then by turns, so that a busy machine slows both.
  for (let round = 0; round <= sizes.rounds; round++) {
    const plainPids = [process.pid, plain.sourcePid];
    const [plainBefore, oursBefore] = [cpuMsOf(plainPids), cpuMsOf(cluster.storagePids)];
    const { bytes, tookMs } = await plain.copy(pieceBytes);
    const plainAfter = cpuMsOf(plainPids);
    const { copyMs, moveMs, cpuAtEndOfCopyMs } = await cluster.move();
    if (round === 0 && sizes.rounds > 1) continue;
    plains.push(megabytesPerSecond(bytes, tookMs));
    copies.push(megabytesPerSecond(bytes, copyMs));
    moves.push(megabytesPerSecond(bytes, moveMs));
    cpuMs.plain += plainAfter - plainBefore;
    cpuMs.ours += cpuAtEndOfCopyMs - oursBefore;
  }
  const result = (name: string, value: number): BenchResult => ({
    name,
    metric: 'rate',
    value,
    unit: 'MB/s',
    baseline: 'plain LMDB-to-LMDB copy over the same socket',
    baselineValue: median(plains),
    ratio: value / median(plains),
    settings: { entryCount: sizes.entryCount, valueBytes: VALUE_BYTES, pieceBytes, rounds: copies.length },
    hash: cluster.hash,
  });
  return [
    { ...result('copy of a partition between two processes', median(copies)), bar: { ratioMin: 0.6 } },
    result('copy, catch-up, verification and switch', median(moves)),
    {
      // What a machine that does other things as well does not blur.
      ...result('copy of a partition between two processes', median(copies)),
      metric: 'CPU of both',
      unit: 'ms',
      value: cpuMs.ours,
      baselineValue: Math.max(CPU_TICK_MS, cpuMs.plain),
      ratio: cpuMs.ours / Math.max(CPU_TICK_MS, cpuMs.plain),
    },
  ];
}

async function clientLatency(
  cluster: MovableCluster,
  { entryCount, rounds, queriesPerSecond, calmMs }: Sizes,
  throttle: 'on' | 'off',
): Promise<BenchResult> {
  const client = await OpenLoopClient.start({
    port: cluster.port,
    connections: CONNECTIONS,
    keys: cluster.clientKeys,
    perSecond: queriesPerSecond,
  });
  const [calm, busy] = [new LatencyHistogram(), new LatencyHistogram()];
  try {
    await sleep(calmMs);
    for (let round = 0; round < rounds; round++) {
      client.histogram = calm;
      await sleep(calmMs);
      await cluster.move({
        onPhase: (phase) => {
          // From the first byte copied to the new owner; grace and removal are another matter.
          if (phase === 'COPY') client.histogram = busy;
          if (phase === 'GRACE') client.histogram = new LatencyHistogram();
        },
      });
    }
    await sleep(100);
  } finally {
    client.close();
  }
  const [value, baselineValue] = [busy.quantileMs(0.99), calm.quantileMs(0.99)];
  return {
    name: `clients beside a migration, throttle ${throttle}`,
    metric: 'p99',
    value,
    unit: 'ms',
    baseline: 'the same clients without a migration',
    baselineValue,
    ratio: value / baselineValue,
    settings: {
      entryCount,
      queriesPerSecond,
      moves: rounds,
      queriesBeside: busy.count,
      queriesWithout: calm.count,
      copyBytesPerSecond: cluster.copyBytesPerSecond,
      errors: client.errors,
    },
    hash: cluster.hash,
    ...(throttle === 'on' ? { bar: { ratioMax: 1.5 } } : {}),
  };
}

interface MovableOptions {
  readonly entryCount: number;
  readonly copyBytesPerSecond: number;
  readonly moveCount: number;
}

/** Two storage nodes and a query node, and partitions of one size on the first. */
class MovableCluster {
  readonly copyBytesPerSecond: number;
  readonly clientKeys: readonly string[];
  /** Of the last copy, by its digest at the fence. */
  hash = '0000';
  readonly #cluster: LocalCluster;
  readonly #metadata: MetadataStore;
  readonly #reader: ClusterMapReader;
  readonly #unmoved: number[];

  private constructor(
    cluster: LocalCluster,
    metadata: MetadataStore,
    { copyBytesPerSecond, moveCount }: MovableOptions,
  ) {
    assert(moveCount <= MOVABLE_MAX, 'each move needs a partition of the first node');
    this.copyBytesPerSecond = copyBytesPerSecond;
    this.#unmoved = Array.from({ length: moveCount }, (_, partitionId) => partitionId);
    this.#cluster = cluster;
    this.#metadata = metadata;
    this.#reader = new ClusterMapReader(metadata, DEFAULT_SETTINGS.cluster.name);
    this.clientKeys = Array.from({ length: PARTITION_COUNT }, (_, p) => tagOf(p)).flatMap((tag) =>
      Array.from({ length: CLIENT_KEYS }, (_, i) => `${tag}:c${i}`),
    );
  }

  static async start(options: MovableOptions): Promise<MovableCluster> {
    const cluster = await LocalCluster.start({
      storageNodeCount: 2,
      partitionCount: PARTITION_COUNT,
      settings: {
        migration: {
          copyBytesPerSecond: options.copyBytesPerSecond,
          ...(options.copyBytesPerSecond === UNTHROTTLED && { throttle: NO_THROTTLE }),
          residenceMs: 0,
          readWeightSteps: [],
          graceMs: GRACE_MS,
          freeBytesReserve: 0,
          fenceBudgetMs: FENCE_BUDGET_MS,
          readGuard: PATIENT_READ_GUARD,
        },
      },
    });
    const metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata'), pollMs: 5 });
    const movable = new MovableCluster(cluster, metadata, options);
    await movable.#fill(options.entryCount);
    return movable;
  }

  get port(): number {
    return this.#cluster.port;
  }

  get storagePids(): readonly number[] {
    return [this.#cluster.pid(0), this.#cluster.pid(1)];
  }

  async stop(): Promise<void> {
    await this.#metadata.close();
    await this.#cluster.stop();
  }

  /**
   * Moves the next partition to the other node.
   *
   * @returns how long the map stood in COPY, and how long it took from there to the new owner; `onPhase` hears of each phase.
   */
  async move(
    options: { readonly onPhase?: (phase: MigrationPhase) => void } = {},
  ): Promise<{ readonly copyMs: number; readonly moveMs: number; readonly cpuAtEndOfCopyMs: number }> {
    const partitionId = this.#unmoved.shift();
    if (partitionId === undefined) throw new Error('every partition has been moved');
    const clusterName = DEFAULT_SETTINGS.cluster.name;
    await openMigration(this.#metadata, { clusterName, partitionId, targetNodeId: 1 });
    let [last, copyStartMs, copyMs, cpuAtEndOfCopyMs] = ['PREPARE' as MigrationPhase, 0, 0, 0];
    for (;;) {
      const migration = (await this.#reader.readPartition(partitionId))?.migration;
      if (migration?.fenceDigest) this.hash = shortHash(migration.fenceDigest);
      const phase = migration?.phase ?? 'ABORT';
      if (phase !== last) {
        if (phase === 'ABORT') throw new Error(`the migration was aborted: ${migration?.reason}`);
        if (phase === 'COPY') copyStartMs = performance.now();
        else if (last === 'COPY') {
          copyMs = performance.now() - copyStartMs;
          cpuAtEndOfCopyMs = cpuMsOf(this.storagePids);
        }
        options.onPhase?.(phase);
        if (phase === 'GRACE') return { copyMs, moveMs: performance.now() - copyStartMs, cpuAtEndOfCopyMs };
        last = phase;
      }
      await sleep(1);
    }
  }

  async #fill(entryCount: number): Promise<void> {
    const keys = this.#unmoved.flatMap((partitionId) => {
      const tag = tagOf(partitionId);
      return Array.from({ length: entryCount }, (_, i) => `${tag}:${i}`);
    });
    await fill(this.port, [...this.clientKeys, ...keys], 'v'.repeat(VALUE_BYTES));
  }
}

function tagOf(partitionId: number): string {
  for (let i = 0; ; i++) {
    const tag = Buffer.from(`{t${i}}`);
    if (keySlot(tag, 0, tag.length) >> 10 === partitionId) return String(tag);
  }
}

/** CPU that processes have used so far, user and system; 0 where the system does not tell. */
function cpuMsOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids)
    try {
      // The name, in brackets, may have spaces; utime and stime are the 12th and 13th fields behind it.
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      return 0;
    }
  return ticks * CPU_TICK_MS;
}

const shortHash = (digest: Digest): string =>
  createHash('sha256').update(JSON.stringify(digest)).digest('hex').slice(0, 8);
const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));
const megabytesPerSecond = (bytes: number, tookMs: number): number => bytes / 1e6 / (tookMs / 1000);
