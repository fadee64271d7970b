import { claimEqual, eventually } from '../claims.ts';
import { announce, type MetadataCase, put, remove, revisionOf, textOf, write } from './metadata-case.ts';

/** Longer than any of these cases lasts: what is gone before was taken back. */
const LONG_TTLS = 5;

/** Leases: what says that a process lives. */
export const ANNOUNCEMENT_CASES: readonly MetadataCase[] = [
  {
    name: 'what is announced is there for as long as its process lives, and goes after it has died',
    async check(parts) {
      const { one, two, prefix, clock, ttlMs } = parts;
      const key = `${prefix}node/1`;
      await announce(one, key, 'here', ttlMs);
      claimEqual(await textOf(two, key), 'here', 'what another client has announced');
      const revision = await revisionOf(two, key);
      await clock.sleep(2 * ttlMs);
      claimEqual(await revisionOf(two, key), revision, 'the revision after some beats, which are no changes');
      let hints = 0;
      two.watch(key, () => hints++);
      await one.close(); // nothing is taken back: the beats just end
      await eventually(parts, async () => (await two.get(key)) === undefined, 'the end of the announcement');
      await eventually(parts, async () => hints > 0, 'a hint of it');
    },
  },
  {
    name: 'what is taken back is gone at once, what somebody else has announced since is not',
    async check({ one, two, prefix, ttlMs }) {
      const key = `${prefix}node/1`;
      const first = await announce(one, key, 'first', LONG_TTLS * ttlMs);
      const second = await announce(two, key, 'second', LONG_TTLS * ttlMs);
      await first.end();
      claimEqual(await textOf(one, key), 'second', 'the key after the first has ended');
      await second.end();
      claimEqual(await one.get(key), undefined, 'the key after the second has ended');
    },
  },
  {
    name: 'an announcement that was lost is made again, unless the key is another’s',
    async check(parts) {
      const { one, two, prefix, clock, ttlMs } = parts;
      const key = `${prefix}node/1`;
      await announce(one, key, 'here', ttlMs);
      await write(two, remove(key));
      await eventually(parts, async () => (await textOf(two, key)) === 'here', 'the announcement again');
      await write(two, put(key, 'by hand'));
      await clock.sleep(2 * ttlMs);
      claimEqual(await textOf(one, key), 'by hand', 'a key that somebody else has written since');
    },
  },
];
