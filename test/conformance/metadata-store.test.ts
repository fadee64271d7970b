/**
 * The smallest metadata store keeps what the port promises, and the suite tells those that do not. LMDB, etcd and the
 * simulator's model are judged by it beside their own tests.
 */
import { setImmediate } from 'node:timers/promises';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { openMemoryMetadata } from '../../examples/memory-metadata/conformance.ts';
import { systemClock, VirtualClock } from '../../src/base/clock.ts';
import {
  type ConformanceReport,
  judgeMetadataStore,
  metadataStoreConformance,
  type OpenMetadata,
} from '../../src/conformance/index.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { conformanceSuite } from '../support/conformance-suite.ts';

conformanceSuite(
  'metadata store conformance: the example',
  metadataStoreConformance(openMemoryMetadata(systemClock())),
);

const mutants = suite('metadata store conformance: stores that are wrong');

/** A client with some of its verbs replaced. */
type Wrong = (right: MetadataStore) => Partial<MetadataStore>;

const changed =
  (open: OpenMetadata, replace: Wrong): OpenMetadata =>
  async () => {
    const right = await open();
    return {
      ...right,
      async connect() {
        const client = await right.connect();
        return { ...client, ...replace(client) };
      },
    };
  };

const STEP_MS = 5;

/** A store that never comes to an end would be waited for as long as a real one. */
async function judgeInVirtualTime(replace: Wrong): Promise<ConformanceReport> {
  const clock = new VirtualClock();
  let isOver = false;
  const judging = judgeMetadataStore(changed(openMemoryMetadata(clock), replace), { clock, patienceMs: 200 });
  const timePasses = (async () => {
    while (!isOver) {
      await setImmediate();
      clock.advanceTo(clock.nowMs() + STEP_MS);
    }
  })();
  const report = await judging;
  isOver = true;
  await timePasses;
  return report;
}

const WRONG: readonly (readonly [what: string, replace: Wrong, foundBy: RegExp])[] = [
  [
    'its keys are all there, though empty',
    ({ get }) => ({
      get: async (key) =>
        (await get(key)) ?? { key, value: new Uint8Array(0), revision: 1, createRevision: 1 },
    }),
    /a key that was never written is absent/,
  ],
  [
    'it looks at no condition',
    ({ commit }) => ({ commit: ({ writes }) => commit({ conditions: [], writes }) }),
    /of two clients that change the same revision/,
  ],
  [
    'it looks at the first condition only',
    ({ commit }) => ({
      commit: ({ conditions, writes }) => commit({ conditions: conditions.slice(0, 1), writes }),
    }),
    /whole or not at all, and names the condition/,
  ],
  [
    'it makes a transaction write by write',
    ({ commit }) => ({
      async commit({ conditions, writes }) {
        let result = await commit({ conditions, writes: writes.slice(0, 1) });
        for (const write of result.isCommitted ? writes.slice(1) : [])
          result = await commit({ conditions: [], writes: [write] });
        return result;
      },
    }),
    /a list shows every transaction whole/,
  ],
  [
    'it names a condition that held',
    ({ commit }) => ({
      async commit(transaction) {
        const result = await commit(transaction);
        const [failed] = transaction.conditions;
        return result.isCommitted || failed === undefined ? result : { isCommitted: false, failed };
      },
    }),
    /names the condition that failed/,
  ],
  [
    'a condition on the create revision is one on the revision',
    ({ commit }) => ({
      commit: ({ conditions, writes }) =>
        commit({
          conditions: conditions.map((condition) =>
            'createRevisionIs' in condition
              ? { key: condition.key, revisionIs: condition.createRevisionIs }
              : condition,
          ),
          writes,
        }),
    }),
    /a condition on the create revision holds through later writes/,
  ],
  [
    'its values are text',
    ({ get }) => ({
      async get(key) {
        const entry = await get(key);
        return entry && { ...entry, value: Buffer.from(Buffer.from(entry.value).toString()) };
      },
    }),
    /a value is any bytes/,
  ],
  [
    'it lists in any order',
    ({ list }) => ({
      async list(prefix) {
        const { entries, revision } = await list(prefix);
        return { entries: entries.toReversed(), revision };
      },
    }),
    /list gives the keys of a prefix in order/,
  ],
  [
    'it reads what a cache of its own has kept',
    ({ get }) => {
      const cache = new Map<string, Awaited<ReturnType<typeof get>>>();
      return {
        async get(key) {
          if (!cache.has(key)) cache.set(key, await get(key));
          return cache.get(key);
        },
      };
    },
    /revisions grow/,
  ],
  [
    'it hints at what this client writes only',
    ({ commit }) => {
      const watched = new Map<() => void, string>();
      return {
        async commit(transaction) {
          const result = await commit(transaction);
          for (const [hint, prefix] of watched)
            if (transaction.writes.some(({ key }) => key.startsWith(prefix))) hint();
          return result;
        },
        watch(prefix, onHint) {
          watched.set(onHint, prefix);
          return () => watched.delete(onHint);
        },
      };
    },
    /a watcher is hinted at changes of other clients/,
  ],
  [
    'it hints for ever',
    ({ watch }) => ({
      watch(prefix, onHint, options) {
        watch(prefix, onHint, options);
        return () => {};
      },
    }),
    /until it looks no more/,
  ],
  [
    'it watches from now on, whatever it is asked for',
    ({ watch }) => ({ watch: (prefix, onHint) => watch(prefix, onHint) }),
    /a watch from a revision is told of what has changed since/,
  ],
  [
    'it hints once of what is forgotten and never again',
    ({ watch }) => ({
      watch(prefix, onHint, options) {
        const unwatch = watch(
          prefix,
          () => {
            onHint();
            if (options?.afterRevision !== undefined) unwatch();
          },
          options,
        );
        return unwatch;
      },
    }),
    /a watch from a revision that is forgotten is told, and follows on/,
  ],
  [
    'its clients cannot be closed',
    () => ({ close: async () => {} }),
    /a client that is closed hints no more/,
  ],
  [
    'what is announced stays for ever',
    ({ commit }) => ({
      async announce({ key, value }) {
        await commit({ conditions: [], writes: [{ kind: 'put', key, value }] });
        return {
          end: async () => void (await commit({ conditions: [], writes: [{ kind: 'delete', key }] })),
        };
      },
    }),
    /and goes after it has died/,
  ],
  [
    'it takes back what is another’s',
    ({ announce, commit }) => ({
      async announce(announced) {
        const { key } = announced;
        const { end } = await announce(announced);
        return {
          async end() {
            await end();
            await commit({ conditions: [], writes: [{ kind: 'delete', key }] });
          },
        };
      },
    }),
    /what somebody else has announced since is not/,
  ],
  [
    'an announcement that was lost stays lost',
    ({ commit, close }) => {
      const deletions: (() => Promise<void>)[] = [];
      return {
        async announce({ key, value }) {
          const made = await commit({ conditions: [], writes: [{ kind: 'put', key, value }] });
          const conditions = [{ key, revisionIs: made.isCommitted ? made.revision : 0 }];
          const end = async () => void (await commit({ conditions, writes: [{ kind: 'delete', key }] }));
          deletions.push(end);
          return { end };
        },
        async close() {
          for (const end of deletions) await end();
          await close();
        },
      };
    },
    /an announcement that was lost is made again/,
  ],
  [
    'it takes transactions of any size',
    ({ commit }) => ({
      commit: (transaction) => commit(transaction).catch(() => ({ isCommitted: true, revision: 1 })),
    }),
    /transactions beyond the limits of etcd are refused/,
  ],
  [
    'it elects everybody',
    () => ({
      async campaign({ election }) {
        let isHeld = true;
        const fence = { key: election, createRevisionIs: 0 };
        const resign = async () => {
          isHeld = false;
        };
        return { fence, lost: new Promise(() => {}), isHeld: () => isHeld, resign };
      },
    }),
    /one of two candidates leads/,
  ],
  [
    'its leaders have no fence',
    ({ campaign }) => ({
      campaign: async (options) => ({
        ...(await campaign(options)),
        fence: { key: 'nothing', createRevisionIs: 0 },
      }),
    }),
    /the commits of a leader that was deposed fail/,
  ],
  [
    'nobody follows a leader that has died',
    ({ campaign }) => ({ campaign: (options) => campaign({ ...options, ttlMs: 1e9 }) }),
    /leadership of a client that dies passes on/,
  ],
  [
    'nobody calls a campaign off',
    ({ campaign }) => ({
      campaign: (options) => campaign({ ...options, signal: new AbortController().signal }),
    }),
    /a campaign that is called off ends/,
  ],
];

for (const [what, replace, foundBy] of WRONG)
  mutants(`a store is found out: ${what}`, async () => {
    const { failed } = await judgeInVirtualTime(replace);
    const names = failed.map(({ name }) => name);
    check.ok(
      names.some((name) => foundBy.test(name)),
      `failed: ${names.join('; ') || 'nothing'}`,
    );
  });

mutants('every case finds a wrong store that the list has for it', () => {
  const blind = metadataStoreConformance(openMemoryMetadata(systemClock()))
    .map(({ name }) => name)
    .filter((name) => !WRONG.some(([, , foundBy]) => foundBy.test(name)));
  check.equal(blind, []);
});

mutants.run();
