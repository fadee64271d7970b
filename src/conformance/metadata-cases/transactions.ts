import { TRANSACTION_BYTES_MAX, TRANSACTION_OPERATIONS_MAX } from '../../ports/metadata-store.ts';
import { claim, claimEqual, claimRefused } from '../claims.ts';
import { type MetadataCase, put, remove, revisionOf, textOf, write } from './metadata-case.ts';

const RACE_ROUNDS = 20;

/** What is read, and what is written: everything else stands on these. */
export const TRANSACTION_CASES: readonly MetadataCase[] = [
  {
    name: 'a key that was never written is absent, and a written one is read by every client',
    async check({ one, two, prefix }) {
      const key = `${prefix}a`;
      claimEqual(await one.get(key), undefined, 'a key that was never written');
      const result = await write(one, put(key, 'x'));
      claim(result.isCommitted, 'a transaction without conditions is applied');
      claimEqual(await textOf(two, key), 'x', 'what another client has written');
    },
  },
  {
    name: 'a value is any bytes, or none',
    async check({ one, two, prefix }) {
      for (const value of [
        new Uint8Array(0),
        Uint8Array.from([0, 255, 0]),
        Uint8Array.from({ length: 256 }, (_, i) => i),
      ]) {
        await write(one, { kind: 'put', key: `${prefix}a`, value });
        claimEqual([...((await two.get(`${prefix}a`))?.value ?? [-1])], [...value], 'the bytes of a value');
      }
    },
  },
  {
    name: 'revisions grow, the create revision stays until the key is deleted',
    async check({ one, prefix }) {
      const key = `${prefix}a`;
      await write(one, put(key, '1'));
      const first = await one.get(key);
      await write(one, put(key, '2'));
      const second = await one.get(key);
      claim(first !== undefined && second !== undefined, 'a key that was written is there');
      claimEqual(first.createRevision, first.revision, 'the create revision of a new key');
      claimEqual(second.createRevision, first.createRevision, 'the create revision of a key written twice');
      claim(second.revision > first.revision, `a later write has a higher revision than ${first.revision}`);
      await write(one, remove(key));
      claimEqual(await one.get(key), undefined, 'a key that was deleted');
      await write(one, put(key, '3'));
      const again = await one.get(key);
      claim(
        again !== undefined && again.createRevision > second.revision,
        'a key that was deleted and is written again is a new one',
      );
    },
  },
  {
    name: 'a transaction is applied whole or not at all, and names the condition that failed',
    async check({ one, prefix }) {
      const [a, b] = [`${prefix}a`, `${prefix}b`];
      await write(one, put(a, '1'));
      const failing = { key: b, revisionIs: 77 } as const;
      const result = await one.commit({
        conditions: [{ key: a, revisionIs: await revisionOf(one, a) }, failing],
        writes: [put(a, '2'), put(b, '2')],
      });
      claimEqual(result, { isCommitted: false, failed: failing }, 'a transaction of which a condition fails');
      claimEqual(
        [await textOf(one, a), await textOf(one, b)],
        ['1', undefined],
        'what it would have written',
      );
      const conditions = [{ key: b, revisionIs: 0 }];
      const both = await one.commit({ conditions, writes: [put(a, '3'), put(b, '3')] });
      claim(both.isCommitted, 'the condition that a key is not there holds of one that is not there');
      claimEqual(
        [await revisionOf(one, a), await revisionOf(one, b)],
        [both.revision, both.revision],
        'the revisions of what one transaction has written',
      );
    },
  },
  {
    name: 'a condition on the create revision holds through later writes, and of no key made anew',
    async check({ one, two, prefix }) {
      const [key, other] = [`${prefix}a`, `${prefix}b`];
      const made = await write(one, put(key, '1'));
      claim(made.isCommitted, 'a transaction without conditions is applied');
      const fence = { key, createRevisionIs: made.revision };
      await write(two, put(key, '2'));
      const held = await one.commit({ conditions: [fence], writes: [put(other, '1')] });
      claim(held.isCommitted, 'the key was written again, and is still the same');
      await write(two, remove(key));
      await write(two, put(key, '3'));
      claimEqual(
        await one.commit({ conditions: [fence], writes: [put(other, '2')] }),
        { isCommitted: false, failed: fence },
        'a transaction on a key that was made anew',
      );
    },
  },
  {
    name: 'of two clients that change the same revision exactly one succeeds',
    async check({ one, two, prefix }) {
      const key = `${prefix}race`;
      await write(one, put(key, '0'));
      for (let round = 0; round < RACE_ROUNDS; round++) {
        const conditions = [{ key, revisionIs: await revisionOf(one, key) }];
        const results = await Promise.all(
          [one, two].map((store, i) => store.commit({ conditions, writes: [put(key, `${round}:${i}`)] })),
        );
        const winners = results.filter(({ isCommitted }) => isCommitted);
        claimEqual(winners.length, 1, `clients that succeeded in round ${round}`);
      }
    },
  },
  {
    name: 'list gives the keys of a prefix in order, at one revision',
    async check({ one, prefix }) {
      for (const name of ['p/2', 'p/10', 'p/1', 'q/1']) await write(one, put(prefix + name, name));
      const { entries, revision } = await one.list(`${prefix}p/`);
      claimEqual(
        entries.map(({ key }) => key),
        ['p/1', 'p/10', 'p/2'].map((name) => prefix + name),
        'the keys of a list',
      );
      claim(
        entries.every((entry) => entry.revision <= revision),
        'no entry is newer than its list',
      );
    },
  },
  {
    name: 'a list shows every transaction whole or not at all',
    async check({ one, two, prefix }) {
      const keys = Array.from({ length: 8 }, (_, i) => `${prefix}t/${i}`);
      let isOver = false;
      const writing = (async () => {
        for (let i = 0; !isOver; i++) await write(one, ...keys.map((key) => put(key, String(i))));
      })();
      try {
        for (let i = 0; i < RACE_ROUNDS; i++) {
          const { entries } = await two.list(`${prefix}t/`);
          const revisions = new Set(entries.map(({ revision }) => revision));
          claim(
            revisions.size <= 1,
            `a list of keys that are written together has ${revisions.size} revisions`,
          );
        }
      } finally {
        isOver = true;
        await writing;
      }
      claimEqual((await two.list(`${prefix}t/`)).entries.length, keys.length, 'the keys of a list');
    },
  },
  {
    name: 'transactions beyond the limits of etcd are refused',
    async check({ one, prefix }) {
      const refused = (what: string, ...writes: Parameters<typeof put>[]): Promise<void> =>
        claimRefused(
          write(one, ...writes.map(([key, text]) => put(prefix + key, text))),
          ['FORESHARD_LIMIT'],
          what,
        );
      const many = Array.from({ length: TRANSACTION_OPERATIONS_MAX + 1 }, (_, i) => [String(i), ''] as const);
      await refused(`${many.length} writes`, ...many.map(([key, text]): [string, string] => [key, text]));
      await refused('a key written twice', ['a', '1'], ['a', '2']);
      await refused('a value that is too large', ['a', 'x'.repeat(TRANSACTION_BYTES_MAX + 1)]);
      claimEqual((await one.list(prefix)).entries, [], 'what a refused transaction has written');
    },
  },
];
