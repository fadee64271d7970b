/** What a copy says of itself while it is filled: the real pull on a store in memory, from a source that is scripted. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { CopyPacer } from '../../../../plugin/engines/migration-agent/copy-pacer.ts';
import { encodeEntries } from '../../../../plugin/engines/migration-agent/migration-messages.ts';
import { pullUntilClosed } from '../../../../plugin/engines/migration-agent/migration-pull.ts';
import { MigrationSession } from '../../../../plugin/engines/migration-agent/migration-session.ts';
import type { MigrationTransport } from '../../../../plugin/engines/migration-agent/migration-transport.ts';
import * as role from '../../../../plugin/engines/migration-agent/role-changes.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { asEpoch, asPartitionId } from '../../../../src/model/ids.ts';
import type { LogEntry, PhysicalEntry } from '../../../../src/ports/partition-store.ts';
import { FREE_COPY_RATES } from '../../../../src/ports/storage-engine.ts';
import { MemoryPartitionStore, newDisk } from '../../../support/memory-partition-store.ts';

const test = suite('pull of a copy');

const PARTITION = 1;
const COMMAND = { partitionId: asPartitionId(PARTITION), migrationId: 3, epoch: asEpoch(5) };
const TAKEOVER = { ...COMMAND, migrationId: 4 };
const PIECES = { bytesMin: 1_000, bytesMax: 1_000, tookMsMax: 5 };
const ANY_COPY = { migrationId: null, isEmptyAllowed: false };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const put = (key: string, value: string): PhysicalEntry => ({ key: bytes(key), value: bytes(value) });

/**
 * A source that is at lsn 5, dies after its first piece and comes back at lsn 9. Then it lets its log be read as far as
 * `heardLsn`.
 */
function restartingSource() {
  const source = { heardLsn: 5, isLogAsked: false };
  let openedCount = 0;
  const answer = (entries: readonly (PhysicalEntry | LogEntry)[]) => {
    const bulk = encodeEntries(entries);
    return { bulk, body: { totalBytes: bulk.length, lsn: 9, barrierLsn: null, isEnd: openedCount === 2 } };
  };
  const request: MigrationTransport['request'] = async (_nodeId, operation, body) => {
    switch (operation) {
      case 'replicate.openSnapshot':
        openedCount++;
        return { body: { snapshotId: openedCount, lsn: openedCount === 1 ? 5 : 9 } };
      case 'replicate.readSnapshot':
        if (openedCount === 2) return answer([put('b', 'of lsn 9')]);
        if (body.cursor === null) return answer([put('a', 'of lsn 5')]);
        throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the source is gone');
      default: {
        source.isLogAsked = true;
        const afterLsn = Number(body.afterLsn);
        if (afterLsn >= source.heardLsn) throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'later');
        return answer([{ lsn: afterLsn + 1, kind: 'put', ...put('a', `of lsn ${afterLsn + 1}`) }]);
      }
    }
  };
  return { source, request };
}

test('a copy of two snapshots is no whole one until its log has come to the lsn of the younger', async () => {
  const clock = new VirtualClock(1_000_000);
  const store = new MemoryPartitionStore(newDisk('store-2'));
  await store.updateMeta(PARTITION, (meta) => role.targetPrepared(meta, COMMAND, 'store-1'));
  const session = new MigrationSession(PARTITION, COMMAND.migrationId, store, clock);
  const { source, request } = restartingSource();
  const options = {
    command: COMMAND,
    sourceNodeId: 1,
    digestSeed: '0'.repeat(16),
    partBytesMax: 1_000,
    logWaitMs: 10,
  };
  const pulling = pullUntilClosed(options, {
    store,
    transport: { request } as MigrationTransport,
    clock,
    logger: silentLogger,
    pacer: new CopyPacer(FREE_COPY_RATES, PIECES, { clock, loopLagMs: () => 0 }),
    session,
  });
  const until = async (holds: () => boolean): Promise<void> => {
    for (let i = 0; i < 1_000 && !holds(); i++) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advanceTo(clock.nowMs() + 50);
    }
    check.ok(holds(), `it comes that far: ${session.failure}`);
  };
  const adopted = () => role.copyAdopted(store.meta(PARTITION), TAKEOVER, 'store-1', ANY_COPY).role;

  await until(() => source.isLogAsked);
  check.equal([store.meta(PARTITION).lsn, store.meta(PARTITION).staging?.isComplete], [5, true]);
  check.is(role.isWholeState(store.meta(PARTITION)), false, 'one entry is of lsn 5, the other of lsn 9');
  check.throws(adopted, /cannot use/);
  source.heardLsn = 8;
  await until(() => store.meta(PARTITION).lsn === 8);
  check.throws(adopted, /cannot use/);
  source.heardLsn = 9;
  await until(() => store.meta(PARTITION).lsn === 9);
  check.is(role.isWholeState(store.meta(PARTITION)), true);
  check.is(adopted(), 'STAGING');
  session.close();
  clock.advanceTo(clock.nowMs() + 1_000);
  await pulling;
});

test.run();
