import { claim, claimEqual, claimRefused } from '../claims.ts';
import { HandMadeMove, SOURCE, TARGET } from '../hand-made-move.ts';
import type { EngineCase } from './engine-case.ts';

const WRITERS = 8;

/** The one promise that everything else stands on: after a fence no write is acknowledged. */
export const FENCE_CASES: readonly EngineCase[] = [
  {
    name: 'once a fence is told no write is acknowledged, and none that was lies beyond it',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 50);
      await move.prepare();
      await move.copy();
      let isOver = false;
      let highestLsn = 0;
      let lateCount = 0;
      const writers = Array.from({ length: WRITERS }, async (_, writer) => {
        for (let i = 0; !isOver; i++) {
          const isLate = move.fence !== null;
          const reply = await move.tryWrite(SOURCE, `writer:${writer}`, String(i));
          if (reply.isServed) {
            highestLsn = Math.max(highestLsn, reply.lsn);
            if (isLate) lateCount++;
          }
          await move.clock.sleep(0);
        }
      });
      await move.clock.sleep(20);
      const { lsn } = await move.putUpFence();
      await move.clock.sleep(30);
      isOver = true;
      await Promise.all(writers);
      claimEqual(lateCount, 0, 'writes that were begun after the fence and acknowledged');
      claim(highestLsn <= lsn, `a write at lsn ${highestLsn} was acknowledged, the fence is at ${lsn}`);
      await move.reaches(TARGET, lsn);
      claimEqual((await move.status(SOURCE)).lsn, lsn, 'the lsn of a fenced source');
      move.nameNewOwner();
      await move.engine.activate(TARGET, move.command, { fenceLsn: lsn });
      claimEqual(await move.wrongAt(TARGET), [], 'keys that are not as acknowledged');
    },
  },
  {
    name: 'a fence outlives a crash, and is told again as it was',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 30);
      await move.prepare();
      await move.copy();
      const fence = await move.putUpFence();
      await move.restart(SOURCE);
      claimEqual(await move.takesWrite(SOURCE, 'late', '1'), false, 'a write after fence and crash');
      claimEqual(await move.engine.fence(SOURCE, move.command), fence, 'the fence, asked for again');
    },
  },
  {
    name: 'a fence is lifted where the migration is given up, and the next one stands as well',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 30);
      await move.prepare();
      await move.copy();
      await move.putUpFence();
      await move.abort();
      claim((await move.write(SOURCE, 'again', '1')).isServed, 'the source takes writes again');
      claimEqual(await move.wrongAt(SOURCE), [], 'keys that are not as acknowledged');
      move.migrationId = 2;
      await move.prepare();
      await move.copy();
      await move.switchOver();
      claimEqual(await move.wrongAt(TARGET), [], 'keys after the second attempt');
    },
  },
  {
    name: 'who is not the owner of this epoch and prepared for this migration puts up no fence',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 10);
      move.enter('FENCING');
      await claimRefused(
        move.engine.fence(SOURCE, move.command),
        ['FORESHARD_NOT_OWNER', 'FORESHARD_STALE_EPOCH', 'FORESHARD_CONFLICT'],
        'a fence without a migration',
      );
      await move.prepare();
      await claimRefused(
        move.engine.fence(TARGET, move.command),
        ['FORESHARD_NOT_OWNER', 'FORESHARD_STALE_EPOCH', 'FORESHARD_CONFLICT'],
        'a fence on the target',
      );
      claim((await move.write(SOURCE, 'later', '1')).isServed, 'the owner takes writes');
    },
  },
];
