import { claim, claimEqual, claimRefused } from '../claims.ts';
import { HandMadeMove, SOURCE, TARGET } from '../hand-made-move.ts';
import type { EngineCase } from './engine-case.ts';

/** Enough for several pieces of a copy that is slow. */
const MANY = 200;
const A_WHILE_MS = 150;

/** The target pulls a copy, the source goes on serving. */
export const COPY_CASES: readonly EngineCase[] = [
  {
    name: 'a copy takes over what was there, what is written meanwhile, and what is deleted',
    needs: 'changeStream',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, MANY);
      await move.prepare();
      claimEqual((await move.status(TARGET)).role, 'STAGING', 'the target, prepared');
      move.enter('COPY');
      await move.askToCopy();
      await move.writeAll(SOURCE, MANY, 'meanwhile');
      for (const key of [...move.acknowledged.keys()].slice(0, 20)) await move.write(SOURCE, key, null);
      await move.copied();
      const { lsn, isSnapshotComplete, copiedBytes } = await move.status(TARGET);
      claim(isSnapshotComplete, 'the copy is a state that its source once had');
      claimEqual(lsn, (await move.status(SOURCE)).lsn, 'the lsn of the copy, when nobody writes');
      claim(copiedBytes > 0, 'it tells how much was copied');
      claimEqual((await move.status(SOURCE)).role, 'OWNER', 'the source all the while');
      await move.switchOver();
      claimEqual(await move.wrongAt(TARGET), [], 'keys that are not as acknowledged');
    },
  },
  {
    name: 'a source that is only asked for a copy serves as before',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, MANY);
      await move.prepare();
      await move.copy();
      claimEqual(await move.wrongAt(SOURCE), [], 'keys that are not as acknowledged');
      claim((await move.write(SOURCE, 'later', '1')).isServed, 'it takes writes');
      claimEqual(await move.takesWrite(TARGET, 'later', '1'), false, 'a write at the copy');
      claimEqual(await move.answersRead(TARGET, 'later'), false, 'a read at the copy, unasked');
    },
  },
  {
    name: 'every step may be asked for again, and changes nothing the second time',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 50);
      await move.prepare();
      await move.prepare();
      await move.copy();
      const before = await move.status(TARGET);
      await move.copy();
      claimEqual((await move.status(TARGET)).lsn, before.lsn, 'the copy, asked for again');
      const first = await move.putUpFence();
      claimEqual(await move.putUpFence(), first, 'the fence, asked for again');
      await move.reaches(TARGET, first.lsn);
      move.nameNewOwner();
      await move.engine.activate(TARGET, move.command, { fenceLsn: first.lsn });
      await move.write(TARGET, 'new', '1');
      await move.engine.activate(TARGET, move.command, { fenceLsn: first.lsn });
      claimEqual(await move.wrongAt(TARGET), [], 'keys that are not as acknowledged');
      const { command } = move;
      await move.cleanUp();
      await move.engine.finish(TARGET, command);
      claimEqual(await move.wrongAt(TARGET), [], 'keys after the end');
    },
  },
  {
    name: 'a rate of 0 holds a copy, another lets it go on',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, MANY);
      await move.prepare();
      move.enter('COPY');
      await move.askToCopy(0);
      await move.clock.sleep(A_WHILE_MS);
      claimEqual(
        (await move.status(TARGET)).isSnapshotComplete,
        false,
        'a copy that was not let go is whole',
      );
      await move.askToCopy();
      await move.copied();
    },
  },
  {
    name: 'a copy whose target or source crashes is asked for again, and comes to its end',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, MANY);
      await move.prepare();
      move.enter('COPY');
      for (const nodeId of [TARGET, SOURCE]) {
        await move.askToCopy();
        await move.restart(nodeId);
        await move.engine.prepare(SOURCE, move.command, move.prepareOptions('source'));
      }
      await move.writeAll(SOURCE, 20, 'after the crashes');
      await move.copy();
      await move.switchOver();
      claimEqual(await move.wrongAt(TARGET), [], 'keys that are not as acknowledged');
    },
  },
  {
    name: 'a migration that is given up leaves the source as it was and nothing on the target, and another may begin',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 50);
      await move.prepare();
      await move.copy();
      const { command } = move;
      await move.abort();
      claimEqual((await move.status(TARGET)).role, 'NONE', 'the target of what was given up');
      claim(await move.engine.abort(TARGET, command), 'asked again it is done');
      claimEqual(await move.wrongAt(SOURCE), [], 'keys that are not as acknowledged');
      claim((await move.write(SOURCE, 'later', '1')).isServed, 'the source takes writes');
      move.migrationId = 2;
      await move.prepare();
      await move.copy();
      await move.switchOver();
      claimEqual(await move.wrongAt(TARGET), [], 'keys after the second attempt');
    },
  },
  {
    name: 'commands of a migration that is over here, or of an older epoch, are refused for good',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 20);
      await move.prepare();
      await move.copy();
      await move.abort();
      move.enter('PREPARE');
      const late = () => move.engine.prepare(SOURCE, move.command, move.prepareOptions('source'));
      await claimRefused(late(), ['FORESHARD_STALE_EPOCH'], 'prepare of what was given up');
      await claimRefused(move.engine.fence(SOURCE, move.command), ['FORESHARD_STALE_EPOCH'], 'its fence');
      await move.restart(SOURCE);
      await claimRefused(late(), ['FORESHARD_STALE_EPOCH'], 'prepare of it after a crash');
      claim((await move.write(SOURCE, 'later', '1')).isServed, 'the owner is as before');
      move.migrationId = 2;
      await claimRefused(
        move.engine.prepare(SOURCE, move.commandOf(2, move.epoch - 1), move.prepareOptions('source')),
        ['FORESHARD_STALE_EPOCH', 'FORESHARD_NOT_OWNER'],
        'prepare of an older epoch',
      );
    },
  },
];
