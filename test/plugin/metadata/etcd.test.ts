import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { openEtcdMetadata } from '../../../plugin/metadata/etcd/etcd-metadata.ts';
import { hasEtcd, LocalEtcd } from '../../../plugin/node/local/local-etcd.ts';
import { metadataStoreConformance } from '../../../src/conformance/index.ts';
import { conformanceSuite } from '../../support/conformance-suite.ts';
import { codeOf, eventually, put, withEtcd, write, writeUntilKnown } from '../../support/etcd.ts';
import { requireOrSkip } from '../../support/require.ts';

if (requireOrSkip('etcd', hasEtcd())) {
  let shared: LocalEtcd | null = null;
  let prefixes = 0;
  conformanceSuite(
    'metadata store conformance: etcd',
    metadataStoreConformance(async () => {
      shared ??= await LocalEtcd.start();
      const server = shared;
      const { endpoints } = server;
      return {
        connect: async () => openEtcdMetadata({ endpoints }),
        prefix: `/t${prefixes++}/`,
        async compact(store) {
          const { revision } = await store.list('/');
          check.is(server.ctl('compact', String(revision)).status, 0);
        },
        close: async () => {},
      };
    }),
  );

  const test = suite('etcd metadata store');
  test.after(async () => {
    await shared?.close();
  });

  test('what is out of reach certainly did not happen, and is there again with the store', () =>
    withEtcd({}, async (server, open) => {
      const store = open();
      await write(store, 'a', '1');
      await server.kill();
      check.is(await codeOf(store.get('a')), 'FORESHARD_UNAVAILABLE');
      check.is(await codeOf(write(store, 'a', '2')), 'FORESHARD_UNAVAILABLE');
      await server.restart();
      check.is(Buffer.from((await store.get('a'))?.value ?? []).toString(), '1');
      check.ok((await write(store, 'a', '3')).isCommitted);
    }));

  test('a store that does not answer leaves the outcome unknown, and a read tells it', () =>
    withEtcd({}, async (server, open) => {
      const store = open();
      await write(store, 'a', '1');
      await server.stop(0);
      check.is(await codeOf(write(store, 'a', '2')), 'FORESHARD_UNKNOWN_OUTCOME');
      server.resume(0);
      await server.healthy();
      const value = Buffer.from((await store.get('a'))?.value ?? []).toString();
      check.ok(['1', '2'].includes(value), value);
    }));

  test('an emptied store at the same address is refused for ever', () =>
    withEtcd({}, async (server, open) => {
      const store = open();
      for (let i = 0; i < 5; i++) await write(store, 'a', String(i));
      await server.kill();
      await server.restart({ isEmpty: true });
      check.is(await codeOf(store.get('a')), 'FORESHARD_STALE_EPOCH');
      check.is(await codeOf(write(store, 'a', 'x')), 'FORESHARD_STALE_EPOCH');
      // Whoever opens it now has seen nothing else.
      check.is(await open().get('a'), undefined);
    }));

  test('watchers are told after a restart of the store, and after a compaction of what they had seen', () =>
    withEtcd({}, async (server, open) => {
      const [watcher, writer] = [open(), open()];
      let hints = 0;
      watcher.watch('w/', () => hints++);
      await eventually(() => hints > 0, 'the hint at the beginning of the watch');
      await write(writer, 'w/a', '1');
      await server.kill();
      await server.restart();
      const before = hints;
      await writeUntilKnown(writer, 'w/a', '2');
      await eventually(() => hints > before, 'a hint after the restart');

      await server.kill();
      await server.restart();
      for (let i = 0; i < 10; i++) await writeUntilKnown(writer, 'w/a', String(i));
      const revision = (await writer.get('w/a'))?.revision;
      check.is(server.ctl('compact', String(revision)).status, 0);
      const beforeLast = hints;
      await write(writer, 'w/a', 'last');
      await eventually(() => hints > beforeLast, 'a hint after the compaction');
    }));

  test('a full store takes no writes, says so, and is read on', () =>
    withEtcd({ quotaBytes: 2 << 20 }, async (_server, open) => {
      const store = open();
      let code = 'no error';
      // It looks at its size as its pages are written, every tenth of a second.
      for (let i = 0; i < 100 && code === 'no error'; i++) {
        code = await codeOf(write(store, `k${i}`, 'x'.repeat(400_000)));
        await sleep(20);
      }
      check.is(code, 'FORESHARD_DISK_FULL');
      check.is((await store.get('k0'))?.value.length, 400_000);
    }));

  test('a long list is read in pages at one revision', () =>
    withEtcd({}, async (_server, open) => {
      const [store, other] = [open(), open()];
      for (let first = 0; first < 1300; first += 100)
        await store.commit({
          conditions: [],
          writes: Array.from({ length: 100 }, (_, i) => put(`l/${String(first + i).padStart(5, '0')}`, 'v')),
        });
      const listing = store.list('l/');
      await write(other, 'l/99999', 'later');
      const { entries, revision } = await listing;
      check.ok(entries.length === 1300 || entries.length === 1301, String(entries.length));
      check.ok(entries.every((entry) => entry.revision <= revision));
      check.equal(
        entries.map(({ key }) => key),
        entries.map(({ key }) => key).sort(),
      );
    }));

  test('of three members any one may die', () =>
    withEtcd({ members: 3 }, async (server, open) => {
      const store = open();
      await write(store, 'a', '0');
      for (let victim = 0; victim < 3; victim++) {
        await server.kill(victim);
        // If it was the leader, the others elect one within a second.
        let answered = false;
        for (let attempt = 0; attempt < 20 && !answered; attempt++)
          answered = (await codeOf(write(store, 'a', String(victim)))) === 'no error';
        check.ok(answered, `without member ${victim}`);
        check.is(await codeOf(store.get('a')), 'no error');
        await server.restart();
      }
    }));

  test('two leaders of a stalled store: the fence of the first no longer holds', () =>
    withEtcd({ members: 3 }, async (server, open) => {
      const [one, two] = [open(), open()];
      const { signal } = new AbortController();
      const first = await one.campaign({ election: 'e', candidate: 'one', ttlMs: 400, signal });
      for (let member = 0; member < 3; member++) await server.stop(member);
      await first.lost;
      check.not.ok(first.isHeld());
      for (let member = 0; member < 3; member++) server.resume(member);
      await server.healthy();
      const second = await two.campaign({ election: 'e', candidate: 'two', ttlMs: 400, signal });
      const result = await one.commit({ conditions: [first.fence], writes: [put('x', '1')] });
      check.equal(result, { isCommitted: false, failed: first.fence });
      check.ok((await two.commit({ conditions: [second.fence], writes: [put('x', '2')] })).isCommitted);
      await second.resign();
    }));

  test('an endpoint that is none is refused with its text', () => {
    check.throws(() => openEtcdMetadata({ endpoints: ['localhost'] }), /"localhost" is no endpoint of etcd/);
  });

  test.run();
}
