/** What a snapshot gives besides its entries: a digest that lets others work meanwhile, and lists behind lanes of it. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { LmdbEngine } from '../../../../plugin/engines/lmdb/engine.ts';
import { bucketOf, PhysicalKey } from '../../../../plugin/engines/lmdb/physical-key.ts';
import { expiryOf } from '../../../../plugin/engines/lmdb/record.ts';
import type { Clock } from '../../../../src/base/clock.ts';
import type { PhysicalEntry } from '../../../../src/ports/partition-store.ts';
import type { EntryFingerprint } from '../../../../src/ports/storage-engine.ts';
import { EngineBench, ownAll, PARTITION_COUNT } from './support.ts';

const test = suite<{ bench: EngineBench }>('lmdb partition snapshot');
const SEED = '0123456789abcdef';

test.before.each((context) => {
  context.bench = new EngineBench();
});
test.after.each((context) => context.bench.close());

/** Every look at it takes 0.3 ms; what sleeps is noted and wakes at once, late by so much. */
class LookedAtClock implements Clock {
  readonly sleepsMs: number[] = [];
  lookCount = 0;
  lateMs = 0;
  onSleep: () => void = () => {};
  #nowMs = 0;

  nowMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  monotonicMs(): number {
    this.lookCount++;
    this.#nowMs += 0.3;
    return this.#nowMs;
  }

  async sleep(delayMs: number): Promise<void> {
    this.sleepsMs.push(delayMs);
    this.#nowMs += delayMs + this.lateMs;
    this.onSleep();
  }
}

/** @returns the partition of the last one. */
function fill(
  { store }: LmdbEngine,
  count: number,
  valueBytes: number,
  nameOf = (i: number): string => `{t}${i}`,
): number {
  const key = new PhysicalKey();
  let partitionId = 0;
  store.transact(() => {
    for (let i = 0; i < count; i++) {
      const bytes = Buffer.from(nameOf(i));
      key.setKey(bytes, 0, bytes.length);
      partitionId = store.partitionOfSlot(key.slot);
      store.writer.value.setStringHeader(i % 3 === 0 ? 1_800_000_000_000 : 0);
      store.writer.value.append(Buffer.alloc(valueBytes, i), 0, valueBytes);
      store.writer.put(store.states[partitionId], key);
    }
  });
  return partitionId;
}

test('a scan rests after every few looks at the clock, longer where the rest before ended late', async ({
  bench,
}) => {
  const clock = new LookedAtClock();
  const engine = await bench.open({ clock });
  const partitionId = fill(engine, 3_000, 20);
  const snapshot = engine.store.openSnapshot(partitionId);
  const calm = await snapshot.digest(SEED);
  check.ok(clock.sleepsMs.length >= 5, `${clock.sleepsMs.length} rests`);
  check.ok(clock.sleepsMs.every((sleepMs) => sleepMs === 2));
  clock.sleepsMs.length = 0;
  clock.lateMs = 6;
  check.equal(await snapshot.digest(SEED), calm);
  const [first, ...later] = clock.sleepsMs;
  check.is(first, 2);
  check.ok(later.every((sleepMs) => sleepMs > 10 && sleepMs <= 25));
  snapshot.close();
});

test('a scan of large values looks at the clock as often', async ({ bench }) => {
  const clock = new LookedAtClock();
  const engine = await bench.open({ clock });
  const partitionId = fill(engine, 40, 200_000);
  const snapshot = engine.store.openSnapshot(partitionId);
  clock.lookCount = 0;
  await snapshot.digest(SEED);
  check.ok(clock.lookCount >= 40, `${clock.lookCount} looks`);
  snapshot.close();
});

test('a scan that is cancelled, or whose snapshot is closed, ends at its next rest', async ({ bench }) => {
  const clock = new LookedAtClock();
  const engine = await bench.open({ clock });
  const snapshot = engine.store.openSnapshot(fill(engine, 3_000, 20));
  const cancel = new AbortController();
  clock.onSleep = () => cancel.abort();
  const usedBefore = clock.sleepsMs.length;
  check.match(await failureOf(snapshot.digest(SEED, cancel.signal)), /cancelled/);
  check.is(clock.sleepsMs.length, usedBefore + 1);
  clock.onSleep = () => snapshot.close();
  check.match(await failureOf(snapshot.digest(SEED)), /has been closed/);
});

test('pages of a listing are together all entries of its buckets, in order, none twice', async ({
  bench,
}) => {
  const engine = await bench.open();
  await ownAll(engine);
  fill(engine, 6_000, 10, (i) => `key${i}`);
  for (const partitionId of [0, PARTITION_COUNT - 1]) {
    const snapshot = engine.store.openSnapshot(partitionId);
    const lanes = [0, 1, 20, 91, 150, 201, 333, 440, 511];
    const buckets = new Set(lanes.map((lane) => lane >> 1));
    const listed: EntryFingerprint[] = [];
    const privacy = { prefixBytes: 3, isHashKept: true };
    let pageCount = 0;
    for (let fromPosition: number | null = 0; fromPosition !== null; pageCount++) {
      const page = snapshot.list(SEED, { lanes, privacy, fromPosition, entriesMax: 2 });
      listed.push(...page.entries);
      fromPosition = page.nextPosition;
    }
    const expected = snapshot.read(null, 1e9).filter(({ key }) => buckets.has(bucketOf(key)));
    check.ok(expected.length > 0 && pageCount > 1);
    check.is(listed.length, expected.length);
    check.is(new Set(listed.map(({ keyDigest }) => keyDigest)).size, expected.length);
    listed.forEach((entry, i) => {
      check.ok(i === 0 || entry.position >= (listed[i - 1]?.position ?? 0));
      check.is(entry.keyPrefix.length, 3, 'no more of a key than may be seen');
      check.match(entry.keyHash, /^[0-9a-f]{8}$/);
      const { value } = expected[i] as PhysicalEntry;
      check.is(entry.expiryMs, expiryOf(value));
    });
    snapshot.close();
  }
});

async function failureOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('it did not fail');
}

test.run();
