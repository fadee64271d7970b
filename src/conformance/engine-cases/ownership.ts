import { claim, claimEqual, claimRefused } from '../claims.ts';
import { HandMadeMove, PARTITION, SOURCE, TARGET } from '../hand-made-move.ts';
import type { EngineCase } from './engine-case.ts';

/** Who serves a partition, and what nodes say of themselves. */
export const OWNERSHIP_CASES: readonly EngineCase[] = [
  {
    name: 'the owner serves reads and writes of its epoch, of no other, and nobody else does',
    async check(parts) {
      const move = await HandMadeMove.begin(parts);
      const { epoch } = move;
      const first = await move.write(SOURCE, 'a', '1');
      const second = await move.write(SOURCE, 'a', '2');
      claim(first.isServed && second.isServed, 'writes of the right epoch are taken');
      claimEqual(second.lsn, first.lsn + 1, 'every write moves the lsn by one');
      claimEqual(await move.read(SOURCE, 'a'), { isServed: true, lsn: second.lsn, value: '2' }, 'a read');
      claimEqual(
        await move.read(SOURCE, 'none'),
        { isServed: true, lsn: second.lsn, value: null },
        'of nothing',
      );
      for (const wrong of [epoch - 1, epoch + 1]) {
        claimEqual(await move.takesWrite(SOURCE, 'a', 'x', wrong), false, `a write of epoch ${wrong}`);
        claimEqual(await move.answersRead(SOURCE, 'a', { epoch: wrong }), false, `a read of epoch ${wrong}`);
      }
      claimEqual(await move.takesWrite(TARGET, 'a', 'x'), false, 'a write at a node that owns nothing');
      claimEqual(await move.answersRead(TARGET, 'a'), false, 'a read at a node that owns nothing');
    },
  },
  {
    name: 'what was acknowledged is there after a crash, and the owner still owns it',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 40);
      await move.restart(SOURCE);
      claimEqual(await move.wrongAt(SOURCE), [], 'keys that are not as acknowledged');
      claim((await move.write(SOURCE, 'later', '1')).isServed, 'it goes on taking writes');
    },
  },
  {
    name: 'nodes tell which store they have, what is in it, and that there is room',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 40);
      const [source, target] = [
        await move.engine.nodeStatistics(SOURCE),
        await move.engine.nodeStatistics(TARGET),
      ];
      claimEqual(source.storeId, parts.engine.storeIdOf(SOURCE), 'the store of node 0');
      claim(source.storeId !== target.storeId, 'every node has a store of its own');
      claim((source.partitionBytes[PARTITION] ?? 0) > 0, 'the owner tells the size of its partition');
      claimEqual(
        target.partitionBytes[PARTITION] ?? 0,
        0,
        'the size of a partition at a node that owns it not',
      );
      claim(source.isWritable && source.freeBytes > 0, 'it takes writes, and has room for them');
      await move.restart(SOURCE);
      claimEqual(
        (await move.engine.nodeStatistics(SOURCE)).storeId,
        source.storeId,
        'a store keeps its id over a crash',
      );
    },
  },
  {
    name: 'a node that a command does not mean, or that has no room, refuses to prepare',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 10);
      move.enter('PREPARE');
      const ask = (change: object) =>
        move.engine.prepare(TARGET, move.command, { ...move.prepareOptions('target'), ...change });
      await claimRefused(
        ask({ targetStoreId: 'another store' }),
        ['FORESHARD_NOT_OWNER', 'FORESHARD_CONFLICT'],
        'prepare with another store id',
      );
      await claimRefused(
        ask({ freeBytesMin: Number.MAX_SAFE_INTEGER }),
        ['FORESHARD_DISK_FULL'],
        'prepare without room',
      );
      claimEqual((await move.status(TARGET)).role, 'NONE', 'what it is after that');
    },
  },
];
