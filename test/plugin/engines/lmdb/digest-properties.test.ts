/** What a digest must tell apart, and what it must not; and that the one kept with every write is the one of a scan. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { DigestScan } from '../../../../plugin/engines/lmdb/digest-scan.ts';
import type { LmdbEngine } from '../../../../plugin/engines/lmdb/engine.ts';
import { EntryHasher } from '../../../../plugin/engines/lmdb/entry-hasher.ts';
import { encodedKey, PhysicalKey } from '../../../../plugin/engines/lmdb/physical-key.ts';
import { RunningDigest } from '../../../../plugin/engines/lmdb/running-digest.ts';
import type { ForeshardError } from '../../../../src/base/errors.ts';
import { digestsEqual } from '../../../../src/migration/verification.ts';
import type { Digest } from '../../../../src/model/migration.ts';
import { digestSums, type OracleEntry } from '../../../oracles/digest.ts';
import { testSeed } from '../../../support/seed.ts';
import { EngineBench, ownAll } from './support.ts';

const test = suite<{ bench: EngineBench }>('digests');
const RUNS = { seed: Number(testSeed('digests') % 2n ** 31n) };
const SEED = '0123456789abcdef';
const hasher = EntryHasher.load();

test.before((context) => {
  context.bench = new EngineBench();
});
test.after((context) => context.bench.close());

function scanOf(entries: readonly OracleEntry[], seed = SEED): Digest {
  const scan = new DigestScan(hasher, seed);
  for (const { key, value } of entries) scan.add(key, value);
  const digest = scan.digest();
  scan.close();
  return digest;
}

const hexOf = (sums: BigUint64Array): string[] =>
  Array.from(sums, (sum) => sum.toString(16).padStart(16, '0'));

/** Physical keys of a few redis keys, values as records with an expiry: what two copies of a partition hold. */
const entriesArbitrary = fc
  .uniqueArray(
    fc.record({
      name: fc.string({ minLength: 1, maxLength: 8 }),
      value: fc.uint8Array({ minLength: 9, maxLength: 300 }),
    }),
    { minLength: 2, maxLength: 12, selector: ({ name }) => Buffer.from(name).toString('hex') },
  )
  .map((named) =>
    named.map(({ name, value }): OracleEntry => {
      const key = new PhysicalKey();
      const bytes = Buffer.from(name);
      key.setKey(bytes, 0, bytes.length);
      return { key: key.bytes.slice(0, key.length), value };
    }),
  );

const flipped = (bytes: Uint8Array, at: number, bit: number): Uint8Array => {
  const copy = bytes.slice();
  copy[at % copy.length] ^= 1 << bit;
  return copy;
};

/** Each makes of some entries others that are not the same; or gives up, where nothing can be changed that way. */
const ALTERATIONS: Readonly<
  Record<string, (entries: readonly OracleEntry[], i: number, at: number) => readonly OracleEntry[] | null>
> = {
  'an entry is missing': (entries, i) => entries.filter((_, other) => other !== i),
  'an entry is there twice': (entries, i) => [...entries, entries[i] as OracleEntry],
  'an entry is there twice, another is missing': (entries, i) => {
    const j = (i + 1) % entries.length;
    return entries.map((entry, other) => (other === j ? (entries[i] as OracleEntry) : entry));
  },
  'one bit of a value': (entries, i, at) =>
    entries.map((entry, other) =>
      other === i ? { ...entry, value: flipped(entry.value, at, at & 7) } : entry,
    ),
  'one bit of a key': (entries, i, at) =>
    entries.map((entry, other) => (other === i ? { ...entry, key: flipped(entry.key, at, at & 7) } : entry)),
  'an expiry': (entries, i, at) =>
    entries.map((entry, other) =>
      other === i ? { ...entry, value: flipped(entry.value, 1 + (at % 8), at & 7) } : entry,
    ),
  'the values of two keys': (entries, i) => {
    const j = (i + 1) % entries.length;
    const [one, two] = [entries[i] as OracleEntry, entries[j] as OracleEntry];
    if (Buffer.compare(one.value, two.value) === 0) return null;
    return entries.map((entry, other) => {
      if (other === i) return { ...one, value: two.value };
      return other === j ? { ...two, value: one.value } : entry;
    });
  },
  'the border between key and value': (entries, i) =>
    entries.map((entry, other) => {
      if (other !== i) return entry;
      const cut = entry.value.length - 1;
      return {
        key: Buffer.concat([entry.value.subarray(cut), entry.key]),
        value: entry.value.subarray(0, cut),
      };
    }),
  'a byte more': (entries, i) =>
    entries.map((entry, other) =>
      other === i ? { ...entry, value: Buffer.concat([entry.value, Buffer.of(0)]) } : entry,
    ),
};

for (const [what, alter] of Object.entries(ALTERATIONS))
  test(`another digest: ${what}`, () => {
    fc.assert(
      fc.property(entriesArbitrary, fc.nat(11), fc.nat(300), (entries, index, at) => {
        const altered = alter(entries, index % entries.length, at);
        fc.pre(altered !== null);
        check.not.equal(scanOf(altered).buckets, scanOf(entries).buckets);
      }),
      { ...RUNS, numRuns: 40 },
    );
  });

test('the same digest in any order, and the one of the definition', () => {
  const shuffled = entriesArbitrary.chain((entries) =>
    fc.record({
      entries: fc.constant(entries),
      other: fc.shuffledSubarray([...entries], { minLength: entries.length, maxLength: entries.length }),
    }),
  );
  fc.assert(
    fc.property(shuffled, ({ entries, other }) => {
      const digest = scanOf(entries);
      check.ok(digestsEqual(digest, scanOf(other)));
      const sums = digestSums(entries, BigInt(`0x${SEED}`));
      check.equal(digest.buckets, hexOf(sums.subarray(0, 512)));
      check.equal([digest.entryCount, digest.sizeBytes], [Number(sums[512]), Number(sums[513])]);
    }),
    { ...RUNS, numRuns: 40 },
  );
});

test('another seed, another digest', () => {
  const entry = { key: new Uint8Array(12), value: new Uint8Array(40) };
  check.not.equal(scanOf([entry]).buckets, scanOf([entry], '0123456789abcdee').buckets);
});

test('an entry larger than a page is hashed like any other', () => {
  const key = new Uint8Array(20).fill(7);
  const value = new Uint8Array(300_001).map((_, i) => (i * 31) & 255);
  const small = { key, value: value.subarray(0, 5) };
  const digest = scanOf([small, { key, value }, small]);
  const sums = digestSums([small, { key, value }, small], BigInt(`0x${SEED}`));
  check.equal(digest.buckets, hexOf(sums.subarray(0, 512)));
});

test('what is added and taken away again leaves nothing, whatever carries there are', () => {
  fc.assert(
    fc.property(entriesArbitrary, (entries) => {
      const running = new RunningDigest(hasher, SEED, { isComplete: true });
      running.sums.fill(0xffff_ffff_ffff_fff0n); // so that words overflow
      const before = running.sums.slice();
      for (const { key, value } of entries) running.add(key, key.length, value, value.length);
      const expected = digestSums(entries, BigInt(`0x${SEED}`));
      running.sums.forEach((sum, i) => {
        check.is(sum, BigInt.asUintN(64, (before[i] as bigint) + (expected[i] as bigint)));
      });
      for (const { key, value } of [...entries].reverse())
        running.subtract(key, key.length, value, value.length);
      check.equal(running.sums, before);
    }),
    { ...RUNS, numRuns: 25 },
  );
});

interface Operation {
  readonly key: number;
  readonly valueBytes: number;
  readonly expiryMs: number;
  readonly kind: 'put' | 'delete' | 'begin' | 'adopt';
}

const operationArbitrary: fc.Arbitrary<Operation> = fc.record({
  key: fc.nat(9),
  // Values on overflow pages, beyond lmdb's read buffer and beyond the hasher's first block come up as well.
  valueBytes: fc.oneof(
    { weight: 20, arbitrary: fc.nat(400) },
    { weight: 1, arbitrary: fc.constantFrom(5_000, 70_000) },
  ),
  expiryMs: fc.constantFrom(0, 0, 1_700_000_099_000, 1_700_000_098_000),
  kind: fc.constantFrom('put', 'put', 'put', 'delete', 'begin', 'adopt'),
});

test('the digest kept with every write is the one of a scan, after whatever writes, and wherever it was begun', async ({
  bench,
}) => {
  const engine = await bench.open();
  await ownAll(engine);
  const { store } = engine;
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(operationArbitrary, { minLength: 3, maxLength: 40 }), async (operations) => {
      // A seed of its own: each run begins a digest anew, on what the run before has left.
      const digestSeed = (++round).toString(16).padStart(16, '0');
      const partitionId = 0;
      const key = new PhysicalKey();
      let snapshot = null as ReturnType<typeof store.openSnapshot> | null;
      for (const { kind, ...operation } of operations) {
        if (kind === 'begin') await store.startChangeLog(partitionId, { digestSeed });
        else if (kind === 'adopt') {
          // The scan sees what was there when its snapshot was opened; writes go on in between.
          if (snapshot) await store.adoptDigest(partitionId, snapshot, await snapshot.digest(digestSeed));
          snapshot?.close();
          snapshot =
            store.meta(partitionId).digestSeed === digestSeed ? store.openSnapshot(partitionId) : null;
        } else write(store, key, kind, operation);
      }
      await store.startChangeLog(partitionId, { digestSeed });
      snapshot?.close();
      const last = store.openSnapshot(partitionId);
      const scanned = await last.digest(digestSeed);
      await store.adoptDigest(partitionId, last, scanned);
      const sums = digestSums(last.read(null, 1e9), BigInt(`0x${digestSeed}`));
      last.close();
      check.equal(scanned.buckets, hexOf(sums.subarray(0, 512)));
      check.equal(store.runningDigest(partitionId).digest, scanned);
    }),
    { ...RUNS, numRuns: 12 },
  );
});

function write(
  store: LmdbEngine['store'],
  key: PhysicalKey,
  kind: 'put' | 'delete',
  operation: Omit<Operation, 'kind'>,
): void {
  // The tag's slot lies in partition 0.
  const bytes = Buffer.from(`{10}${operation.key}`);
  key.setKey(bytes, 0, bytes.length);
  const state = store.states[store.partitionOfSlot(key.slot)];
  check.is(state.partitionId, 0);
  store.transact(() => {
    if (kind === 'delete') store.writer.delete(state, key);
    else {
      store.writer.value.setStringHeader(operation.expiryMs);
      store.writer.value.append(Buffer.alloc(operation.valueBytes, operation.key), 0, operation.valueBytes);
      store.writer.put(state, key);
    }
  });
}

test('a store whose digests another version began is refused, not misread', async ({ bench }) => {
  const engine = await bench.open({ name: 'older' });
  await ownAll(engine);
  await engine.store.startChangeLog(3, { digestSeed: SEED });
  const { environment } = engine;
  const key = encodedKey(Buffer.from(['d'.charCodeAt(0), 0, 3]));
  environment.write(() => {
    const bytes = new Uint8Array(environment.meta.getBinary(key) as Uint8Array);
    bytes[16] &= 1; // before there was a number of the format
    environment.meta.put(key, bytes);
  });
  await bench.closeEngine(engine);
  try {
    await bench.open({ name: 'older' });
    check.unreachable();
  } catch (error) {
    check.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
    check.match((error as Error).message, /partition 3 .* digest has format 1, this version writes 2/);
  }
});

test.run();
