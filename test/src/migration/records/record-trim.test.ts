import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { Committer } from '../../../../src/migration/records/committer.ts';
import { ControlReader, type Controls } from '../../../../src/migration/records/controls.ts';
import {
  RecordTrimmer,
  type RecordTrimmerComponents,
} from '../../../../src/migration/records/record-trim.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../../src/migration/settings.ts';
import type { MetadataEntry, MetadataStore, MetadataWrite } from '../../../../src/ports/metadata-store.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('trimming of old records');

const codec = recordCodec('test');

test('the newest records of the audit are kept, the oldest go, a transaction at a time', async () => {
  const clock = new VirtualClock();
  let ids = Array.from({ length: 370 }, (_, i) => `${String(i).padStart(15, '0')}-a`);
  const components = {
    clock,
    logger: silentLogger,
    codec,
    metadata: { list: async () => ({ entries: ids.map((id) => ({ key: codec.keys.audit(id) })) }) },
    committer: {
      commit: async (_conditions: unknown, writes: readonly MetadataWrite[]) => {
        const deleted = new Set(writes.map(({ key }) => key));
        ids = ids.filter((id) => !deleted.has(codec.keys.audit(id)));
      },
    },
  } as unknown as RecordTrimmerComponents;
  const trimmer = new RecordTrimmer({ ...DEFAULT_MIGRATION_SETTINGS, auditRecordsMax: 250 }, components);
  const look = async (): Promise<number> => {
    trimmer.tick({ rejections: new Map() });
    await trimmer.settled();
    return ids.length;
  };
  check.is(await look(), 270);
  check.is(await look(), 270, 'not at every tick');
  clock.advanceTo(60_000);
  check.is(await look(), 250);
  clock.advanceTo(120_000);
  check.is(await look(), 250);
  check.equal([ids[0], ids.at(-1)], ['000000000000120-a', '000000000000369-a']);
});

test('a rejection that ran out an hour ago goes, unless it was given again; one that nobody can read stays', async () => {
  const clock = new VirtualClock(10_000_000);
  const metadata = new PlainMetadata();
  const store = metadata as unknown as MetadataStore;
  metadata.put(codec.keys.coordinator, new Uint8Array(1));
  const { createRevision } = metadata.entries.get(codec.keys.coordinator) as MetadataEntry;
  const base = { requestId: '1-r', by: 'ann', reason: 'no', atMs: 0 };
  const reject = (partitionId: number, untilMs: number): void => {
    metadata.put(codec.keys.rejection(partitionId), codec.encodeRejection({ ...base, partitionId, untilMs }));
  };
  reject(0, 10_000_000 - 3_600_000);
  reject(1, 10_000_000 - 3_599_000);
  reject(2, 0);
  metadata.put(codec.keys.rejection(3), new TextEncoder().encode('?'));
  const components = { clock, logger: silentLogger, metadata: store, codec };
  const fence = { key: codec.keys.coordinator, createRevisionIs: createRevision };
  const leadership = {
    fence,
    lost: new Promise<never>(() => {}),
    isHeld: () => true,
    resign: async () => {},
  };
  const committer = new Committer({ ...components, leadership: () => leadership });
  const trimmer = new RecordTrimmer(DEFAULT_MIGRATION_SETTINGS, { ...components, committer });
  const left = (): number[] =>
    [0, 1, 2, 3].filter((partitionId) => metadata.entries.has(codec.keys.rejection(partitionId)));
  const read = (): Promise<Controls> => new ControlReader(store, codec, silentLogger).read();

  const before = await read();
  reject(2, 20_000_000);
  trimmer.tick(before);
  await trimmer.settled();
  check.equal(left(), [0, 1, 2, 3], 'one of the two has changed since it was read: neither goes, this time');
  clock.advanceTo(10_060_000);
  trimmer.tick(await read());
  await trimmer.settled();
  check.equal(left(), [2, 3]);
});

test.run();
