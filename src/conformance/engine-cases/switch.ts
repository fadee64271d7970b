import { claim, claimEqual, claimRefused } from '../claims.ts';
import { HandMadeMove, PARTITION, SOURCE, TARGET } from '../hand-made-move.ts';
import type { EngineCase } from './engine-case.ts';

async function switched(parts: Parameters<EngineCase['check']>[0], entryCount = 50): Promise<HandMadeMove> {
  const move = await HandMadeMove.begin(parts, entryCount);
  await move.prepare();
  await move.copy();
  await move.switchOver();
  return move;
}

/** The partition changes hands, and what was left behind goes. */
export const SWITCH_CASES: readonly EngineCase[] = [
  {
    name: 'the new owner serves the next epoch, the old one no epoch at all, also after crashes',
    async check(parts) {
      const move = await switched(parts);
      for (const isAfterCrash of [false, true]) {
        if (isAfterCrash) for (const nodeId of [SOURCE, TARGET]) await move.restart(nodeId);
        const when = isAfterCrash ? 'after crashes' : 'after the switch';
        claimEqual(await move.wrongAt(TARGET), [], `keys that are not as acknowledged, ${when}`);
        claim((await move.write(TARGET, `new ${when}`, '1')).isServed, `the new owner takes writes ${when}`);
        for (const epoch of [move.epoch - 1, move.epoch]) {
          const request = { epoch };
          claimEqual(
            await move.takesWrite(SOURCE, 'x', '1', epoch),
            false,
            `a write at the old owner ${when}`,
          );
          claimEqual(await move.answersRead(SOURCE, 'first:0', request), false, `a read there ${when}`);
        }
        const before = await move.read(TARGET, 'first:0', { epoch: move.epoch - 1 });
        claimEqual(before.isServed, false, `a read of the old epoch at the new owner ${when}`);
      }
    },
  },
  {
    name: 'a copy that does not stand exactly at the fence does not become the owner',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 30);
      await move.prepare();
      move.enter('COPY');
      await move.askToCopy(0);
      const { lsn } = await move.putUpFence();
      move.nameNewOwner();
      await claimRefused(
        move.engine.activate(TARGET, move.command, { fenceLsn: lsn }),
        ['FORESHARD_DIGEST_MISMATCH', 'FORESHARD_NOT_READY', 'FORESHARD_BEHIND'],
        'activation of a copy that has nothing',
      );
      claimEqual(await move.takesWrite(TARGET, 'x', '1'), false, 'a write at a copy that lacks entries');
    },
  },
  {
    name: 'the owner removes nothing, whoever asks',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 30);
      await move.prepare();
      await move.copy();
      const early = () => move.engine.remove(SOURCE, move.command);
      const codes = ['FORESHARD_NOT_OWNER', 'FORESHARD_CONFLICT', 'FORESHARD_STALE_EPOCH'] as const;
      await claimRefused(early(), codes, 'a removal during the copy');
      move.enter('CLEANUP');
      await claimRefused(early(), codes, 'a removal at the owner');
      claimEqual(await move.wrongAt(SOURCE), [], 'keys that are not as acknowledged');
    },
  },
  {
    name: 'a removal leaves nothing behind, and says so only then; the new owner is untouched',
    async check(parts) {
      const move = await switched(parts, 200);
      const { command } = move;
      await move.cleanUp();
      claimEqual((await move.status(SOURCE)).role, 'NONE', 'the old owner');
      claimEqual(
        (await move.engine.nodeStatistics(SOURCE)).dataBytes,
        0,
        'bytes that the old owner has left',
      );
      claim(
        ((await move.engine.nodeStatistics(TARGET)).partitionBytes[PARTITION] ?? 0) > 0,
        'the new owner tells the size of its partition',
      );
      claim(await move.engine.remove(SOURCE, command), 'asked again it is done');
      await move.restart(TARGET);
      claimEqual(await move.wrongAt(TARGET), [], 'keys that are not as acknowledged');
    },
  },
  {
    name: 'a partition that was given away can come back',
    async check(parts) {
      const move = await switched(parts);
      await move.cleanUp();
      const status = await move.engine.status(TARGET, move.commandOf(1, move.epoch));
      claimEqual([status.role, status.epoch], ['OWNER', move.epoch], 'the new owner');
      claim(status.closedMigrationId >= 1, 'the migration is over at the new owner');
      await claimRefused(
        move.engine.prepare(SOURCE, move.commandOf(1, move.epoch - 1), move.prepareOptions('target')),
        ['FORESHARD_STALE_EPOCH', 'FORESHARD_NOT_OWNER', 'FORESHARD_CONFLICT'],
        'a late command at the old owner',
      );
    },
  },
  {
    name: 'the old owner follows the new one until it is removed',
    needs: 'reverseStream',
    async check(parts) {
      const move = await switched(parts);
      move.enter('GRACE');
      await move.engine.follow(SOURCE, move.command);
      await move.writeAll(TARGET, 30, 'after the switch');
      await move.reaches(SOURCE, (await move.status(TARGET)).lsn);
      claimEqual((await move.status(SOURCE)).role, 'FOLLOWER', 'the old owner');
      claimEqual(await move.takesWrite(SOURCE, 'x', '1'), false, 'a write at a follower');
      await move.restart(SOURCE);
      await move.engine.follow(SOURCE, move.command);
      await move.writeAll(TARGET, 10, 'after a crash');
      await move.reaches(SOURCE, (await move.status(TARGET)).lsn);
      await move.cleanUp();
      claimEqual(
        (await move.engine.nodeStatistics(SOURCE)).dataBytes,
        0,
        'bytes that the old owner has left',
      );
    },
  },
  {
    name: 'a copy answers reads when it is told to, of clients that have seen no more than it has',
    needs: 'weightedReads',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 20);
      await move.prepare();
      await move.copy();
      const { lsn } = await move.status(TARGET);
      claimEqual(await move.answersRead(TARGET, 'first:0', { minLsn: 0 }), false, 'a read, unasked');
      move.enter('SHIFT');
      await move.engine.serveReads(TARGET, move.command, true);
      claimEqual(
        await move.read(TARGET, 'first:0', { minLsn: lsn }),
        { isServed: true, lsn, value: move.acknowledged.get('first:0') },
        'a read at the copy',
      );
      claimEqual(
        await move.answersRead(TARGET, 'first:0', { minLsn: lsn + 1 }),
        false,
        'a read of what it has not',
      );
      await move.engine.serveReads(TARGET, move.command, false);
      claimEqual(
        await move.answersRead(TARGET, 'first:0', { minLsn: 0 }),
        false,
        'a read after that was taken back',
      );
    },
  },
  {
    name: 'a second attempt goes on with the copy of the first, and copies no snapshot again',
    needs: 'changeStream',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 100);
      await move.prepare();
      await move.copy();
      await move.putUpFence();
      // The fence stood too long: it is lifted, the log and the copy are kept.
      move.enter('ABORT');
      claim(await move.engine.abort(SOURCE, move.command, { keepsLog: true }), 'the fence is lifted');
      await move.writeAll(SOURCE, 20, 'between');
      move.leave();
      move.migrationId = 2;
      await move.prepare({ migrationId: 1, isEmptyAllowed: false });
      await move.copy();
      await move.switchOver();
      claimEqual(await move.wrongAt(TARGET), [], 'keys that are not as acknowledged');
    },
  },
];
