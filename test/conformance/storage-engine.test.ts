/** The engines of this project keep what the port of storage engines promises, and the suite tells those that do not. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { openMemoryEngine } from '../../examples/memory-engine/conformance.ts';
import {
  type EngineUnderTest,
  judgeStorageEngine,
  type OpenEngine,
  storageEngineConformance,
} from '../../src/conformance/index.ts';
import type { StorageEngine } from '../../src/ports/storage-engine.ts';
import { conformanceSuite } from '../support/conformance-suite.ts';
import { openLmdbEngine, openMemoryStores } from './stores.ts';

for (const [name, open] of [
  ['lmdb', openLmdbEngine],
  ['agents over memory', openMemoryStores],
  ['the example', openMemoryEngine],
] as const)
  conformanceSuite(`storage engine conformance: ${name}`, storageEngineConformance(open));

const mutants = suite('storage engine conformance: engines that are wrong');

/** An engine with some of its verbs replaced. */
type Replaced = Partial<Omit<EngineUnderTest, 'engine'>> & { readonly engine?: Partial<StorageEngine> };

const changed =
  (open: OpenEngine, replace: (right: EngineUnderTest) => Replaced): OpenEngine =>
  async (map) => {
    const right = await open(map);
    const { engine, ...verbs } = replace(right);
    const wrong = Object.assign(Object.create(right.engine), bound(right.engine), engine) as StorageEngine;
    return { ...right, ...verbs, engine: wrong };
  };

const VERBS =
  'prepare copy beginVerify serveReads fence activate follow remove abort finish status nodeStatistics listEntries';

/** Private fields are reached through the engine itself only. */
const bound = (engine: StorageEngine): Record<string, unknown> =>
  Object.fromEntries(
    VERBS.split(' ').map((verb) => [
      verb,
      (engine[verb as keyof StorageEngine] as () => unknown).bind(engine),
    ]),
  );

const ignoringRefusals =
  <Arguments extends unknown[]>(verb: (...given: Arguments) => Promise<void>) =>
  (...given: Arguments): Promise<void> =>
    verb(...given).catch(() => undefined);

const WRONG: readonly (readonly [what: string, open: OpenEngine, foundBy: RegExp])[] = [
  [
    'its fence lets writes pass',
    changed(openMemoryEngine, ({ engine }) => ({
      engine: {
        async fence(nodeId, command) {
          const { lsn } = await engine.status(nodeId, command);
          return { lsn, digest: { entryCount: 0, sizeBytes: 0, buckets: [] } };
        },
      },
    })),
    /once a fence is told no write is acknowledged/,
  ],
  [
    'it acknowledges what it has refused',
    changed(openMemoryEngine, ({ write }) => ({
      write: async (request) => ({ ...(await write(request)), isServed: true, lsn: 1, value: null }),
    })),
    /the owner serves reads and writes of its epoch/,
  ],
  [
    'it loses deletions',
    changed(openMemoryEngine, ({ write }) => ({
      write: (request) => write(request.value === null ? { ...request, key: 'nothing' } : request),
    })),
    /a copy takes over what was there/,
  ],
  [
    'its fence is gone after a crash',
    changed(openMemoryEngine, ({ engine, restart }) => ({
      async restart(nodeId) {
        await restart(nodeId);
        await engine.abort(nodeId, { partitionId: 3 as never, migrationId: 1, epoch: 4 as never });
      },
    })),
    /a fence outlives a crash/,
  ],
  [
    'it says that it has removed what is still there',
    changed(openMemoryEngine, () => ({ engine: { remove: async () => true } })),
    /a removal leaves nothing behind/,
  ],
  [
    'it says that it has given up what goes on',
    changed(openMemoryEngine, () => ({ engine: { abort: async () => true } })),
    /a migration that is given up leaves the source/,
  ],
  [
    'it becomes the owner of what it has not copied',
    changed(openMemoryEngine, ({ engine }) => ({
      engine: {
        async activate(nodeId, command) {
          const { lsn } = await engine.status(nodeId, command);
          await engine.activate(nodeId, command, { fenceLsn: lsn }).catch(() => undefined);
        },
      },
    })),
    /a copy that does not stand exactly at the fence/,
  ],
  [
    'it obeys commands of what is over',
    changed(openMemoryEngine, ({ engine }) => ({
      engine: { prepare: ignoringRefusals(engine.prepare.bind(engine)) },
    })),
    /commands of a migration that is over here/,
  ],
  [
    'all its digests are the same',
    changed(openMemoryEngine, ({ engine }) => ({
      engine: {
        async status(nodeId, command, include) {
          const status = await engine.status(nodeId, command, include);
          const same = { entryCount: 0, sizeBytes: 0, buckets: ['0'] };
          return { ...status, verify: status.verify && { ...status.verify, scanned: same, running: same } };
        },
      },
    })),
    /both sides find the same digest at one lsn/,
  ],
  [
    'it never copies the log',
    changed(openMemoryEngine, ({ engine, write }) => {
      let isPrepared = false;
      return {
        // What is written after the source was prepared goes past the log.
        write: (request) =>
          isPrepared ? Promise.resolve({ isServed: true, lsn: 9, value: null }) : write(request),
        engine: {
          async prepare(nodeId, command, options) {
            isPrepared = true;
            await engine.prepare(nodeId, command, options);
          },
        },
      };
    }),
    /a copy takes over what was there, what is written meanwhile/,
  ],
  [
    'its copies answer clients that have seen more',
    changed(openMemoryStores, ({ read }) => ({
      read: (request) =>
        read(request.copyOf ? { ...request, copyOf: { ...request.copyOf, minLsn: 0 } } : request),
    })),
    /a copy answers reads when it is told to/,
  ],
  [
    'its old owners do not follow',
    changed(openMemoryStores, () => ({ engine: { follow: async () => undefined } })),
    /the old owner follows the new one/,
  ],
];

for (const [what, open, foundBy] of WRONG)
  mutants(`an engine is found out: ${what}`, async () => {
    const { failed } = await judgeStorageEngine(open, { patienceMs: 200 });
    const names = failed.map(({ name }) => name);
    check.ok(
      names.some((name) => foundBy.test(name)),
      `failed: ${names.join('; ') || 'nothing'}`,
    );
  });

mutants.run();
