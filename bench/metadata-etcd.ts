/** The store in etcd beside raw calls of npm etcd3 to the same member, taken in turns. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { openEtcdMetadata } from '../plugin/metadata/etcd/etcd-metadata.ts';
import { hasEtcd, LocalEtcd } from '../plugin/node/local/local-etcd.ts';
import type { MetadataStore } from '../src/ports/metadata-store.ts';
import { median } from './median.ts';
import { coldRouter } from './metadata-map.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

/** As in the part of the embedded store. */
const VALUE = Buffer.alloc(600, 7);
const KEY = '/bench/key';
const RAW_KEY = '/bench/raw';
const WATCHED = '/bench/watched/';
/** A block of one, then a block of the other: both see the same moods of the machine. */
const BLOCK = 20;
/** From a restart of etcd until watchers hear of it: the bar of issue 6. */
const RESUME_MS_MAX = 500;
/** Long enough for several attempts to fail, which is what the library's circuit breaker acts on. */
const AWAY_MS = 1_000;

export async function benchEtcd(isSmall: boolean): Promise<BenchOutcome> {
  if (!hasEtcd())
    return { results: [], skipped: [{ name: 'etcd', why: 'etcd and etcdctl are not installed' }] };
  const server = await LocalEtcd.start();
  const raw = new Etcd3({ hosts: [...server.endpoints] });
  const open = (): MetadataStore => openEtcdMetadata({ endpoints: server.endpoints });
  const store = open();
  try {
    const count = isSmall ? 40 : 1_000;
    const results = [
      await compare('read of one key', count, {
        ours: async () => void (await store.get(KEY)),
        raw: async () => void (await raw.get(RAW_KEY).buffer()),
      }),
      await compare('compare-and-swap', count, await swaps(store, raw)),
      await compareWatches(store, raw, isSmall ? 40 : 400),
      await coldRouter('etcd', isSmall, {
        open,
        readRaw: async (prefix) => Number((await raw.getAll().prefix(prefix).exec()).count),
        baseline: 'one raw etcd3 range of the same keys',
      }),
      ...(await watchResume(server, isSmall ? 1 : 11)),
    ];
    return { results, skipped: [] };
  } finally {
    await store.close();
    raw.close();
    await server.close();
  }
}

interface Pair {
  readonly ours: () => Promise<void>;
  readonly raw: () => Promise<void>;
}

async function compare(what: string, count: number, pair: Pair): Promise<BenchResult> {
  const oursMs: number[] = [];
  const rawMs: number[] = [];
  await pair.ours(); // both are connected
  await pair.raw();
  for (let done = 0; done < count; done += BLOCK) {
    for (let i = 0; i < BLOCK; i++) rawMs.push(await timed(pair.raw));
    for (let i = 0; i < BLOCK; i++) oursMs.push(await timed(pair.ours));
  }
  const [value, baselineValue] = [median(oursMs), median(rawMs)];
  return {
    name: `etcd: ${what}`,
    metric: 'median',
    value,
    unit: 'ms',
    baseline: 'raw etcd3',
    baselineValue,
    ratio: value / baselineValue,
    settings: { count, valueBytes: VALUE.length, block: BLOCK, members: 1 },
    hash: hashOf(what),
  };
}

/** By a revision that is known, as the executor's are: no read is in it. */
async function swaps(store: MetadataStore, raw: Etcd3): Promise<Pair> {
  const first = await store.commit({ conditions: [], writes: [{ kind: 'put', key: KEY, value: VALUE }] });
  let revision = first.isCommitted ? first.revision : 0;
  let rawRevision = Number((await raw.put(RAW_KEY).value(VALUE)).header.revision);
  return {
    async ours() {
      const result = await store.commit({
        conditions: [{ key: KEY, revisionIs: revision }],
        writes: [{ kind: 'put', key: KEY, value: VALUE }],
      });
      if (!result.isCommitted) throw new Error('the commit lost a race that nobody else was in');
      revision = result.revision;
    },
    async raw() {
      const result = await raw
        .if(RAW_KEY, 'Mod', '==', rawRevision)
        .then(raw.put(RAW_KEY).value(VALUE))
        .commit();
      if (!result.succeeded) throw new Error('the transaction lost a race that nobody else was in');
      rawRevision = Number(result.header.revision);
    },
  };
}

/** The same raw put is waited for by the one and by the other. */
async function compareWatches(store: MetadataStore, raw: Etcd3, count: number): Promise<BenchResult> {
  const waiting = { ours: (): void => {}, raw: (): void => {} };
  store.watch(`${WATCHED}ours`, () => waiting.ours());
  const watcher = await raw.watch().prefix(`${WATCHED}raw`).create();
  watcher.on('put', () => waiting.raw());
  await sleep(100); // both streams stand
  const change = (side: 'ours' | 'raw') => async (): Promise<void> => {
    const told = new Promise<void>((resolve) => {
      waiting[side] = resolve;
    });
    await raw.put(`${WATCHED}${side}`).value(VALUE);
    await told;
  };
  const pair: Pair = { ours: change('ours'), raw: change('raw') };
  const result = await compare('change until its watcher is told', count, pair);
  // The library looks for a lost server for ever on behalf of a watcher that is not cancelled, also once its client is closed.
  await watcher.cancel();
  return result;
}

/** How often is looked whether etcd answers: what is heard sooner than that is heard at once. */
const POLL_MS = 2;

/** kill -9 and restart: from the moment at which etcd answers, when does a watcher hear of anything? */
async function watchResume(server: LocalEtcd, rounds: number): Promise<BenchResult[]> {
  const store = openEtcdMetadata({ endpoints: server.endpoints });
  const raw = new Etcd3({ hosts: [...server.endpoints] });
  const heardMs = { ours: 0, raw: 0 };
  store.watch('/bench/resume', () => (heardMs.ours = performance.now()));
  const watcher = await raw.watch().prefix('/bench/resume').create();
  watcher.on('connected', () => (heardMs.raw = performance.now()));
  const oursMs: number[] = [];
  const rawMs: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      await server.kill();
      heardMs.ours = heardMs.raw = Number.POSITIVE_INFINITY;
      await sleep(AWAY_MS);
      const restarted = server.restart();
      await untilHealthy(server.endpoints[0] as string);
      const healthyMs = performance.now();
      await restarted;
      while (!Number.isFinite(heardMs.ours + heardMs.raw) && performance.now() - healthyMs < 20_000)
        await sleep(POLL_MS);
      if (!Number.isFinite(heardMs.ours))
        throw new Error('a watcher has heard nothing for 20 s after a restart');
      oursMs.push(Math.max(POLL_MS, heardMs.ours - healthyMs));
      rawMs.push(Math.max(POLL_MS, heardMs.raw - healthyMs));
    }
  } finally {
    await store.close();
    await watcher.cancel().catch(() => {});
    raw.close();
  }
  const value = median(oursMs);
  const common = {
    metric: 'median',
    value,
    unit: 'ms',
    settings: { rounds, awayMs: AWAY_MS, slowestMs: Math.round(Math.max(...oursMs)) },
  };
  const against = (baseline: string, baselineValue: number): BenchResult => ({
    ...common,
    name: 'etcd: watch resumed after a restart',
    baseline,
    baselineValue,
    ratio: value / baselineValue,
    hash: hashOf('resume'),
  });
  return [
    against('raw etcd3 with its defaults', median(rawMs)),
    { ...against('the bar', RESUME_MS_MAX), bar: { ratioMax: 1 } },
  ];
}

async function untilHealthy(endpoint: string): Promise<void> {
  for (;;) {
    const health = await fetch(`${endpoint}/health`).then(
      (reply) => reply.json(),
      () => null,
    );
    if ((health as { health?: string } | null)?.health === 'true') return;
    await sleep(POLL_MS);
  }
}

async function timed(action: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await action();
  return performance.now() - startMs;
}

/** Nothing is computed here: the hash says which question was asked, of how many bytes. */
const hashOf = (what: string): string =>
  createHash('sha256').update(what).update(VALUE).digest('hex').slice(0, 8);
