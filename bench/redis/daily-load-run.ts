/**
 * The inner half of the bench of a daily load: it runs in a network namespace of its own, where each server's replies are held to
 * a rate. Prints one JSON object.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import calculateSlot from 'cluster-key-slot';
import { LocalRedisCluster } from '../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import type { RedisCommand } from '../../plugin/engines/redis-cluster/server/redis-node.ts';
import { SLOT_COUNT } from '../../src/model/partition-map.ts';
import {
  DAILY_POLICIES,
  type DailyFigures,
  type DailyOptions,
  type DailyPolicy,
  type DailyReport,
} from './daily-load-options.ts';
import {
  airportKey,
  type DailyLoad,
  PARTITION_COUNT,
  type PlannedDays,
  peakOf,
  planDays,
  readDailyLoad,
} from './daily-plans.ts';
import { forkModule } from './load-process.ts';
import { moveOurs, untilConverged } from './movers.ts';
import { limitRates } from './rate-limits.ts';
import type { TraceOrder, TraceReport } from './trace-client.ts';

const HOSTS = ['127.0.0.2', '127.0.0.3', '127.0.0.4'] as const;
const VALUE_BYTES = 1_000;
/** With headers of RESP, TCP and IP. */
const READ_BYTES = 1_080;
/** Perfect balance would peak here. */
const PEAK_UTILISATION = 0.85;
/** What else is in the slots, so that a move has something to carry. */
const FILLER = { perSlot: 3, bytes: 200 };
/** What a server was seen to answer, beside what its replies are held to. */
const RATE_TOLERANCE = 0.1;
const CALIBRATION = { reads: 1_500, inFlight: 50 };
const SLOTS_PER_PARTITION = SLOT_COUNT / PARTITION_COUNT;
const runProgram = promisify(execFile);

async function main({ liveDays, hourMs, trainDays, cycleHours, isRateChecked }: DailyOptions): Promise<void> {
  const daily = await readDailyLoad({ liveDays, trainDays });
  const peakReadsPerSecond = peakOf(daily) / (hourMs / 1_000);
  const wanted = peakReadsPerSecond / HOSTS.length / PEAK_UTILISATION;
  const cluster = await LocalRedisCluster.start({
    hosts: HOSTS,
    // A server whose replies queue up is slow, not dead.
    serverArguments: ['--cluster-node-timeout', '15000'],
  });
  try {
    await fill(cluster, daily);
    limitRates(HOSTS, wanted * READ_BYTES * 8);
    const nodeReadsPerSecond = await measureNode(cluster, daily);
    if (isRateChecked && Math.abs(nodeReadsPerSecond / wanted - 1) > RATE_TOLERANCE)
      throw new Error(`a server answers ${nodeReadsPerSecond} reads/s where it is held to ${wanted}`);
    // What it is held to, and not what this run has measured: plans would be others in every run.
    const capacity = wanted * (hourMs / 1_000);
    const nodeCount = HOSTS.length;
    const start = ownersAtStart();
    const plans: Record<DailyPolicy, PlannedDays> = {
      stay: { startOwnerOf: start, changes: [] },
      rebalance: { startOwnerOf: start, changes: [] },
      reactive: await planDays('reactive', daily, { capacity, nodeCount, cycleHours }),
      predictive: await planDays('predictive', daily, { capacity, nodeCount, cycleHours }),
    };
    const owners = ownersAtStart();
    const policies: Partial<Record<DailyPolicy, DailyFigures>> = {};
    for (const name of DAILY_POLICIES) {
      await moveTo(cluster, owners, plans[name].startOwnerOf);
      policies[name] = await play(cluster, daily, { name, plan: plans[name], owners, hourMs });
    }
    process.stdout.write(
      JSON.stringify({
        policies: policies as DailyReport['policies'],
        nodeReadsPerSecond,
        peakReadsPerSecond,
      } satisfies DailyReport),
    );
  } finally {
    await cluster.stop();
  }
}

/** Whole partitions: the border slots of a cluster that was cut into thirds count for whoever has most of theirs. */
const ownersAtStart = (): Int32Array =>
  Int32Array.from({ length: PARTITION_COUNT }, (_, p) =>
    Math.floor(((p + 0.5) * HOSTS.length) / PARTITION_COUNT),
  );

async function fill(cluster: LocalRedisCluster, { live }: DailyLoad): Promise<void> {
  const value = 'v'.repeat(VALUE_BYTES);
  const keys = live.airports.map(airportKey);
  const filler: string[] = [];
  for (let i = 0; filler.length < SLOT_COUNT * FILLER.perSlot; i++) filler.push(`filler:${i}`);
  const commandsOf = HOSTS.map((): RedisCommand[] => []);
  const ownerOf = (slot: number): number => Math.min(2, Math.floor((slot * HOSTS.length) / SLOT_COUNT));
  for (const key of keys) commandsOf[ownerOf(calculateSlot(key))].push(['SET', key, value]);
  for (const key of filler)
    commandsOf[ownerOf(calculateSlot(key))].push(['SET', key, 'f'.repeat(FILLER.bytes)]);
  for (const [node, commands] of commandsOf.entries())
    for (let at = 0; at < commands.length; at += 500)
      await cluster.pipeline(node, commands.slice(at, at + 500));
}

/** Reads a second of one server that never waits for a question. */
async function measureNode(cluster: LocalRedisCluster, { live }: DailyLoad): Promise<number> {
  const key = live.airports.map(airportKey).find((one) => calculateSlot(one) < SLOT_COUNT / 3 - 1) as string;
  const rounds = CALIBRATION.reads / CALIBRATION.inFlight;
  const batch = Array.from({ length: CALIBRATION.inFlight }, (): RedisCommand => ['GET', key]);
  await cluster.pipeline(0, batch);
  const startedMs = performance.now();
  for (let round = 0; round < rounds; round++) await cluster.pipeline(0, batch);
  return CALIBRATION.reads / ((performance.now() - startedMs) / 1_000);
}

/** Plays the days under one policy. */
async function play(
  cluster: LocalRedisCluster,
  { live }: DailyLoad,
  {
    name,
    plan,
    owners,
    hourMs,
  }: {
    readonly name: DailyPolicy;
    readonly plan: PlannedDays;
    readonly owners: Int32Array;
    readonly hourMs: number;
  },
): Promise<DailyFigures> {
  const hours = hoursOf(live);
  const client = forkModule(new URL('./trace-client.ts', import.meta.url));
  const order: TraceOrder = {
    nodes: HOSTS.map((_, index) => cluster.address(index)),
    keys: live.airports.map(airportKey),
    hours,
    hourMs,
  };
  client.send(order);
  await once(client, 'message');
  const reported = once(client, 'message');
  const startedMs = performance.now();
  let movedSlots = 0;
  for (let hour = 0; hour < hours.length; hour++) {
    await sleep(Math.max(0, startedMs + hour * hourMs - performance.now()));
    // The engine's own tool looks once a day, at midnight.
    if (name === 'rebalance' && hour % 24 === 0) await rebalance(cluster);
    const wanted = owners.slice();
    for (const { partition, target } of plan.changes[hour] ?? []) wanted[partition] = target;
    movedSlots += await moveTo(cluster, owners, wanted);
  }
  const [report] = (await reported) as [TraceReport];
  return { ...report, movedSlots };
}

/** By hour, the airports in the order in which flights left. */
function hoursOf(live: DailyLoad['live']): Uint16Array[] {
  const hourCount = Math.ceil((live.endMs - live.startMs) / 3_600_000);
  const hours: number[][] = Array.from({ length: hourCount }, () => []);
  live.minuteOf.forEach((minute, row) => {
    hours[Math.floor(minute / 60)].push(live.originOf[row]);
  });
  return hours.map((indices) => Uint16Array.from(indices));
}

/** Moves what is elsewhere, and writes it down in `owners`. @returns how many slots. */
async function moveTo(cluster: LocalRedisCluster, owners: Int32Array, wanted: Int32Array): Promise<number> {
  let moved = 0;
  for (let from = 0; from < HOSTS.length; from++)
    for (let to = 0; to < HOSTS.length; to++) {
      const partitions = [...owners.keys()].filter(
        (p) => owners[p] === from && wanted[p] === to && from !== to,
      );
      if (partitions.length === 0) continue;
      const slots = partitions.flatMap((p) =>
        Array.from({ length: SLOTS_PER_PARTITION }, (_, i) => p * SLOTS_PER_PARTITION + i),
      );
      await moveOurs(cluster, { from, to }, { slots });
      for (const p of partitions) owners[p] = to;
      moved += slots.length;
    }
  return moved;
}

async function rebalance(cluster: LocalRedisCluster): Promise<void> {
  await untilConverged(cluster);
  const { host, port } = cluster.address(0);
  await runProgram('redis-cli', ['--cluster', 'rebalance', `${host}:${port}`]);
}

await main(JSON.parse(process.argv[2] ?? '') as DailyOptions);
