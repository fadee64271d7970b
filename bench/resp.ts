import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LocalCluster } from '../plugin/node/local/local-cluster.ts';
import { QUERY_NODE_ID_MIN } from '../plugin/node/node-options.ts';
import { median } from './median.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

export const area = 'resp';

const runProgram = promisify(execFile);
const CLIENTS = 50;
/** Linux counts CPU time in hundredths of a second for every program. */
const TICKS_PER_SECOND = 100;
/** A process that uses this much of a core is what the rest waits for; below it, the disk or the scheduler is. */
const BUSY_SHARE = 0.75;

interface Case {
  readonly command: 'set' | 'get';
  readonly pipeline: 1 | 16;
  /** 1 is what redis-benchmark does by itself: all clients on one key. */
  readonly keys: number;
  /** Least ratio that the project promises; 0 where it promises none. */
  readonly bar: number;
}

const CASES: readonly Case[] = [
  { command: 'set', pipeline: 1, keys: 1, bar: 0.25 },
  { command: 'get', pipeline: 1, keys: 1, bar: 0.25 },
  { command: 'set', pipeline: 16, keys: 1, bar: 0.2 },
  { command: 'get', pipeline: 16, keys: 1, bar: 0.1 },
  { command: 'set', pipeline: 1, keys: 100_000, bar: 0 },
  { command: 'set', pipeline: 16, keys: 100_000, bar: 0 },
  { command: 'get', pipeline: 16, keys: 100_000, bar: 0 },
];

/** The embedded node and a redis-server that makes the same promise, under the same redis-benchmark, in turn. */
export async function run({ isSmall }: { isSmall: boolean }): Promise<BenchOutcome> {
  if (
    spawnSync('redis-server', ['--version']).status !== 0 ||
    spawnSync('redis-benchmark', ['--version']).status !== 0
  )
    return {
      results: [],
      skipped: [
        {
          name: 'redis',
          why: 'redis-server and redis-benchmark are not installed (Debian: redis-server, redis-tools)',
        },
      ],
    };
  const storageNodeCount = isSmall ? 1 : 2;
  const redis = await RedisUnderTest.start();
  let cluster: LocalCluster | undefined;
  try {
    cluster = await LocalCluster.start({ storageNodeCount, partitionCount: 256 });
    const cases = isSmall ? CASES.filter(({ keys }) => keys === 1) : CASES;
    const results: BenchResult[] = [];
    for (const one of cases) results.push(await measure(one, cluster, redis, { isSmall, storageNodeCount }));
    return { results, skipped: [] };
  } finally {
    await cluster?.stop();
    await redis.stop();
  }
}

async function measure(
  one: Case,
  cluster: LocalCluster,
  redis: RedisUnderTest,
  { isSmall, storageNodeCount }: { readonly isSmall: boolean; readonly storageNodeCount: number },
): Promise<BenchResult> {
  const { command, pipeline, keys, bar } = one;
  const requests = (isSmall ? 1_000 : 15_000) * (pipeline === 1 ? 1 : isSmall ? 2 : 4);
  const rounds = isSmall ? 1 : 3;
  const ours: number[] = [];
  const theirs: number[] = [];
  const usage = new CpuUsage(cluster, storageNodeCount);
  if (!isSmall) {
    // Once unmeasured, so that neither is judged by its compiler's first second or its first page.
    await benchmark(cluster.port, one, requests);
    await benchmark(redis.port, one, requests);
  }
  for (let round = 0; round < rounds; round++) {
    usage.begin();
    ours.push(await benchmark(cluster.port, one, requests));
    usage.end();
    theirs.push(await benchmark(redis.port, one, requests));
  }
  const value = median(ours);
  const baselineValue = median(theirs);
  return {
    name: `${command} -P ${pipeline} ${keys === 1 ? 'one key' : `${keys} keys`}`,
    metric: 'throughput',
    value,
    unit: '1/s',
    baseline: 'redis-server --appendonly yes --appendfsync always',
    baselineValue,
    ratio: value / baselineValue,
    settings: {
      clients: CLIENTS,
      requests,
      rounds,
      storageNodeCount,
      ...(bar > 0 ? { bar, isBarMet: value / baselineValue >= bar } : {}),
      limit: usage.limit(),
    },
    hash: await hashOfReply(cluster.port, redis.port),
  };
}

async function benchmark(port: number, { command, pipeline, keys }: Case, requests: number): Promise<number> {
  const keyspace = keys === 1 ? [] : ['-r', String(keys)];
  const { stdout } = await runProgram('redis-benchmark', [
    ...['-h', '127.0.0.1', '-p', String(port), '-c', String(CLIENTS), '-n', String(requests)],
    ...['-P', String(pipeline), '-t', command, '--csv', ...keyspace],
  ]);
  const line = stdout.split('\n').find((text) => text.startsWith(`"${command.toUpperCase()}"`));
  const throughput = Number(line?.split(',')[1]?.replaceAll('"', ''));
  if (!(throughput > 0)) throw new Error(`redis-benchmark said nothing usable: ${stdout.slice(0, 500)}`);
  return throughput;
}

/** What both hold in the end: the value that redis-benchmark writes. A difference is an error, not a figure. */
async function hashOfReply(ours: number, theirs: number): Promise<string> {
  const valueAt = async (port: number): Promise<string> =>
    (await runProgram('redis-cli', ['-p', String(port), 'GET', 'key:__rand_int__'])).stdout;
  const [here, there] = await Promise.all([valueAt(ours), valueAt(theirs)]);
  if (here !== there)
    throw new Error(`after the same load the values differ: ${here.trim()} and ${there.trim()}`);
  return createHash('sha256').update(here).digest('hex').slice(0, 8);
}

/** How busy each process was while ours were measured: says what limits them. */
class CpuUsage {
  readonly #pids: ReadonlyMap<string, number>;
  readonly #used = new Map<string, number>();
  readonly #before = new Map<string, number>();
  #startedMs = 0;
  #elapsedMs = 0;

  constructor(cluster: LocalCluster, storageNodeCount: number) {
    const storage = Array.from(
      { length: storageNodeCount },
      (_, id) => [`storage node ${id}`, cluster.pid(id)] as const,
    );
    this.#pids = new Map([['query node', cluster.pid(QUERY_NODE_ID_MIN)], ...storage]);
  }

  begin(): void {
    for (const [name, pid] of this.#pids) this.#before.set(name, cpuSeconds(pid));
    this.#startedMs = performance.now();
  }

  end(): void {
    this.#elapsedMs += performance.now() - this.#startedMs;
    for (const [name, pid] of this.#pids)
      this.#used.set(name, (this.#used.get(name) ?? 0) + cpuSeconds(pid) - (this.#before.get(name) ?? 0));
  }

  limit(): string {
    const shares = [...this.#used].map(
      ([name, seconds]) => [name, (seconds * 1000) / this.#elapsedMs] as const,
    );
    const told = shares.map(([name, share]) => `${name} ${Math.round(share * 100)}%`).join(', ');
    const busiest = shares.reduce((a, b) => (b[1] > a[1] ? b : a));
    const verdict = busiest[1] >= BUSY_SHARE ? `CPU of ${busiest[0]}` : 'waiting for commits and for a core';
    return `${verdict} (${told})`;
  }
}

/** 0 where there is no /proc. */
function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}

class RedisUnderTest {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'foreshard-bench-redis-'));
  readonly #process;
  readonly #exited: Promise<void>;

  private constructor(port: number) {
    this.port = port;
    this.#process = spawn(
      'redis-server',
      [
        ...['--port', String(port), '--bind', '127.0.0.1', '--dir', this.#folder],
        ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
      ],
      { stdio: 'ignore' },
    );
    this.#exited = new Promise((resolve) => {
      this.#process.once('close', () => resolve());
      this.#process.once('error', () => resolve());
    });
  }

  static async start(): Promise<RedisUnderTest> {
    const redis = new RedisUnderTest(await freePort());
    for (let attempt = 0; attempt < 200; attempt++) {
      if (spawnSync('redis-cli', ['-p', String(redis.port), 'PING']).stdout?.toString() === 'PONG\n')
        return redis;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    await redis.stop();
    throw new Error('redis-server did not come up within 5 s');
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
