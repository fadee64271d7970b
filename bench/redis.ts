import { createHash } from 'node:crypto';
import { hasRedisServer, LocalRedisCluster } from '../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { REDIS_DEFAULTS } from '../src/redis-settings.ts';
import { median } from './median.ts';
import { AgentProcess } from './redis/agent-process.ts';
import { compareDailyLoad } from './redis/daily-load.ts';
import { LoadProcess } from './redis/load-process.ts';
import {
  assertKeys,
  fill,
  type MoverUnderTest,
  redisCli,
  serverCpuSeconds,
  slotTags,
  untilConverged,
} from './redis/movers.ts';
import type { BenchOptions, BenchOutcome, BenchResult } from './types.ts';

export const area = 'redis';

const KEYS_PER_SLOT = 12;
const CLI = [redisCli(10), redisCli(100)] as const;
/** How much of what clients notice is who waits for a processor: the same tool, as nice as our agent. */
const NICE_CLI = [redisCli(10, REDIS_DEFAULTS.niceness), redisCli(100, REDIS_DEFAULTS.niceness)] as const;

const BY_ASK = 'windows of slots';

interface MoveOptions {
  readonly isSmall: boolean;
  readonly agent: AgentProcess;
}

interface LoadedFigures {
  readonly seconds: number;
  readonly p99Ms: number;
  readonly errors: number;
}

interface Figures {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** Moves of slots of a Redis Cluster beside the engine's own tool, in turn, in one run. */
export async function run({ isSmall, seconds }: BenchOptions): Promise<BenchOutcome> {
  if (!hasRedisServer())
    return {
      results: [],
      skipped: [
        { name: 'redis', why: 'redis-server is not installed: apt-get install redis-server redis-tools' },
      ],
    };
  const results: BenchResult[] = [];
  const agent = await AgentProcess.start();
  try {
    for (const valueBytes of isSmall ? [200] : [200, 2_048])
      results.push(...(await compareSpeed(valueBytes, { isSmall, agent })));
    results.push(...(await compareLatency({ isSmall, agent })));
  } finally {
    await agent.stop();
  }
  const daily = compareDailyLoad({ isSmall, ...(seconds === undefined ? {} : { seconds }) });
  return { results: [...results, ...daily.results], skipped: daily.skipped };
}

/** Without load: slots, keys and bytes a second, and what they cost the servers. */
async function compareSpeed(valueBytes: number, { isSmall, agent }: MoveOptions): Promise<BenchResult[]> {
  const slots = isSmall ? 8 : 1_000;
  const rounds = isSmall ? 1 : 4;
  const ours = agent.mover(BY_ASK);
  const movers = [...CLI, ours];
  const cluster = await LocalRedisCluster.start();
  try {
    await fill(cluster, { tags: slotTags(slots), keysPerSlot: KEYS_PER_SLOT, valueBytes });
    const figures = new Map<MoverUnderTest, Figures[]>(movers.map((mover) => [mover, []]));
    let at = 0;
    // Once unmeasured, to and back; then each mover begins a round in turn.
    for (const mover of movers) {
      await untilConverged(cluster);
      at = await moveAway(mover, cluster, at, slots);
    }
    for (let round = 0; round < rounds; round++)
      for (let turn = 0; turn < movers.length; turn++) {
        const mover = movers[(turn + round) % movers.length] as MoverUnderTest;
        await untilConverged(cluster);
        const cpuBefore = serverCpuSeconds(cluster);
        const startedMs = performance.now();
        at = await moveAway(mover, cluster, at, slots);
        figures.get(mover)?.push({
          seconds: (performance.now() - startedMs) / 1000,
          cpuSeconds: serverCpuSeconds(cluster) - cpuBefore,
        });
        await assertKeys(cluster, at, slots * KEYS_PER_SLOT);
      }
    const hash = createHash('sha256')
      .update(`${slots} ${KEYS_PER_SLOT} ${valueBytes}`)
      .digest('hex')
      .slice(0, 8);
    return CLI.flatMap((peer, index) => {
      const [mine, theirs] = [medians(figures.get(ours)), medians(figures.get(peer))];
      const bars = index === 0 && valueBytes === 200 ? 1.8 : index === 1 && valueBytes === 2_048 ? 1.2 : null;
      const common = { unit: '1/s', baseline: peer.name, hash };
      const row = (metric: string, unit: string, of: (figure: Figures) => number): BenchResult => ({
        ...common,
        name: `move ${slots} slots, ${valueBytes} B values`,
        metric,
        unit,
        value: of(mine),
        baselineValue: of(theirs),
        ratio: of(mine) / of(theirs),
        settings: { rounds, keysPerSlot: KEYS_PER_SLOT },
      });
      const keys = slots * KEYS_PER_SLOT;
      return [
        {
          ...row('slots', '1/s', ({ seconds }) => slots / seconds),
          ...(bars === null || isSmall ? {} : { bar: { ratioMin: bars } }),
        },
        row('keys', '1/s', ({ seconds }) => keys / seconds),
        row('bytes', 'MB/s', ({ seconds }) => (keys * valueBytes) / seconds / 1e6),
        {
          ...row('server CPU', 'µs/key', ({ cpuSeconds }) => (cpuSeconds * 1e6) / keys),
          ...(isSmall ? {} : { bar: { ratioMax: 1 } }),
        },
      ];
    });
  } finally {
    await cluster.stop();
  }
}

/** Under 1,000 operations a second at fixed times: what clients notice, and how fast slots go meanwhile. */
async function compareLatency({ isSmall, agent }: MoveOptions): Promise<BenchResult[]> {
  // Two seconds or so for each: of a shorter stretch, a handful of operations would be the 99th percentile.
  const slots = isSmall ? 8 : 2_000;
  const rounds = isSmall ? 1 : 9;
  const ours = agent.mover(BY_ASK);
  // Compared under load alone: without it nobody notices what it spares.
  const copyFirst = agent.mover('copied first', { plan: 'copy-first' });
  const cluster = await LocalRedisCluster.start();
  const tags = slotTags(slots);
  let load: LoadProcess | undefined;
  try {
    await fill(cluster, { tags, keysPerSlot: KEYS_PER_SLOT, valueBytes: 200 });
    const keys = tags.flatMap((tag) => Array.from({ length: KEYS_PER_SLOT }, (_, i) => `{${tag}}:${i}`));
    load = await LoadProcess.start({
      port: cluster.ports[2] as number,
      keys,
      perSecond: isSmall ? 200 : 1_000,
    });
    const movers = [...CLI, ...NICE_CLI, ours, copyFirst];
    const figures = new Map<MoverUnderTest, LoadedFigures[]>();
    const still: number[] = [];
    let at = 0;
    for (let round = 0; round < rounds; round++) {
      await load.reset();
      await new Promise((resolve) => setTimeout(resolve, isSmall ? 100 : 2_000));
      still.push((await load.report()).p99Ms);
      for (let turn = 0; turn < movers.length; turn++) {
        const mover = movers[(turn + round) % movers.length] as MoverUnderTest;
        await untilConverged(cluster);
        await load.reset();
        const startedMs = performance.now();
        at = await moveAway(mover, cluster, at, slots);
        const seconds = (performance.now() - startedMs) / 1000;
        const { p99Ms, errors } = await load.report();
        figures.set(mover, [...(figures.get(mover) ?? []), { seconds, p99Ms, errors }]);
      }
    }
    const { counted } = await load.stop();
    load = undefined;
    const lost = await countDifferences(cluster, at, counted);
    if (lost > 0) throw new Error(`${lost} counters are not what was acknowledged`);
    const hash = createHash('sha256').update(`${slots} load`).digest('hex').slice(0, 8);
    const pairs = [ours, copyFirst].flatMap((own) => [...CLI, ...NICE_CLI].map((peer) => ({ own, peer })));
    return pairs.flatMap(({ own, peer }) => {
      const [mine, theirs] = [figures.get(own) ?? [], figures.get(peer) ?? []];
      const hasBars = own === ours && CLI.includes(peer) && !isSmall;
      const row = (metric: string, unit: string, of: (figure: LoadedFigures) => number): BenchResult => ({
        name: `move under 1,000 operations/s, ${own.name}`,
        metric,
        unit,
        value: median(mine.map(of)),
        baseline: peer.name,
        baselineValue: median(theirs.map(of)),
        // Of each round: what else the machine does changes between rounds more than within one.
        ratio: median(mine.map((figure, round) => of(figure) / of(theirs[round] as LoadedFigures))),
        settings: {
          rounds,
          p99MsWithoutMove: median(still),
          errors: mine.reduce((sum, { errors }) => sum + errors, 0),
          counters: Object.keys(counted).length,
        },
        hash,
      });
      return [
        { ...row('p99', 'ms', ({ p99Ms }) => p99Ms), ...(hasBars ? { bar: { ratioMax: 1 } } : {}) },
        {
          ...row('slots', '1/s', ({ seconds }) => slots / seconds),
          ...(hasBars ? { bar: { ratioMin: 1 } } : {}),
        },
      ];
    });
  } finally {
    load?.kill();
    await cluster.stop();
  }
}

/** The slots are at node 0 or 1. @returns where they are then. */
async function moveAway(
  mover: MoverUnderTest,
  cluster: LocalRedisCluster,
  at: number,
  slots: number,
): Promise<number> {
  await mover.move(cluster, { from: at, to: 1 - at }, slots);
  return 1 - at;
}

async function countDifferences(
  cluster: LocalRedisCluster,
  at: number,
  counted: Readonly<Record<string, number>>,
): Promise<number> {
  const keys = Object.keys(counted);
  const values = await cluster.pipeline(
    at,
    keys.map((key) => ['GET', key]),
  );
  return keys.filter((key, index) => Number(String(values[index])) !== counted[key]).length;
}

const medians = (figures: readonly Figures[] = []): Figures => ({
  seconds: median(figures.map(({ seconds }) => seconds)),
  cpuSeconds: median(figures.map(({ cpuSeconds }) => cpuSeconds)),
});
