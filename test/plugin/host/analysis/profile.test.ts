import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ProfileLedger, type WindowLoad } from '../../../../plugin/host/analysis/profile-ledger.ts';
import {
  decodeChunk,
  encodeWindow,
  ProfilePublisher,
} from '../../../../plugin/host/analysis/profile-publisher.ts';
import { openEmbeddedMetadata } from '../../../../plugin/metadata/embedded.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { LOAD_DIMENSION_COUNT } from '../../../../src/model/load-profile.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('published profiles');
const WINDOW_MS = 1_000;
const PREFIX = '/foreshard/v1/test/profile/';

function windowLoad(
  startMs: number,
  queryNodeId: number,
  over: Partial<WindowLoad> = {},
  partitionCount = 4,
): WindowLoad {
  const values = Float64Array.from(
    { length: partitionCount * LOAD_DIMENSION_COUNT },
    (_, i) => startMs + queryNodeId + i / 8,
  );
  return { startMs, queryNodeId, values, capturedCount: 10, droppedCount: 0, ...over };
}
const ledgerOf = (partitionCount = 4, windowsMax = 5) =>
  new ProfileLedger({ windowMs: WINDOW_MS, partitionCount, windowsMax });

async function withStore(use: (metadata: MetadataStore) => Promise<void>): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const metadata = openEmbeddedMetadata({ path: folder });
    try {
      await use(metadata);
    } finally {
      await metadata.close();
    }
  });
}
const publisherOf = (metadata: MetadataStore, ledger: ProfileLedger) =>
  new ProfilePublisher({ metadata, ledger, prefix: PREFIX, logger: silentLogger });

test('query nodes’ windows are added up, an outage has coverage 0, drops lower it', () => {
  const ledger = ledgerOf();
  ledger.add(windowLoad(1_000, 1));
  ledger.add(windowLoad(1_000, 2, { capturedCount: 10, droppedCount: 20 }));
  ledger.add(windowLoad(3_000, 1, { capturedCount: 0 }));
  const profile = ledger.toProfile(4_000);
  check.is(profile.startMs, 1_000);
  check.is(profile.windowCount, 3);
  check.equal([...profile.coverage], [0.5, 0, 1]);
  check.is(profile.values[0], 1_001 + 1_002);
  check.is(profile.values[4 * LOAD_DIMENSION_COUNT], 0);
});

test('a profile ends at the present and is no longer than the history', () => {
  const ledger = ledgerOf();
  for (let w = 1; w <= 9; w++) ledger.add(windowLoad(w * WINDOW_MS, 1));
  ledger.add(windowLoad(1_795_000_000_000, 1)); // the machine's time beside a replay's
  const profile = ledger.toProfile(9_500);
  check.is(profile.startMs, 4_000);
  check.is(profile.windowCount, 5);
});

test('a window of another grid or size is refused', () => {
  const ledger = ledgerOf();
  check.throws(() => ledger.add(windowLoad(1_500, 1)), /not on the grid/);
  check.throws(() => ledger.add(windowLoad(1_000, 1, {}, 8)), /holds 32 values/);
  check.throws(
    () => ledger.toProfile(9_000),
    (error: unknown) => error instanceof ForeshardError && error.code === 'FORESHARD_NOT_READY',
  );
});

test('what one query node publishes another reads, to the last bit', async () => {
  await withStore(async (metadata) => {
    const sent = [windowLoad(1_000, 1), windowLoad(2_000, 1, { droppedCount: 3 })];
    await publisherOf(metadata, ledgerOf()).publish(sent);
    const ledger = ledgerOf();
    await publisherOf(metadata, ledger).refresh(3_000);
    const expected = ledgerOf();
    for (const window of sent) expected.add(window);
    check.equal(ledger.toProfile(3_000), expected.toProfile(3_000));
  });
});

test('what is older than the history leaves the store', async () => {
  await withStore(async (metadata) => {
    const publisher = publisherOf(metadata, ledgerOf());
    await publisher.publish([1, 2, 3, 4, 5, 6, 7].map((w) => windowLoad(w * WINDOW_MS, 1)));
    await publisher.refresh(8_000);
    const { entries } = await metadata.list(PREFIX);
    check.equal(
      entries.map(({ key }) => key.slice(PREFIX.length)),
      [3, 4, 5, 6, 7].map((w) => `${w * WINDOW_MS}/1/00`),
    );
  });
});

test('the widest window keeps every value below 64 KiB, and many windows fit their commits', async () => {
  const chunks = encodeWindow(windowLoad(1_000, 1, {}, 16_384));
  check.is(chunks.length, 16);
  for (const chunk of chunks) check.ok(chunk.length < 65_536, `${chunk.length} bytes`);
  await withStore(async (metadata) => {
    const ledger = ledgerOf(1_024, 200);
    const windows = Array.from({ length: 200 }, (_, w) => windowLoad((w + 1) * WINDOW_MS, 1, {}, 1_024));
    await publisherOf(metadata, ledger).publish(windows);
    await publisherOf(metadata, ledger).refresh(201_000);
    check.is(ledger.windowCount, 200);
  });
});

test('only partitions that were used take room', () => {
  const values = new Float64Array(16_384 * LOAD_DIMENSION_COUNT);
  values[5 * LOAD_DIMENSION_COUNT] = 1;
  const [chunk, ...rest] = encodeWindow(windowLoad(1_000, 1, { values }));
  check.is(rest.length, 0);
  check.ok((chunk as Uint8Array).length < 250);
});

test('a value that is not a profile is refused, and costs its rows only', async () => {
  const [whole] = encodeWindow(windowLoad(1_000, 1)) as [Uint8Array];
  for (const bytes of [
    whole.subarray(0, 40),
    new Uint8Array(0),
    Buffer.from('{"v":1}'),
    new Uint8Array(70_000),
  ])
    check.throws(
      () => decodeChunk('key', bytes),
      (error: unknown) => error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT',
    );
  await withStore(async (metadata) => {
    const ledger = ledgerOf();
    const publisher = publisherOf(metadata, ledger);
    await publisher.publish([windowLoad(1_000, 1)]);
    await metadata.commit({
      conditions: [],
      writes: [{ kind: 'put', key: `${PREFIX}2000/2/00`, value: whole.subarray(0, 40) }],
    });
    await publisher.refresh(3_000);
    check.is(ledger.toProfile(3_000).windowCount, 1);
  });
});

test.run();
