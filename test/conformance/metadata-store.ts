/** What every metadata store must do. An adapter's test calls `metadataStoreConformance` with a way to open clients. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ForeshardError } from '../../src/base/errors.ts';
import { type MetadataStore, TRANSACTION_OPERATIONS_MAX } from '../../src/ports/metadata-store.ts';

export interface MetadataHarness {
  /** A new client of the one store under test, as another process would have. Closed by the suite. */
  open(): Promise<MetadataStore>;
  /** Makes the store forget what has changed so far. */
  compact(store: MetadataStore): Promise<void>;
  /** A prefix that no other test uses. */
  readonly prefix: string;
  dispose(): Promise<void>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);
const put = (key: string, value: string) => ({ kind: 'put', key, value: bytes(value) }) as const;

/** etcd counts leases by whole seconds. */
const TTL_MS_MIN = 1000;

/** Waits for a claim with a deadline that is far above what any adapter needs. */
async function eventually(claim: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = performance.now() + 5000;
  while (!(await claim())) {
    if (performance.now() > deadlineMs) throw new Error(`not within 5 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function metadataStoreConformance(name: string, makeHarness: () => Promise<MetadataHarness>): void {
  const test = suite<{
    harness: MetadataHarness;
    stores: MetadataStore[];
    one: MetadataStore;
    two: MetadataStore;
  }>(`metadata store: ${name}`);

  test.before.each(async (context) => {
    context.harness = await makeHarness();
    context.one = await context.harness.open();
    context.two = await context.harness.open();
    context.stores = [context.one, context.two];
  });
  test.after.each(async (context) => {
    for (const store of context.stores) await store.close();
    await context.harness.dispose();
  });

  test('a key that was never written is absent, and a written one is read by every client', async ({
    one,
    two,
    harness,
  }) => {
    const key = `${harness.prefix}a`;
    check.is(await one.get(key), undefined);
    const result = await one.commit({ conditions: [], writes: [put(key, 'x')] });
    check.ok(result.isCommitted);
    check.is(text((await two.get(key))?.value), 'x');
  });

  test('revisions grow, the create revision stays until the key is deleted', async ({ one, harness }) => {
    const key = `${harness.prefix}a`;
    await one.commit({ conditions: [], writes: [put(key, '1')] });
    const first = await one.get(key);
    await one.commit({ conditions: [], writes: [put(key, '2')] });
    const second = await one.get(key);
    check.is(first?.createRevision, first?.revision);
    check.is(second?.createRevision, first?.createRevision);
    check.ok((second?.revision as number) > (first?.revision as number));
    await one.commit({ conditions: [], writes: [{ kind: 'delete', key }] });
    await one.commit({ conditions: [], writes: [put(key, '3')] });
    check.ok(((await one.get(key))?.createRevision as number) > (second?.revision as number));
  });

  test('a transaction is applied whole or not at all, and names the condition that failed', async ({
    one,
    harness,
  }) => {
    const [a, b] = [`${harness.prefix}a`, `${harness.prefix}b`];
    await one.commit({ conditions: [], writes: [put(a, '1')] });
    const failing = { key: b, revisionIs: 77 } as const;
    const result = await one.commit({
      conditions: [{ key: a, revisionIs: (await one.get(a))?.revision as number }, failing],
      writes: [put(a, '2'), put(b, '2')],
    });
    check.equal(result, { isCommitted: false, failed: failing });
    check.is(text((await one.get(a))?.value), '1');
    check.is(await one.get(b), undefined);
    const both = await one.commit({
      conditions: [{ key: b, revisionIs: 0 }],
      writes: [put(a, '3'), put(b, '3')],
    });
    check.ok(both.isCommitted);
    check.is((await one.get(a))?.revision, (await one.get(b))?.revision);
  });

  test('of two clients that change the same revision exactly one succeeds', async ({ one, two, harness }) => {
    const key = `${harness.prefix}race`;
    await one.commit({ conditions: [], writes: [put(key, '0')] });
    for (let round = 0; round < 20; round++) {
      const seen = (await one.get(key))?.revision as number;
      const results = await Promise.all(
        [one, two].map((store, index) =>
          store.commit({ conditions: [{ key, revisionIs: seen }], writes: [put(key, `${round}:${index}`)] }),
        ),
      );
      check.is(results.filter((result) => result.isCommitted).length, 1, `round ${round}`);
    }
  });

  test('list gives the keys of a prefix in order, at one revision', async ({ one, harness }) => {
    for (const name of ['p/2', 'p/10', 'p/1', 'q/1'])
      await one.commit({ conditions: [], writes: [put(harness.prefix + name, name)] });
    const { entries, revision } = await one.list(`${harness.prefix}p/`);
    check.equal(
      entries.map((entry) => text(entry.value)),
      ['p/1', 'p/10', 'p/2'],
    );
    check.ok(entries.every((entry) => entry.revision <= revision));
  });

  test('a watcher is hinted at changes of other clients under its prefix', async ({ one, two, harness }) => {
    let hints = 0;
    const unwatch = two.watch(`${harness.prefix}w/`, () => hints++);
    await one.commit({ conditions: [], writes: [put(`${harness.prefix}w/1`, 'x')] });
    await eventually(() => hints > 0, 'a hint');
    unwatch();
    const before = hints;
    await one.commit({ conditions: [], writes: [put(`${harness.prefix}w/2`, 'x')] });
    await new Promise((resolve) => setTimeout(resolve, 100));
    check.is(hints, before);
  });

  test('a watch from a revision is told of what has changed since, whoever did it and however long ago', async ({
    one,
    two,
    harness,
  }) => {
    const prefix = `${harness.prefix}r/`;
    await one.commit({ conditions: [], writes: [put(`${prefix}1`, 'x')] });
    const { revision } = await one.list(prefix);
    await two.commit({ conditions: [], writes: [{ kind: 'delete', key: `${prefix}1` }] });
    // The handle has heard of the change before it watches.
    await eventually(async () => (await one.get(`${prefix}1`)) === undefined, 'the deletion');
    await new Promise((resolve) => setTimeout(resolve, 50));
    let hints = 0;
    one.watch(prefix, () => hints++, { afterRevision: revision });
    await eventually(() => hints > 0, 'a hint of what came after the list');
  });

  test('a watch from a revision that is compacted is told, and follows on', async ({ one, two, harness }) => {
    const prefix = `${harness.prefix}c/`;
    await one.commit({ conditions: [], writes: [put(`${prefix}1`, 'x')] });
    const { revision } = await one.list(prefix);
    await two.commit({ conditions: [], writes: [{ kind: 'delete', key: `${prefix}1` }] });
    await two.commit({ conditions: [], writes: [put(`${harness.prefix}other`, 'x')] });
    await harness.compact(two);
    let hints = 0;
    one.watch(prefix, () => hints++, { afterRevision: revision });
    await eventually(() => hints > 0, 'a hint that something is forgotten');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = hints;
    await two.commit({ conditions: [], writes: [put(`${prefix}2`, 'x')] });
    await eventually(() => hints > before, 'a hint of what came after');
  });

  test('what is announced is there for as long as its process lives, and goes after it has died', async ({
    one,
    two,
    harness,
  }) => {
    const key = `${harness.prefix}node/1`;
    await one.announce({ key, value: bytes('here'), ttlMs: TTL_MS_MIN });
    const first = await two.get(key);
    check.is(text(first?.value), 'here');
    await new Promise((resolve) => setTimeout(resolve, 2 * TTL_MS_MIN));
    check.equal((await two.get(key))?.revision, first?.revision, 'a beat is no change');
    let hints = 0;
    two.watch(key, () => hints++);
    await one.close(); // nothing is taken back: the beats just end
    await eventually(async () => (await two.get(key)) === undefined, 'the end of the announcement');
    await eventually(() => hints > 0, 'a hint of it');
  });

  test('what is taken back is gone at once, what somebody else has announced since is not', async ({
    one,
    two,
    harness,
  }) => {
    const key = `${harness.prefix}node/1`;
    const first = await one.announce({ key, value: bytes('first'), ttlMs: 5000 });
    const second = await two.announce({ key, value: bytes('second'), ttlMs: 5000 });
    await first.end();
    check.is(text((await one.get(key))?.value), 'second');
    await second.end();
    check.is(await one.get(key), undefined);
  });

  test('an announcement that was lost is made again, unless the key is another’s', async ({
    one,
    two,
    harness,
  }) => {
    const key = `${harness.prefix}node/1`;
    await one.announce({ key, value: bytes('here'), ttlMs: TTL_MS_MIN });
    await two.commit({ conditions: [], writes: [{ kind: 'delete', key }] });
    await eventually(async () => text((await two.get(key))?.value) === 'here', 'the announcement again');
    await two.commit({ conditions: [], writes: [put(key, 'by hand')] });
    await new Promise((resolve) => setTimeout(resolve, 2 * TTL_MS_MIN));
    check.is(text((await one.get(key))?.value), 'by hand');
  });

  test('transactions beyond the limits of etcd are refused', async ({ one, harness }) => {
    const writes = Array.from({ length: TRANSACTION_OPERATIONS_MAX + 1 }, (_, i) =>
      put(`${harness.prefix}${i}`, ''),
    );
    for (const transaction of [
      { conditions: [], writes },
      { conditions: [], writes: [put(`${harness.prefix}a`, '1'), put(`${harness.prefix}a`, '2')] },
      { conditions: [], writes: [put(`${harness.prefix}a`, 'x'.repeat(2_000_000))] },
    ]) {
      let error: unknown;
      await one.commit(transaction).catch((thrown) => (error = thrown));
      check.ok(error instanceof ForeshardError && error.code === 'FORESHARD_LIMIT', String(error));
    }
    check.equal((await one.list(harness.prefix)).entries, []);
  });

  test('one of two candidates leads, and the other follows it when it resigns', async ({
    one,
    two,
    harness,
  }) => {
    const election = `${harness.prefix}leader`;
    const { signal } = new AbortController();
    const first = await one.campaign({ election, candidate: 'one', ttlMs: 2000, signal });
    let isElected = false;
    const pending = two.campaign({ election, candidate: 'two', ttlMs: 2000, signal }).then((leadership) => {
      isElected = true;
      return leadership;
    });
    await new Promise((resolve) => setTimeout(resolve, 150));
    check.not.ok(isElected);
    check.ok(first.isHeld());
    await first.resign();
    check.not.ok(first.isHeld());
    const second = await pending;
    check.ok(second.isHeld());
    await second.resign();
  });

  test('the commits of a leader that was deposed fail on its fence', async ({ one, two, harness }) => {
    const election = `${harness.prefix}leader`;
    const { signal } = new AbortController();
    const first = await one.campaign({ election, candidate: 'one', ttlMs: 300, signal });
    const write = put(`${harness.prefix}x`, '1');
    check.ok((await one.commit({ conditions: [first.fence], writes: [write] })).isCommitted);
    // What a candidate does that saw no heartbeat for the time to live.
    await two.commit({ conditions: [], writes: [{ kind: 'delete', key: election }] });
    const second = await two.campaign({ election, candidate: 'two', ttlMs: 300, signal });
    check.equal(await one.commit({ conditions: [first.fence], writes: [write] }), {
      isCommitted: false,
      failed: first.fence,
    });
    await first.lost;
    check.not.ok(first.isHeld());
    check.ok((await two.commit({ conditions: [second.fence], writes: [write] })).isCommitted);
    await second.resign();
  });

  test('leadership of a client that dies passes on after the time to live', async (context) => {
    const election = `${context.harness.prefix}leader`;
    const { signal } = new AbortController();
    const first = await context.one.campaign({ election, candidate: 'one', ttlMs: 200, signal });
    await context.one.close(); // no resignation: the heartbeats just end
    const second = await context.two.campaign({ election, candidate: 'two', ttlMs: 200, signal });
    check.ok(second.isHeld());
    check.not.ok(first.isHeld());
    await second.resign();
  });

  test('a campaign that is called off ends', async ({ one, two, harness }) => {
    const election = `${harness.prefix}leader`;
    const first = await one.campaign({
      election,
      candidate: 'one',
      ttlMs: 5000,
      signal: new AbortController().signal,
    });
    const calledOff = new AbortController();
    const pending = two.campaign({ election, candidate: 'two', ttlMs: 5000, signal: calledOff.signal });
    calledOff.abort();
    let error: unknown;
    await pending.catch((thrown) => (error = thrown));
    check.ok(error instanceof ForeshardError && error.code === 'FORESHARD_UNAVAILABLE');
    await first.resign();
  });

  test.run();
}
