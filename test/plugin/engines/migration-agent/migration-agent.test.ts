/** What a node deletes, and what it keeps: the real agent on a store in memory. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { DEFAULT_AGENT_SETTINGS } from '../../../../plugin/engines/migration-agent/agent-settings.ts';
import { MigrationAgent } from '../../../../plugin/engines/migration-agent/migration-agent.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { asEpoch } from '../../../../src/model/ids.ts';
import type { PartitionRecord, PartitionRole } from '../../../../src/model/migration.ts';
import { EMPTY_META, MemoryPartitionStore, newDisk } from '../../../support/memory-partition-store.ts';
import { recordIn, STABLE_RECORD } from '../../../support/migration-record.ts';

const test = suite('a node that gives up a copy');

const { partitionId } = STABLE_RECORD;
/** Node 2 went on as the owner after its migration 4; then it was lost, and node 3 took over. */
const TAKEN_OVER: PartitionRecord = { ...STABLE_RECORD, ownerStoreId: 'store-3', epoch: asEpoch(10) };
const COMMAND = { partitionId, migrationId: 4, epoch: 10 };

/** Node 1, the old owner of migration 4, which has 300 entries left. */
async function abortAt(role: PartitionRole, record: PartitionRecord): Promise<string> {
  const store = new MemoryPartitionStore(newDisk('store-1'));
  const partition = store.partition(partitionId);
  for (let i = 0; i < 300; i++) partition.entries.set(`k${i}`, new Uint8Array(1));
  partition.meta = { ...EMPTY_META, role, epoch: 8, epochMax: 8, migrationId: 4, lsn: 300 };
  const agent = new MigrationAgent(
    { ...DEFAULT_AGENT_SETTINGS, partitionCount: 16, removePauseMs: 1 },
    {
      store,
      transport: { request: () => Promise.reject(new Error('nobody is asked')) },
      clock: systemClock(),
      logger: silentLogger,
      readRecord: async () => record,
      cpuSeconds: () => 0,
      isWritable: () => true,
    },
  );
  let answer: unknown;
  // A large copy is asked about again.
  for (let i = 0; i < 20 && answer !== true; i++)
    answer = await agent.handle('redirect.abort', COMMAND).then(
      ({ body }) => body.isDone,
      (error) => error.code,
    );
  await agent.close();
  return `${answer}: ${store.meta(partitionId).role} with ${partition.entries.size}`;
}

test('a deletion that had begun when the owner was given up goes on to its end', async () => {
  check.is(await abortAt('RETIRED', TAKEN_OVER), 'true: NONE with 0');
});

test('a whole copy is never deleted by it: what the takeover has lost may be there', async () => {
  for (const role of ['FOLLOWER', 'FENCED'] as const)
    check.is(await abortAt(role, TAKEN_OVER), `true: ${role} with 300`);
});

test('while the map counts on the store, or its migration is open, nothing more is deleted', async () => {
  for (const record of [recordIn('CLEANUP'), { ...TAKEN_OVER, ownerStoreId: 'store-1' }])
    check.is(await abortAt('RETIRED', record), 'FORESHARD_CONFLICT: RETIRED with 300');
});

test.run();
