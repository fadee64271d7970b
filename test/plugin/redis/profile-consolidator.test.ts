/** Windows of many captured processes become one record each, and nothing counts twice or is lost. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { CONSOLIDATED_ID, ProfileLedger } from '../../../plugin/host/analysis/profile-ledger.ts';
import { ProfilePublisher } from '../../../plugin/host/analysis/profile-publisher.ts';
import { ProfileConsolidator } from '../../../plugin/redis/profile-consolidator.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { PlainMetadata } from '../../support/plain-metadata.ts';

const test = suite('redis: windows of captured processes, added up');
const WINDOW_MS = 3_600_000;
const PARTITIONS = 16;
const PREFIX = '/profile/';
const START_MS = 1_000 * WINDOW_MS;
const LATER_MS = START_MS + 3 * WINDOW_MS;

async function start() {
  const metadata = new PlainMetadata() as unknown as MetadataStore;
  await metadata.commit({
    conditions: [],
    writes: [{ kind: 'put', key: 'office', value: new Uint8Array() }],
  });
  const fence = { key: 'office', revisionIs: 1 };
  const newReader = () => {
    const ledger = new ProfileLedger({ windowMs: WINDOW_MS, partitionCount: PARTITIONS, windowsMax: 10 });
    const publisher = new ProfilePublisher({ metadata, ledger, prefix: PREFIX, logger: silentLogger });
    const sums = async () => {
      await publisher.refresh(LATER_MS);
      const { values, coverage } = ledger.toProfile(LATER_MS);
      return { load: values.reduce((sum, value) => sum + value, 0), coverage: [...coverage] };
    };
    return { publisher, sums };
  };
  const { publisher } = newReader();
  const publish = (queryNodeId: number, load: number, startMs = START_MS) => {
    const values = new Float64Array(PARTITIONS * LOAD_DIMENSION_COUNT);
    values[(queryNodeId % PARTITIONS) * LOAD_DIMENSION_COUNT] = load;
    return publisher.publish([{ startMs, queryNodeId, values, capturedCount: load, droppedCount: 1 }]);
  };
  const ids = async () =>
    (await metadata.list(PREFIX)).entries.map(({ key }) => Number(key.split('/')[3])).sort((a, b) => a - b);
  const consolidator = new ProfileConsolidator(
    { windowMs: WINDOW_MS, partitionCount: PARTITIONS, prefix: PREFIX },
    metadata,
  );
  return { metadata, fence, publish, ids, consolidator, newReader };
}

test('many processes become one record, and whoever has read the parts does not count them twice', async () => {
  const { fence, publish, ids, consolidator, newReader } = await start();
  for (let i = 0; i < 5; i++) await publish(10_000 + i, 10 * (i + 1));
  const { sums } = newReader();
  const before = await sums();
  check.is(before.load, 150);
  check.is(await consolidator.consolidate(LATER_MS, fence), 5);
  check.equal(await ids(), [CONSOLIDATED_ID]);
  check.equal(await sums(), before, 'read before and after');
  check.equal(await newReader().sums(), before, 'read after alone');
  await publish(10_009, 7);
  check.is((await sums()).load, 157);
  check.is(await consolidator.consolidate(LATER_MS, fence), 1);
  check.equal(await ids(), [CONSOLIDATED_ID]);
  check.is((await sums()).load, 157);
});

test('windows that somebody may still write, query nodes and a lone process are left alone', async () => {
  const { fence, publish, ids, consolidator } = await start();
  await publish(3, 1);
  await publish(10_001, 1);
  await publish(10_001, 1, LATER_MS - WINDOW_MS);
  await publish(10_002, 1, LATER_MS - WINDOW_MS);
  check.is(await consolidator.consolidate(LATER_MS, fence), 0);
  check.equal(await ids(), [3, 10_001, 10_001, 10_002]);
});

test('more processes than one transaction takes are added up over several turns', async () => {
  const { fence, publish, ids, consolidator, newReader } = await start();
  for (let i = 0; i < 150; i++) await publish(10_000 + i, 1);
  for (let turns = 0; turns < 5 && (await ids()).length > 1; turns++)
    await consolidator.consolidate(LATER_MS, fence);
  check.equal(await ids(), [CONSOLIDATED_ID]);
  check.is((await newReader().sums()).load, 150);
});

test('whoever does not lead any more changes nothing', async () => {
  const { metadata, publish, ids, consolidator } = await start();
  await publish(10_001, 1);
  await publish(10_002, 1);
  check.is(await consolidator.consolidate(LATER_MS, { key: 'office', revisionIs: 77 }), 0);
  check.equal(await ids(), [10_001, 10_002]);
  check.ok((await metadata.get('office')) !== undefined);
});

test.run();
