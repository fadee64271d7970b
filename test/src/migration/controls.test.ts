import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { recordCodec } from '../../../plugin/metadata/record-codec.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import { ControlReader } from '../../../src/migration/controls.ts';
import { RecordReader } from '../../../src/migration/record-reader.ts';
import type { RecordCodec } from '../../../src/migration/records.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { recordIn, STABLE_RECORD } from '../../support/migration-record.ts';
import { PlainMetadata } from '../../support/plain-metadata.ts';

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

test.run();
