import { once } from 'node:events';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { hashOfKey } from '../../../plugin/capture/key-hash.ts';
import {
  createRingMemory,
  HEAD_INDEX,
  HEADER_BYTES,
  RingProducer,
  TAIL_INDEX,
} from '../../../plugin/capture/ring.ts';
import { RingSource } from '../../../plugin/capture/ring-source.ts';
import { commandIndexOf } from '../../../plugin/commands/table.ts';
import { startThread } from '../../../plugin/threads/thread.ts';
import type { QueryRecord } from '../../../src/model/query-log.ts';

const test = suite('capture ring');
const GET = commandIndexOf('GET');
const SET = commandIndexOf('SET');

function offer(producer: RingProducer, sequence: number): void {
  const key = Buffer.from(`..key:${sequence}`, 'latin1');
  producer.record(
    GET,
    sequence % 256,
    3,
    sequence * 3,
    key,
    2,
    key.length - 2,
    sequence,
    40,
    70,
    sequence % 4,
  );
}

function drainAll(source: RingSource): { records: QueryRecord[]; droppedCount: number } {
  const records: QueryRecord[] = [];
  const { droppedCount } = source.drain((record) => records.push(record));
  return { records, droppedCount };
}

function ring(
  options: { slotCount?: number; keyPrefixBytes?: number; keyHash?: boolean; readClock?: () => number } = {},
) {
  const memory = createRingMemory(options.slotCount ?? 256);
  const producer = new RingProducer(memory, {
    keyPrefixBytes: options.keyPrefixBytes ?? 24,
    keyHash: options.keyHash ?? true,
    readClock: options.readClock ?? (() => 1_000),
  });
  return { memory, producer, source: new RingSource(memory) };
}

test('a record comes out as it went in', () => {
  const { producer, source } = ring({ readClock: () => 1_700_000_000_123.5 });
  const key = Buffer.from('xxuser:{42}:näme', 'latin1');
  producer.record(SET, 65_535, 65_535, -7, key, 2, key.length - 2, 2_000_000_000, 8_388_608, 5, 3);
  producer.publish();
  check.equal(drainAll(source).records, [
    {
      timeMs: 1_700_000_000_123.5,
      command: 'SET',
      keyPrefix: 'user:{42}:näme',
      keyHash: hashOfKey(Buffer.from('user:{42}:näme', 'latin1'), 0, 14) >>> 0,
      partitionId: 65_535,
      nodeId: 65_535,
      clientId: -7,
      latencyUs: 2_000_000_000,
      requestBytes: 8_388_608,
      replyBytes: 5,
      isWrite: true,
      outcome: 'unavailable',
    },
  ]);
});

test('a key is cut to the configured prefix, and 0 keeps none of it', () => {
  for (const [keyPrefixBytes, expected] of [
    [24, 'a'.repeat(24)],
    [3, 'aaa'],
    [0, ''],
  ] as const) {
    const { producer, source, memory } = ring({ keyPrefixBytes });
    producer.record(GET, 1, 1, 1, Buffer.from('a'.repeat(40)), 0, 40, 1, 1, 1, 0);
    producer.publish();
    check.is(drainAll(source).records[0]?.keyPrefix, expected);
    // What is cut off is nowhere in the shared memory either.
    const kept = [...new Uint8Array(memory.buffer, HEADER_BYTES)].filter((byte) => byte === 97).length;
    check.is(kept, expected.length);
  }
});

test('keys are told apart by their hash where no prefix is kept, and by nothing where that is turned off', () => {
  const hashesOf = (keyHash: boolean, keys: readonly string[]): number[] => {
    const { producer, source } = ring({ keyPrefixBytes: 0, keyHash });
    for (const key of keys) producer.record(GET, 1, 1, 1, Buffer.from(`xx${key}`), 2, key.length, 1, 1, 1, 0);
    producer.publish();
    return drainAll(source).records.map((record) => record.keyHash);
  };
  const keys = [
    '',
    'a',
    'b',
    'ab',
    'ba',
    'user:1',
    'user:2',
    'x'.repeat(64),
    'x'.repeat(65),
    `${'x'.repeat(200)}y`,
  ];
  const hashes = hashesOf(true, keys);
  check.is(new Set(hashes).size, keys.length);
  check.not.ok(hashes.includes(0));
  check.equal(hashesOf(true, keys), hashes);
  check.equal(new Set(hashesOf(false, keys)), new Set([0]));
});

test('a hundred thousand numbered keys share no more hashes than chance would have it', () => {
  const hashes = new Set<number>();
  for (let i = 0; i < 100_000; i++) {
    const key = Buffer.from(`session:${i}`);
    hashes.add(hashOfKey(key, 0, key.length));
  }
  // Of 100,000 random 32-bit numbers 1.2 pairs are expected to be equal; 12 would be one run in 10^8.
  check.ok(hashes.size > 100_000 - 12, `${100_000 - hashes.size} collisions`);
});

test('records are invisible until published, in groups of 64 or by a tick', () => {
  const { producer, source } = ring();
  for (let i = 0; i < 63; i++) offer(producer, i);
  check.is(drainAll(source).records.length, 0);
  offer(producer, 63);
  offer(producer, 64);
  check.is(drainAll(source).records.length, 64);
  producer.tick();
  check.is(drainAll(source).records.length, 1);
});

test('a full ring drops and counts exactly, and goes on once there is room', () => {
  const { producer, source } = ring();
  for (let i = 0; i < 300; i++) offer(producer, i);
  const first = drainAll(source);
  check.is(first.records.length, 256);
  check.is(first.droppedCount, 44);
  check.is(first.records.at(-1)?.latencyUs, 255);
  for (let i = 300; i < 310; i++) offer(producer, i);
  producer.publish();
  const second = drainAll(source);
  check.equal(
    second.records.map((record) => record.latencyUs),
    [300, 301, 302, 303, 304, 305, 306, 307, 308, 309],
  );
  check.is(second.droppedCount, 0);
});

test('counters run over 2^31 and 2^32 without a wrong record or drop', () => {
  for (const start of [0x7fffffff - 100, -100]) {
    const memory = createRingMemory(256);
    const header = new Int32Array(memory.buffer, 0, HEADER_BYTES / 4);
    header[HEAD_INDEX] = start;
    header[TAIL_INDEX] = start;
    const producer = new RingProducer(memory, { keyPrefixBytes: 24, keyHash: true, readClock: () => 1 });
    const source = new RingSource(memory);
    const seen: number[] = [];
    let droppedCount = 0;
    for (let i = 0; i < 1_000; i++) {
      offer(producer, i);
      if (i % 200 !== 199) continue;
      producer.publish();
      const drained = drainAll(source);
      seen.push(...drained.records.map((record) => record.latencyUs));
      droppedCount += drained.droppedCount;
    }
    check.equal(
      seen,
      Array.from({ length: 1_000 }, (_, i) => i),
    );
    check.is(droppedCount, 0);
  }
});

test('time stays right over weeks, and after a quiet spell', () => {
  let nowMs = 1_700_000_000_000;
  const { producer, source } = ring({ readClock: () => nowMs });
  offer(producer, 1);
  nowMs += 40 * 86_400_000;
  producer.tick();
  offer(producer, 2);
  producer.publish();
  check.equal(
    drainAll(source).records.map((record) => record.timeMs),
    [1_700_000_000_000, 1_700_000_000_000 + 40 * 86_400_000],
  );
});

test('a busy ring reads the clock at least every 16 records', () => {
  let nowMs = 0;
  const { producer, source } = ring({ readClock: () => nowMs });
  for (let i = 0; i < 200; i++) {
    nowMs = i;
    offer(producer, i);
  }
  producer.publish();
  for (const record of drainAll(source).records) {
    check.ok(record.timeMs <= record.latencyUs && record.timeMs > record.latencyUs - 16);
  }
});

test('under a virtual clock records bear the time that was set, whatever the machine says', () => {
  let nowMs = 5_000;
  const { producer, source } = ring({ readClock: () => nowMs++ });
  producer.setVirtualTime(981_000_000_000);
  for (let i = 0; i < 40; i++) offer(producer, i);
  producer.tick();
  producer.setVirtualTime(981_000_060_000);
  offer(producer, 40);
  producer.publish();
  const times = drainAll(source).records.map((record) => record.timeMs);
  check.equal(new Set(times.slice(0, 40)), new Set([981_000_000_000]));
  check.is(times[40], 981_000_060_000);
});

/** Offers `count` records to a ring that another thread empties. */
async function offerToThread(options: {
  readonly slotCount: number;
  readonly count: number;
  readonly isPatient: boolean;
}) {
  const { memory, producer } = ring({ slotCount: options.slotCount });
  const stop = new SharedArrayBuffer(4);
  const thread = startThread(new URL('./ring-reader-thread.ts', import.meta.url), {
    workerData: { memory, stop },
  });
  try {
    await once(thread, 'message');
    for (let i = 0; i < options.count; i++) {
      // Spinning is right here: the other thread needs no turn of this one's event loop.
      if (options.isPatient) while (producer.freeSlots() === 0) producer.publish();
      offer(producer, i);
    }
    producer.publish();
    Atomics.store(new Int32Array(stop), 0, 1);
    const [seen] = await once(thread, 'message');
    return seen as {
      recordCount: number;
      droppedCount: number;
      disorderCount: number;
      mismatchCount: number;
    };
  } finally {
    await thread.terminate();
  }
}

test('with a real second thread nothing is lost and order is kept', async () => {
  const seen = await offerToThread({ slotCount: 1_024, count: 100_000, isPatient: true });
  check.equal(seen, { recordCount: 100_000, droppedCount: 0, disorderCount: 0, mismatchCount: 0 });
});

test('with a real second thread that falls behind, recorded and dropped add up to what was offered', async () => {
  const seen = await offerToThread({ slotCount: 256, count: 200_000, isPatient: false });
  check.is(seen.recordCount + seen.droppedCount, 200_000);
  check.ok(seen.droppedCount > 0, 'the ring is small enough to overflow');
  check.is(seen.disorderCount, 0);
  check.is(seen.mismatchCount, 0);
});

test.run();
