import { claim, claimEqual, eventually } from '../claims.ts';
import { LOOK_AGAIN_MS, type MetadataCase, put, remove, write } from './metadata-case.ts';

/** Hints: they may repeat, but must not stay away. */
export const WATCH_CASES: readonly MetadataCase[] = [
  {
    name: 'a watcher is hinted at changes of other clients under its prefix, until it looks no more',
    async check(parts) {
      const { one, two, prefix, clock } = parts;
      let hints = 0;
      const unwatch = two.watch(`${prefix}w/`, () => hints++);
      await write(one, put(`${prefix}w/1`, 'x'));
      await eventually(parts, async () => hints > 0, 'a hint');
      unwatch();
      const before = hints;
      await write(one, put(`${prefix}w/2`, 'x'));
      await clock.sleep(LOOK_AGAIN_MS);
      claimEqual(hints, before, 'hints once nobody watches');
    },
  },
  {
    name: 'a watch from a revision is told of what has changed since, whoever did it and however long ago',
    async check(parts) {
      const { one, two, clock } = parts;
      const prefix = `${parts.prefix}r/`;
      await write(one, put(`${prefix}1`, 'x'));
      const { revision } = await one.list(prefix);
      await write(two, remove(`${prefix}1`));
      // The client has heard of the change before it watches.
      await eventually(parts, async () => (await one.get(`${prefix}1`)) === undefined, 'the deletion');
      await clock.sleep(LOOK_AGAIN_MS);
      let hints = 0;
      one.watch(prefix, () => hints++, { afterRevision: revision });
      await eventually(parts, async () => hints > 0, 'a hint of what came after the list');
    },
  },
  {
    name: 'a watch from a revision that is forgotten is told, and follows on',
    needs: 'compact',
    async check(parts) {
      const { one, two, clock, compact } = parts;
      const prefix = `${parts.prefix}c/`;
      await write(one, put(`${prefix}1`, 'x'));
      const { revision } = await one.list(prefix);
      await write(two, remove(`${prefix}1`));
      await write(two, put(`${parts.prefix}other`, 'x'));
      await compact();
      let hints = 0;
      one.watch(prefix, () => hints++, { afterRevision: revision });
      await eventually(parts, async () => hints > 0, 'a hint that something is forgotten');
      await clock.sleep(2 * LOOK_AGAIN_MS);
      const before = hints;
      await write(two, put(`${prefix}2`, 'x'));
      await eventually(parts, async () => hints > before, 'a hint of what came after');
    },
  },
  {
    name: 'a client that is closed hints no more',
    async check({ one, two, prefix, clock }) {
      let hints = 0;
      two.watch(prefix, () => hints++);
      await two.close();
      const before = hints;
      claim((await write(one, put(`${prefix}a`, 'x'))).isCommitted, 'the other client goes on');
      await clock.sleep(LOOK_AGAIN_MS);
      claimEqual(hints, before, 'hints of a client that is closed');
    },
  },
];
