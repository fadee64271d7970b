import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import { createClient, createCluster } from 'redis';
import { hasRedisServer, LocalRedisCluster } from '../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { captureCluster } from '../plugin/redis/index.ts';
import { median } from './median.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

export const area = 'redis-capture';

/** What the issue promises: the most that a captured query may cost beyond a bare one. */
const ADDED_US_MAX = 1;
const KEY_COUNT = 1_000;
const VALUE = 'v'.repeat(100);
const keys = Array.from({ length: KEY_COUNT }, (_, i) => `flight:${i}:seats`);
/** Commands under way at once, as of a busy process. */
const CONCURRENCY = 64;
/** The capture's own thread has done with all records by then. */
const SETTLE_MS = 120;

interface GetClient {
  get(key: string): Promise<unknown>;
}

interface Arms<Client extends GetClient> {
  readonly library: string;
  readonly bare: Client;
  readonly captured: Client;
}

/**
 * What capture adds to a query. First on a client whose connection is replaced by one that answers at once: the time of the
 * application's thread, without the network's noise. Then to a cluster of three masters: CPU time of the whole process, the
 * capture's own thread and its publishing included. A bare and a captured client take turns in blocks, and turns in who is first.
 */
export async function run({ isSmall }: { isSmall: boolean }): Promise<BenchOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-bench-capture-'));
  const settings = { metadata: { path: folder }, node: { logLevel: 'error' } };
  try {
    const results: BenchResult[] = [];
    for (const arms of answeredAtOnce()) results.push(await addedOnThread(arms, settings, isSmall));
    if (!hasRedisServer())
      return {
        results,
        skipped: [{ name: 'redis-capture', why: 'redis-server is not installed (Debian: redis-server)' }],
      };
    const servers = await LocalRedisCluster.start();
    try {
      for (const arms of [await ioredisArms(servers), await nodeRedisArms(servers)]) {
        results.push(await addedInProcess(arms, settings, isSmall));
        arms.close();
      }
    } finally {
      await servers.stop();
    }
    return { results, skipped: [] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Real clients up to the method that sends: all that the library itself does for a command is in the figure. */
function answeredAtOnce(): Arms<GetClient>[] {
  const reply = Buffer.from(VALUE);
  const ioredis = (): GetClient => {
    const client = new Redis({ lazyConnect: true });
    client.sendCommand = (command) => {
      command.resolve(reply);
      return command.promise;
    };
    return client;
  };
  const nodeRedis = (): GetClient => {
    const client = createClient();
    const { _self } = client as unknown as { readonly _self: { sendCommand: unknown } };
    _self.sendCommand = () => Promise.resolve(VALUE);
    return client as GetClient;
  };
  return [
    { library: 'ioredis', bare: ioredis(), captured: ioredis() },
    { library: 'node-redis', bare: nodeRedis(), captured: nodeRedis() },
  ];
}

async function addedOnThread(
  { library, bare, captured }: Arms<GetClient>,
  settings: Record<string, unknown>,
  isSmall: boolean,
): Promise<BenchResult> {
  const capture = captureCluster(captured, { settings });
  await capture.started;
  const pairs = isSmall ? 40 : 1_000;
  const times = new Map<GetClient, number[]>([
    [bare, []],
    [captured, []],
  ]);
  for (let pair = isSmall ? -20 : -300; pair < pairs; pair++) {
    for (const client of pair % 2 === 0 ? [bare, captured] : [captured, bare]) {
      const startedNs = process.hrtime.bigint();
      await Promise.all(keys.map((key) => client.get(key)));
      const microseconds = Number(process.hrtime.bigint() - startedNs) / 1000 / keys.length;
      if (pair >= 0) times.get(client)?.push(microseconds);
    }
    // The other thread keeps up: it is records that are measured, not drops.
    if (pair % 20 === 0) await sleep(60);
  }
  const isAttached = capture.status().isAttached;
  await capture.stop();
  if (!isAttached) throw new Error('the capture has let go of its client: nothing was measured');
  return resultOf({
    name: `${library}/added-on-the-thread`,
    metric: 'µs of the application thread added to a query, difference of medians',
    value: median(times.get(captured) ?? []) - median(times.get(bare) ?? []),
    baselineValue: median(times.get(bare) ?? []),
    settings: { blockQueries: keys.length, pairs },
  });
}

async function addedInProcess(
  { library, bare, captured }: Arms<GetClient>,
  settings: Record<string, unknown>,
  isSmall: boolean,
): Promise<BenchResult> {
  const threadsBefore = new Set(threads());
  const capture = captureCluster(captured, { settings });
  await capture.started;
  const ours = threads().filter((thread) => !threadsBefore.has(thread));
  // Short blocks, so that what else the machine does falls on neighbours alike: a fifth of the standard error of blocks of 1,000.
  const blockQueries = 200;
  const [warmUpPairs, pairs] = isSmall ? [2, 6] : [200, 1_500];
  const differences: number[] = [];
  const bareUs: number[] = [];
  let oursBefore = 0;
  for (let pair = -warmUpPairs; pair < pairs; pair++) {
    // Compiling its code is not what a query costs.
    if (pair === 0) oursBefore = cpuOf(ours);
    const isTurned = pair % 2 !== 0;
    const first = await cpuPerQuery(isTurned ? captured : bare, blockQueries, ours);
    const second = await cpuPerQuery(isTurned ? bare : captured, blockQueries, ours);
    if (pair < 0) continue;
    bareUs.push(isTurned ? second : first);
    differences.push(isTurned ? first - second : second - first);
  }
  await sleep(SETTLE_MS);
  const ownThreadUs = (cpuOf(ours) - oursBefore) / (blockQueries * pairs);
  const isAttached = capture.status().isAttached;
  await capture.stop();
  if (!isAttached) throw new Error('the capture has let go of its client: nothing was measured');
  return resultOf({
    name: `${library}-cluster/added-in-the-process`,
    metric: 'CPU µs of all threads added to a query, mean of pairs without the outer fifths',
    value: mean(middleOf(differences)) + ownThreadUs,
    baselineValue: mean(middleOf(bareUs)),
    settings: {
      blockQueries,
      pairs,
      concurrency: CONCURRENCY,
      ownThreadUs: Number(ownThreadUs.toFixed(3)),
      standardErrorUs: Number(standardError(differences).toFixed(3)),
    },
  });
}

/** Of the process but for the capture's own thread, which works when it likes: what that has used is told apart. */
async function cpuPerQuery(client: GetClient, queries: number, ours: readonly string[]): Promise<number> {
  const oursBefore = cpuOf(ours);
  const before = process.cpuUsage();
  let sent = 0;
  const lane = async (): Promise<void> => {
    while (sent < queries) await client.get(keys[sent++ % KEY_COUNT]);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  const { user, system } = process.cpuUsage(before);
  return (user + system - (cpuOf(ours) - oursBefore)) / queries;
}

const TASKS = '/proc/self/task';

/** Threads of this process; none where there is no /proc. */
const threads = (): string[] => (existsSync(TASKS) ? readdirSync(TASKS) : []);

/** Microseconds on a processor. */
const cpuOf = (tasks: readonly string[]): number =>
  tasks.reduce(
    (sum, task) => sum + Number(readFileSync(`${TASKS}/${task}/schedstat`, 'latin1').split(' ', 1)) / 1000,
    0,
  );

type OpenArms = Arms<GetClient> & { close(): void };

async function ioredisArms(servers: LocalRedisCluster): Promise<OpenArms> {
  const open = (): Cluster => new Cluster(servers.ports.map((port) => ({ host: '127.0.0.1', port })));
  const [bare, captured] = [open(), open()];
  for (const key of keys) await bare.set(key, VALUE);
  await captured.get('ready');
  const close = (): void => {
    bare.disconnect();
    captured.disconnect();
  };
  return { library: 'ioredis', bare, captured, close };
}

async function nodeRedisArms(servers: LocalRedisCluster): Promise<OpenArms> {
  const open = () =>
    createCluster({ rootNodes: servers.ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) });
  const [bare, captured] = [open(), open()];
  await Promise.all([bare.connect(), captured.connect()]);
  const close = (): void => {
    bare.destroy();
    captured.destroy();
  };
  return { library: 'node-redis', bare: bare as GetClient, captured: captured as GetClient, close };
}

function resultOf(
  result: Pick<BenchResult, 'name' | 'metric' | 'value' | 'baselineValue' | 'settings'>,
): BenchResult {
  const { value, baselineValue, settings } = result;
  return {
    ...result,
    unit: 'µs',
    baseline: 'bare client',
    ratio: value / baselineValue,
    settings: { ...settings, barUs: ADDED_US_MAX, isBarMet: value <= ADDED_US_MAX },
    hash: createHash('sha256').update(keys.join()).digest('hex').slice(0, 8),
  };
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
/** Without the lowest and the highest fifth: a block that something else has interrupted says nothing about either client. */
function middleOf(values: readonly number[]): number[] {
  const cut = Math.floor(values.length / 5);
  return [...values].sort((a, b) => a - b).slice(cut, values.length - cut);
}

/**
 * Of the mean of `middleOf`: the outer fifths count as if they lay at its edges.
 *
 * @see Tukey & McLaughlin, "Less vulnerable confidence and significance procedures for location", 1963
 */
function standardError(values: readonly number[]): number {
  const middle = middleOf(values);
  const [low, high] = [middle[0] as number, middle.at(-1) as number];
  const edged = values.map((value) => Math.min(high, Math.max(low, value)));
  const centre = mean(edged);
  const variance = edged.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (edged.length - 1);
  return Math.sqrt(variance / values.length) * (values.length / middle.length);
}
