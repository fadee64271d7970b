import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { type Logger, silentLogger } from '../../../../src/base/logger.ts';
import {
  ControlReader,
  type Controls,
  isHeld,
  NO_CONTROLS,
  unlessPaused,
  unlessRetired,
} from '../../../../src/migration/records/controls.ts';
import { RecordReader } from '../../../../src/migration/records/record-reader.ts';
import type { RecordCodec } from '../../../../src/migration/records/records.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { recordIn, STABLE_RECORD } from '../../../support/migration-record.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('records that are read at every tick');

const NONSENSE = new TextEncoder().encode('{');

/** Readers of one store, which count what they decode and what they tell. */
function readers() {
  const plain = recordCodec('test');
  const metadata = new PlainMetadata();
  const [decoded, told]: [string[], string[]] = [[], []];
  const counting = Object.fromEntries(
    Object.entries(plain).map(([name, member]) => [
      name,
      typeof member !== 'function' || !name.startsWith('decode')
        ? member
        : (...parameters: unknown[]) => {
            decoded.push(name);
            return (member as (...all: unknown[]) => unknown)(...parameters);
          },
    ]),
  ) as unknown as RecordCodec;
  const logger: Logger = { ...silentLogger, error: (_fields: object, message: string) => told.push(message) };
  const store = metadata as unknown as MetadataStore;
  return {
    metadata,
    codec: plain,
    told,
    controls: new ControlReader(store, counting, logger),
    records: new RecordReader(store, counting, logger),
    /** What was decoded since the last call. */
    decoded: () => decoded.splice(0).sort(),
  };
}

test('what has not changed is decoded once, what has is decoded again, what is gone is forgotten', async () => {
  const { metadata, codec, controls, records, decoded } = readers();
  const { keys } = codec;
  const putRecord = (record = STABLE_RECORD): void =>
    metadata.put(keys.map(record.partitionId), codec.encodePartition(record));
  const reject = (untilMs: number): void => {
    const rejection = { requestId: '1-r', by: 'ann', reason: 'no', atMs: 0, partitionId: 5, untilMs };
    metadata.put(keys.rejection(5), codec.encodeRejection(rejection));
  };
  metadata.put(keys.store('store-9'), codec.encodeStoreState('retired'));
  putRecord();
  reject(10);
  const look = async () => ({ ...(await controls.read()), ...(await records.read()) });

  const first = await look();
  check.equal(decoded(), ['decodePartition', 'decodeRejection', 'decodeStoreState']);
  check.equal([...first.retiredStoreIds], ['store-9']);
  check.is(first.rejections.get(5)?.untilMs, 10);
  check.equal(await look(), first);
  check.equal(decoded(), []);

  reject(20);
  putRecord(recordIn('COPY'));
  const second = await look();
  check.equal(decoded(), ['decodePartition', 'decodeRejection']);
  check.is(second.rejections.get(5)?.untilMs, 20);
  check.is(second.open.length, 1);

  metadata.entries.delete(keys.rejection(5));
  check.is((await look()).rejections.size, 0);
});

test('a record that is not valid is told of once, until somebody writes it anew, and holds up no other', async () => {
  const { metadata, codec, controls, records, told } = readers();
  const { keys } = codec;
  metadata.put(keys.map(4), NONSENSE);
  metadata.put(keys.map(5), codec.encodePartition(STABLE_RECORD));
  for (const key of [
    keys.request(1),
    keys.retirement('s'),
    keys.approval(1),
    keys.rejection(1),
    keys.store('s'),
  ])
    metadata.put(key, NONSENSE);
  for (let tick = 0; tick < 3; tick++) {
    const found = await controls.read();
    check.equal(found.rejections.get(1)?.untilMs, null, 'it holds nothing back');
    check.is(found.storeRevisions.get('s'), metadata.entries.get(keys.store('s'))?.revision);
    check.equal((await records.read()).records.slice(4), [null, STABLE_RECORD]);
  }
  check.is(told.length, 6);
  metadata.put(keys.approval(1), NONSENSE);
  await controls.read();
  check.is(told.length, 7);
});

const { keys: KEYS } = recordCodec('test');
const PARTITION = STABLE_RECORD.partitionId;
const withControls = (change: Partial<Controls>): Controls => ({ ...NO_CONTROLS, ...change });

test('a pause of all holds what planners have begun, one of a partition whatever goes on there', () => {
  const [planned, asked] = [recordIn('COPY'), recordIn('COPY', { kind: 'rollback' })];
  check.equal(
    [planned, asked].map((record) => isHeld(record, NO_CONTROLS)),
    [false, false],
  );
  const all = withControls({ isPaused: true });
  check.equal(
    [planned, asked].map((record) => isHeld(record, all)),
    [true, false],
  );
  const own = withControls({ pausedPartitionIds: new Set([PARTITION]) });
  check.equal(
    [planned, asked].map((record) => isHeld(record, own)),
    [true, true],
  );
  const other = withControls({ pausedPartitionIds: new Set([PARTITION + 1]) });
  check.equal(
    [planned, asked].map((record) => isHeld(record, other)),
    [false, false],
  );
});

test('a step is committed only while no pause has come, and the way back always', () => {
  const [ofPartition, ofAll] = [
    { key: KEYS.pauseOf(PARTITION), revisionIs: 0 },
    { key: KEYS.pause, revisionIs: 0 },
  ];
  const conditions = (
    before: ReturnType<typeof recordIn>,
    after: Parameters<typeof unlessPaused>[1],
  ): unknown => unlessPaused(before, after, KEYS);
  check.equal(conditions(recordIn('COPY'), recordIn('CATCHUP')), [ofPartition, ofAll]);
  check.equal(conditions(recordIn('COPY', { kind: 'rollback' }), recordIn('CATCHUP')), [ofPartition]);
  check.equal(conditions(recordIn('COPY'), recordIn('ABORT')), []);
  const [half, full] = [recordIn('SHIFT', { readWeight: 0.5 }), recordIn('SHIFT', { readWeight: 1 })];
  check.equal(conditions(half, full), [ofPartition, ofAll], 'more reads to the copy');
  check.equal(conditions(full, half), [], 'fewer');
  check.equal(conditions(recordIn('FENCED'), recordIn('SWITCHED')), [], 'past the fence nothing pauses');
});

test('a store becomes an owner only as the state of it that was read, and one that is retired never', () => {
  const [before, after] = [recordIn('FENCED'), recordIn('SWITCHED')];
  check.equal(
    unlessRetired(before, recordIn('VERIFY'), withControls({ retiredStoreIds: new Set(['store-1']) }), KEYS),
    [],
  );
  const controls = withControls({ storeRevisions: new Map([['store-2', 44]]) });
  const unasked = { key: KEYS.retirement('store-2'), revisionIs: 0 };
  check.equal(unlessRetired(before, after, controls, KEYS), [
    { key: KEYS.store('store-2'), revisionIs: 44 },
    unasked,
  ]);
  check.equal(unlessRetired(before, after, NO_CONTROLS, KEYS), [
    { key: KEYS.store('store-2'), revisionIs: 0 },
    unasked,
  ]);
  check.is(unlessRetired(before, after, withControls({ retiredStoreIds: new Set(['store-2']) }), KEYS), null);
});

test.run();
