/** How long a scan for a digest holds the event loop of a storage node, and how fast it goes beside its clients. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LmdbEngine } from '../plugin/engines/lmdb/engine.ts';
import { PhysicalKey } from '../plugin/engines/lmdb/physical-key.ts';
import { systemClock } from '../src/base/clock.ts';
import type { PartitionSnapshot } from '../src/ports/partition-store.ts';
import type { BenchResult } from './types.ts';

const VALUE_BYTES = 200;
const PARTITION_COUNT = 16;
/** Above the clock's step, below a slice. */
const IDLE_TURN_MS = 0.2;
const SEED_HEX = '0123456789abcdef';

export async function measureScan({ entryCount }: { readonly entryCount: number }): Promise<BenchResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-bench-scan-'));
  const engine = await LmdbEngine.open(
    { path: folder, partitionCount: PARTITION_COUNT, reserveBytes: 0 },
    { clock: systemClock() },
  );
  try {
    const partitionId = fill(engine, entryCount);
    const snapshot = engine.store.openSnapshot(partitionId);
    await snapshot.digest(SEED_HEX); // optimised code, warm pages
    const { turnsMs, result, tookMs } = await turnsDuring(() => snapshot.digest(SEED_HEX));
    const plain = await turnsDuring(async () => readAll(snapshot));
    snapshot.close();
    const hash = createHash('sha256').update(result.buckets.join()).digest('hex').slice(0, 8);
    const settings = { entryCount, valueBytes: VALUE_BYTES };
    const held = (metric: string, share: number): BenchResult => {
      const value = quantile(turnsMs, share);
      const name = 'migration/event loop held by a scan for a digest';
      const baseline = 'by reading the same entries in one go';
      return {
        name,
        metric,
        unit: 'ms',
        value,
        baseline,
        baselineValue: plain.cpuMs,
        ratio: value / plain.cpuMs,
        settings,
        hash,
      };
    };
    const { sizeBytes } = engine.store.statistics(partitionId);
    const megabytes = sizeBytes / 1e6;
    const [value, baselineValue] = [megabytes / (tookMs / 1e3), megabytes / (plain.tookMs / 1e3)];
    return [
      held('p50', 0.5),
      held('p99', 0.99),
      {
        name: 'migration/scan for a digest, with its rests',
        metric: 'rate',
        unit: 'MB/s',
        value,
        baseline: 'reading the same entries in one go',
        baselineValue,
        ratio: value / baselineValue,
        settings,
        hash,
      },
    ];
  } finally {
    await engine.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Processor time of each turn of the event loop while `work` goes on: what other processes take from it is not counted. */
async function turnsDuring<Result>(work: () => Promise<Result>): Promise<{
  readonly turnsMs: number[];
  readonly result: Result;
  readonly tookMs: number;
  readonly cpuMs: number;
}> {
  const turnsMs: number[] = [];
  const startMs = performance.now();
  let [isOver, cpuMs] = [false, 0];
  const watching = (async () => {
    while (!isOver) {
      const before = process.cpuUsage();
      await new Promise((resolve) => setImmediate(resolve));
      const { user, system } = process.cpuUsage(before);
      const turnMs = (user + system) / 1e3;
      cpuMs += turnMs;
      // Nearly all turns do nothing but look: they would hide the others.
      if (turnMs > IDLE_TURN_MS) turnsMs.push(turnMs);
    }
  })();
  const result = await work();
  const tookMs = performance.now() - startMs;
  isOver = true;
  await watching;
  return { turnsMs, result, tookMs, cpuMs };
}

function readAll(snapshot: PartitionSnapshot): void {
  for (let cursor: Uint8Array | null = null; ; ) {
    const last = snapshot.read(cursor, 1 << 20).at(-1);
    if (!last) return;
    cursor = last.key;
  }
}

/** @returns the partition that all entries are of. */
function fill({ store }: LmdbEngine, entryCount: number): number {
  const key = new PhysicalKey();
  let partitionId = 0;
  for (let first = 0; first < entryCount; first += 1_000)
    store.transact(() => {
      for (let i = first; i < Math.min(entryCount, first + 1_000); i++) {
        const bytes = Buffer.from(`{t}:${i}`);
        key.setKey(bytes, 0, bytes.length);
        partitionId = store.partitionOfSlot(key.slot);
        store.writer.value.setStringHeader(0);
        store.writer.value.append(Buffer.alloc(VALUE_BYTES, i), 0, VALUE_BYTES);
        store.writer.put(store.states[partitionId], key);
      }
    });
  return partitionId;
}

/** At small settings a scan may be over before its first rest. */
const quantile = (values: readonly number[], share: number): number =>
  values.length === 0
    ? 0
    : ([...values].sort((a, b) => a - b)[
        Math.min(values.length - 1, Math.floor(values.length * share))
      ] as number);
