/**
 * The metadata stores. Commits of the embedded one beside what the disk itself takes (an append of the same bytes, synced each
 * time), the one in etcd beside raw calls to it, and of both how long a cold router takes to know 16,384 partitions.
 */
import { createHash } from 'node:crypto';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedMetadata } from '../plugin/metadata/embedded.ts';
import type { MetadataStore } from '../src/ports/metadata-store.ts';
import { median } from './median.ts';
import { benchEtcd } from './metadata-etcd.ts';
import { coldRouter } from './metadata-map.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

export const area = 'metadata';

/** About the size of a partition's record with an open migration. */
const VALUE_BYTES = 600;
const KEY_COUNT = 256;

export async function run({ isSmall }: { readonly isSmall: boolean }): Promise<BenchOutcome> {
  const etcd = await benchEtcd(isSmall);
  const results = [...(await benchEmbedded(isSmall)), await embeddedColdRouter(isSmall), ...etcd.results];
  return { results, skipped: etcd.skipped };
}

async function embeddedColdRouter(isSmall: boolean): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-bench-metadata-'));
  const open = (): MetadataStore => openEmbeddedMetadata({ path: join(folder, 'store') });
  try {
    return await coldRouter('embedded', isSmall, {
      open,
      async readRaw(prefix) {
        const store = open();
        const { entries } = await store.list(prefix);
        await store.close();
        return entries.length;
      },
      baseline: 'the same keys listed, not looked at',
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function benchEmbedded(isSmall: boolean): Promise<BenchResult[]> {
  const commitCount = isSmall ? 60 : 1_000;
  const rounds = isSmall ? 2 : 5;
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-bench-metadata-'));
  const store = openEmbeddedMetadata({ path: join(folder, 'store') });
  const file = openSync(join(folder, 'appended'), 'a');
  try {
    const value = new Uint8Array(VALUE_BYTES).fill(7);
    await commitEach(store, value, KEY_COUNT, 1); // the keys exist, as those of a map do
    const commitMs: number[] = [];
    const concurrentMs: number[] = [];
    const appendMs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const count = commitCount / rounds;
      appendMs.push(timed(() => appendEach(file, value, count)));
      commitMs.push(await timedAsync(() => commitEach(store, value, count, 1)));
      concurrentMs.push(await timedAsync(() => commitEach(store, value, count, 16)));
    }
    const hash = await hashOf(store);
    const perSecond = (sampleMs: number[]): number => (commitCount / rounds / median(sampleMs)) * 1000;
    const result = (name: string, sampleMs: number[], atOnce: number): BenchResult => ({
      name,
      metric: 'commits',
      value: perSecond(sampleMs),
      unit: '/s',
      baseline: 'append and fdatasync of the same bytes',
      baselineValue: perSecond(appendMs),
      ratio: perSecond(sampleMs) / perSecond(appendMs),
      settings: { commitCount, valueBytes: VALUE_BYTES, keyCount: KEY_COUNT, atOnce },
      hash,
    });
    return [
      result('embedded compare-and-swap', commitMs, 1),
      result('embedded compare-and-swap, 16 at once', concurrentMs, 16),
    ];
  } finally {
    await store.close();
    closeSync(file);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Read, then put on the condition that nothing has changed since: what the executor does at each step. */
async function commitEach(
  store: MetadataStore,
  value: Uint8Array,
  count: number,
  atOnce: number,
): Promise<void> {
  for (let i = 0; i < count; i += atOnce)
    await Promise.all(
      Array.from({ length: Math.min(atOnce, count - i) }, async (_, offset) => {
        const key = `map/${(i + offset) % KEY_COUNT}`;
        const revisionIs = (await store.get(key))?.revision ?? 0;
        const result = await store.commit({
          conditions: [{ key, revisionIs }],
          writes: [{ kind: 'put', key, value }],
        });
        if (!result.isCommitted) throw new Error(`the commit of ${key} lost a race that nobody else was in`);
      }),
    );
}

function appendEach(file: number, value: Uint8Array, count: number): void {
  for (let i = 0; i < count; i++) {
    writeSync(file, value);
    fdatasyncSync(file);
  }
}

async function hashOf(store: MetadataStore): Promise<string> {
  const hash = createHash('sha256');
  for (const { key, value } of (await store.list('map/')).entries) hash.update(key).update(value);
  return hash.digest('hex').slice(0, 8);
}

function timed(action: () => void): number {
  const startMs = performance.now();
  action();
  return performance.now() - startMs;
}

async function timedAsync(action: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await action();
  return performance.now() - startMs;
}
