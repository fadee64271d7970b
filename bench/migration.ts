/**
 * A migration beside a plain loop that copies the same entries from one LMDB store to another, synced as often, without
 * digest, log, network or map; and how long writes wait at the fence.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { DEFAULT_AGENT_SETTINGS } from '../plugin/engines/lmdb/agent-settings.ts';
import type { LmdbPartitionStore } from '../plugin/engines/lmdb/lmdb-partition-store.ts';
import type { PartitionMeta } from '../src/ports/partition-store.ts';
import { keySlot } from '../src/routing/key-slot.ts';
import { MigrationCluster, QUICK_SETTINGS } from './migration-cluster.ts';
import type { BenchOutcome } from './types.ts';

export const area = 'migration';

const VALUE_BYTES = 200;
/** Of 16 partitions, one of the first node's. */
const PARTITION = 3;

export async function run({ isSmall }: { readonly isSmall: boolean }): Promise<BenchOutcome> {
  const entryCount = isSmall ? 2_000 : 60_000;
  const rounds = isSmall ? 1 : 3;
  const fenceRounds = isSmall ? 0 : 40;
  // Reads are not shifted and removal is not waited for: the copy and its verification are what is measured.
  const cluster = await MigrationCluster.open(2, { ...QUICK_SETTINGS, readWeightSteps: [], graceMs: 10 });
  try {
    const fences = watchFences(cluster);
    const tag = tagOf(PARTITION);
    fill(cluster, tag, entryCount);
    const sizeBytes = cluster.storeOf(0).statistics(PARTITION).sizeBytes;
    const migrationMs: number[] = [];
    const plainMs: number[] = [];
    let owner = 0;
    for (let round = 0; round < rounds; round++) {
      plainMs.push(await copyPlainly(cluster.storeOf(owner)));
      migrationMs.push(await moveUntilSwitched(cluster, owner));
      owner = 1 - owner;
      await cluster.waitUntilStable(120_000);
    }
    const hash = contentHash(cluster.storeOf(owner));
    // Fences are measured on a small partition under writes: their length does not depend on the size.
    const small = PARTITION + 1;
    fillFew(cluster, tagOf(small));
    for (let round = 0, smallOwner = 0; round < fenceRounds; round++, smallOwner = 1 - smallOwner)
      await moveUnderWrites(cluster, small, smallOwner);
    const megabytesPerSecond = (sampleMs: number): number => sizeBytes / 1e6 / (sampleMs / 1000);
    const [value, baselineValue] = [
      megabytesPerSecond(median(migrationMs)),
      megabytesPerSecond(median(plainMs)),
    ];
    const syncMs = median(fences.syncMs);
    const settings = {
      entryCount,
      valueBytes: VALUE_BYTES,
      sizeBytes,
      pieceBytes: DEFAULT_AGENT_SETTINGS.pieceBytes,
    };
    const fence = (metric: string, share: number) => ({
      name: 'time a partition is fenced',
      metric,
      value: quantile(fences.durationsMs, share),
      unit: 'ms',
      baseline: 'one synced transaction of the source store',
      baselineValue: syncMs,
      ratio: quantile(fences.durationsMs, share) / syncMs,
      settings: { fenceCount: fences.durationsMs.length },
      hash,
    });
    return {
      results: [
        {
          name: 'copy, catch-up, verification and switch',
          metric: 'rate',
          value,
          unit: 'MB/s',
          baseline: 'plain LMDB copy loop of the same entries',
          baselineValue,
          ratio: value / baselineValue,
          settings,
          hash,
        },
        fence('p50', 0.5),
        fence('p99', 0.99),
      ],
      skipped: [],
    };
  } finally {
    await cluster.close();
  }
}

/** From the fence on the source to the new owner on the target, by the stores' own role changes. */
function watchFences(cluster: MigrationCluster): {
  readonly durationsMs: number[];
  readonly syncMs: number[];
} {
  const durationsMs: number[] = [];
  const syncMs: number[] = [];
  const fencedAtMs = new Map<number, number>();
  for (const nodeId of [0, 1]) {
    const store = cluster.storeOf(nodeId);
    const updateMeta = store.updateMeta.bind(store);
    store.updateMeta = async (partitionId, change) => {
      const before: PartitionMeta = store.meta(partitionId);
      const startMs = performance.now();
      const after = await updateMeta(partitionId, change);
      const nowMs = performance.now();
      if (before.role === after.role) return after;
      syncMs.push(nowMs - startMs);
      if (after.role === 'FENCED') fencedAtMs.set(partitionId, startMs);
      const fencedMs = fencedAtMs.get(partitionId);
      if (after.role === 'OWNER' && fencedMs !== undefined) {
        durationsMs.push(nowMs - fencedMs);
        fencedAtMs.delete(partitionId);
      }
      return after;
    };
  }
  return { durationsMs, syncMs };
}

async function moveUntilSwitched(cluster: MigrationCluster, owner: number): Promise<number> {
  const startMs = performance.now();
  await cluster.move(PARTITION, 1 - owner);
  while (cluster.storeOf(1 - owner).meta(PARTITION).role !== 'OWNER')
    await new Promise((resolve) => setTimeout(resolve, 1));
  return performance.now() - startMs;
}

async function moveUnderWrites(cluster: MigrationCluster, partitionId: number, owner: number): Promise<void> {
  await cluster.move(partitionId, 1 - owner);
  const tag = tagOf(partitionId);
  const asked = cluster.waitUntilStable(60_000).then(() => true);
  for (let i = 0, isOver = false; !isOver; i++) {
    const nodeId = [0, 1].find((id) => cluster.storeOf(id).meta(partitionId).role === 'OWNER');
    if (nodeId !== undefined)
      cluster.write(nodeId, [{ key: `${tag}:${i % 50}`, value: Buffer.alloc(VALUE_BYTES, i) }]);
    const pause = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 4));
    isOver = await Promise.race([asked, pause]);
  }
}

/** The baseline: the same pieces into an environment of its own, one synced transaction each. */
async function copyPlainly(source: LmdbPartitionStore): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-bench-copy-'));
  const target = open({
    path: join(folder, 'copy'),
    encoding: 'binary',
    keyEncoding: 'binary',
    overlappingSync: false,
  });
  const snapshot = source.openSnapshot(PARTITION);
  const startMs = performance.now();
  for (let cursor: Uint8Array | null = null; ; ) {
    const entries = snapshot.read(cursor, DEFAULT_AGENT_SETTINGS.pieceBytes);
    const last = entries[entries.length - 1];
    if (!last) break;
    target.transactionSync(() => {
      for (const { key, value } of entries) target.putSync(key, value);
    });
    cursor = last.key;
  }
  const tookMs = performance.now() - startMs;
  snapshot.close();
  await target.close();
  rmSync(folder, { recursive: true, force: true });
  return tookMs;
}

function fill(cluster: MigrationCluster, tag: string, entryCount: number): void {
  const batch = 1_000;
  for (let first = 0; first < entryCount; first += batch)
    cluster.write(
      0,
      Array.from({ length: batch }, (_, i) => ({
        key: `${tag}:${first + i}`,
        value: Buffer.alloc(VALUE_BYTES, first + i),
      })),
    );
}

function fillFew(cluster: MigrationCluster, tag: string): void {
  cluster.write(
    0,
    Array.from({ length: 50 }, (_, i) => ({ key: `${tag}:${i}`, value: Buffer.alloc(VALUE_BYTES) })),
  );
}

function tagOf(partitionId: number): string {
  for (let i = 0; ; i++) {
    const tag = Buffer.from(`{t${i}}`);
    if (keySlot(tag, 0, tag.length) >> 10 === partitionId) return String(tag);
  }
}

function contentHash(store: LmdbPartitionStore): string {
  const snapshot = store.openSnapshot(PARTITION);
  const hash = createHash('sha256');
  for (let cursor: Uint8Array | null = null; ; ) {
    const entries = snapshot.read(cursor, 1 << 20);
    for (const { key, value } of entries) hash.update(key).update(value);
    const last = entries[entries.length - 1];
    if (!last) break;
    cursor = last.key;
  }
  snapshot.close();
  return hash.digest('hex').slice(0, 8);
}

const quantile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] as number;
const median = (values: readonly number[]): number => quantile(values, 0.5);
