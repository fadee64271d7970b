import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { recordCodec } from '../../../plugin/metadata/record-codec.ts';
import { VirtualClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { CoordinatorParts } from '../../../src/migration/coordinator-parts.ts';
import { LeftoverSweeper } from '../../../src/migration/leftovers.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../src/migration/settings.ts';
import { asPartitionId } from '../../../src/model/ids.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import { recordIn, STABLE_RECORD } from '../../support/migration-record.ts';

const test = suite('left-overs of migrations');

const codec = recordCodec('test');
const OF_PARTITION = { partitionId: asPartitionId(3) };
const STABLE: PartitionRecord = { ...STABLE_RECORD, ...OF_PARTITION, migrationSeq: 4 };
const OPENED: PartitionRecord = recordIn('COPY', {}, OF_PARTITION);

/** One sweep with a clean-up record of migration 4 at node 2. @returns what the nodes were asked for, and what was forgotten. */
async function sweep(options: { known: PartitionRecord; now: PartitionRecord }): Promise<string[]> {
  const events: string[] = [];
  const key = codec.keys.cleanup(3, 4, 'store-2');
  const value = codec.encodeCleanup({ kind: 'staging', policy: 'on-failure', sinceMs: 0, nodeId: 2 });
  const asked = (what: string, answer: unknown) => async () => {
    events.push(what);
    return answer;
  };
  const components = {
    clock: new VirtualClock(),
    logger: silentLogger,
    codec,
    metadata: {
      list: async () => ({ entries: [{ key, value, revision: 9, createRevision: 9 }], revision: 9 }),
      get: async () => ({ value: codec.encodePartition(options.now) }),
    },
    engine: {
      status: async (nodeId: number) =>
        nodeId === 1 ? { role: 'OWNER', epoch: 7 } : { role: 'NONE', epoch: 7 },
      nodeStatistics: async () => ({ storeId: 'store-2' }),
      abort: asked('abort', true),
    },
    committer: { commit: asked('forget', 10) },
  } as unknown as CoordinatorParts;
  const sweeper = new LeftoverSweeper(DEFAULT_MIGRATION_SETTINGS, components);
  const records: (PartitionRecord | null)[] = [];
  records[3] = options.known;
  sweeper.tick(records, () => false);
  await sweeper.settled();
  return events;
}

test('a copy of a migration that is over is dropped, and its clean-up forgotten', async () => {
  check.equal(await sweep({ known: STABLE, now: STABLE }), ['abort', 'forget']);
});

test('a copy of a migration that was opened since the map was read is left alone', async () => {
  check.equal(await sweep({ known: { ...STABLE, migrationSeq: 3 }, now: OPENED }), []);
});

test.run();
