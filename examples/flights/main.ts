/**
 * `npm start`: the whole loop on a real log. One query node and eight storage nodes as processes, or a Redis Cluster of three
 * masters with an agent beside it; 28 days of the flights log as history, then 7 days live through an ordinary Redis client on a virtual clock, planning every trace hour while
 * partitions migrate under the load; then the policies side by side, and every key read back.
 */
import { parseArgs } from 'node:util';
import { redisServerProblem } from '../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { hasEtcd } from '../../plugin/node/local/local-etcd.ts';
import { EmbeddedCluster } from './embedded-cluster.ts';
import { Ledger } from './ledger.ts';
import { LoadGenerator } from './load-generator.ts';
import { comparePolicies } from './policies.ts';
import { createProgress, type Progress } from './progress.ts';
import { DAY_MS, LOG_END_MS, LOG_START_MS, readFlightLog } from './read-log.ts';
import { RedisReplayCluster } from './redis-cluster.ts';
import { HOUR_MS, playLiveDays } from './replay.ts';
import { REPLAY_MIGRATION_SETTINGS, type ReplayCluster, type StoreClient } from './replay-cluster.ts';
import { formatReport, type ReplayReport } from './report.ts';
import {
  hourlyQueries,
  nodeCapacity,
  partitionOfAirport,
  type SeedEntry,
  seedEntries,
  storedBytes,
} from './workload.ts';

const HELP = `npm start -- [options]
  --json            one JSON object on standard output, progress on standard error
  --engine KIND     embedded: nodes of this package; redis-cluster: redis-servers and an agent (embedded)
  --nodes N         storage nodes, or masters of Redis, 2 to 64 (8; 3)
  --partitions N    a power of two, 16 to 16384 (256)
  --history-days N  loaded as history before the live days, 7 to 180 (28)
  --live-days N     replayed live, 2 to 60 (7)
  --start-day N     first day of history, from 2001-01-01 (the last that leaves room)
  --hour-ms N       real time of one trace hour, milliseconds (700)
  --cycle-hours N   trace hours between two plans (1)
  --seed N          of everything that is drawn (1)
  --metadata KIND   embedded, or etcd: one that is started for the replay (embedded; not with --engine redis-cluster)`;

/** A perfectly balanced cluster peaks here: tight enough to matter, loose enough that a good map fits. */
const PEAK_UTILISATION = 0.7;
/** Measured from the second live day on: the predictive policy starts on the default map and has to migrate first. */
const WARM_UP_DAYS = 1;
const NODE_COUNT_DEFAULT = { embedded: 8, 'redis-cluster': 3 } as const;

interface ReplayOptions {
  readonly isJson: boolean;
  readonly engine: keyof typeof NODE_COUNT_DEFAULT;
  readonly nodeCount: number;
  readonly partitionCount: number;
  readonly historyDays: number;
  readonly liveDays: number;
  readonly startMs: number;
  readonly hourMs: number;
  readonly cycleHours: number;
  readonly seed: bigint;
  readonly metadata: 'embedded' | 'etcd';
}

class UsageError extends Error {}

function readOptions(): ReplayOptions | null {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      engine: { type: 'string', default: 'embedded' },
      nodes: { type: 'string' },
      partitions: { type: 'string', default: '256' },
      'history-days': { type: 'string', default: '28' },
      'live-days': { type: 'string', default: '7' },
      'start-day': { type: 'string' },
      'hour-ms': { type: 'string', default: '700' },
      'cycle-hours': { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
      metadata: { type: 'string', default: 'embedded' },
    },
  });
  if (values.help) return null;
  const integer = (name: string, text: string, min: number, max: number): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max)
      throw new UsageError(`--${name} must be an integer in ${min}..${max}, got ${text}`);
    return value;
  };
  const { engine, metadata } = values;
  if (engine !== 'embedded' && engine !== 'redis-cluster')
    throw new UsageError(`--engine must be embedded or redis-cluster, got ${engine}`);
  if (engine === 'redis-cluster') {
    const problem = redisServerProblem();
    if (problem !== null) throw new UsageError(`--engine redis-cluster: ${problem}`);
    if (metadata !== 'embedded') throw new UsageError('--engine redis-cluster keeps its metadata embedded');
  }
  if (metadata !== 'embedded' && metadata !== 'etcd')
    throw new UsageError(`--metadata must be embedded or etcd, got ${metadata}`);
  if (metadata === 'etcd' && !hasEtcd())
    throw new UsageError(
      '--metadata etcd needs etcd and etcdctl, which are not installed (Debian: etcd-server, etcd-client)',
    );
  const powerOfTwo = (name: string, value: number): number => {
    if (!Number.isInteger(Math.log2(value)))
      throw new UsageError(`--${name} must be a power of two, got ${value}`);
    return value;
  };
  const historyDays = integer('history-days', values['history-days'], 7, 180);
  const liveDays = integer('live-days', values['live-days'], WARM_UP_DAYS + 1, 60);
  const lastStartDay = (LOG_END_MS - LOG_START_MS) / DAY_MS - historyDays - liveDays;
  if (lastStartDay < 0)
    throw new UsageError(
      `the log has ${(LOG_END_MS - LOG_START_MS) / DAY_MS} days, asked for ${historyDays + liveDays}`,
    );
  const startDay = integer('start-day', values['start-day'] ?? String(lastStartDay), 0, lastStartDay);
  return {
    isJson: values.json,
    engine,
    nodeCount: integer('nodes', values.nodes ?? String(NODE_COUNT_DEFAULT[engine]), 2, 64),
    partitionCount: powerOfTwo('partitions', integer('partitions', values.partitions, 16, 16384)),
    historyDays,
    liveDays,
    startMs: LOG_START_MS + startDay * DAY_MS,
    hourMs: integer('hour-ms', values['hour-ms'], 50, 3_600_000),
    cycleHours: integer('cycle-hours', values['cycle-hours'], 1, 24),
    seed: BigInt(integer('seed', values.seed, 0, Number.MAX_SAFE_INTEGER)),
    metadata,
  };
}

async function replay(options: ReplayOptions, progress: Progress): Promise<ReplayReport> {
  const startedMs = performance.now();
  const { nodeCount, partitionCount, historyDays, liveDays, startMs, seed } = options;
  const liveStartMs = startMs + historyDays * DAY_MS;
  const endMs = liveStartMs + liveDays * DAY_MS;
  progress.say(
    'Flights stand in for queries: a departure is three reads and a counter under the tag of its origin.',
  );
  progress.say(
    `One trace hour takes ${options.hourMs} ms: days, hours and utilisation below are the log's, queries/s and latencies this machine's.`,
  );
  const history = await readFlightLog({ fromMs: startMs, toMs: liveStartMs });
  const live = await readFlightLog({ fromMs: liveStartMs, toMs: endMs });
  const historyQueries = hourlyQueries(history, partitionCount);
  const liveQueries = hourlyQueries(live, partitionCount);
  const capacity = Math.max(
    ...[historyQueries, liveQueries].map((queries) =>
      nodeCapacity(queries, { partitionCount, nodeCount, peakUtilisation: PEAK_UTILISATION }),
    ),
  );
  progress.say(
    `read ${history.minuteOf.length + live.minuteOf.length} departures from ${dayOf(startMs)} to ${dayOf(endMs)}; ` +
      `a node is said to carry ${Math.round(capacity)} queries a trace hour, so that perfect balance peaks at ${PEAK_UTILISATION * 100} %`,
  );

  const cluster = await startCluster(options, capacity);
  const abandon = stopOnSignals(cluster);
  try {
    const seeded = seedEntries(live, seed);
    const clients = await cluster.openClients({ nowMs: liveStartMs });
    await writeSeeds(clients.store, seeded);
    progress.say(`${cluster.description}, ${partitionCount} partitions, ${seeded.length} keys`);
    // The clock before the history: whatever was captured while seeding belongs to no live hour.
    await cluster.setClock(liveStartMs);
    await cluster.loadHistory({
      startMs,
      windowMs: HOUR_MS,
      windowCount: historyDays * 24,
      partitionCount,
      queries: historyQueries,
    });
    const planned = await cluster.advance(liveStartMs);
    progress.say(
      `${historyDays} days of history loaded; first plan: ${planned?.proposedCount ?? 0} moves, ` +
        `forecast in ${planned?.forecastMs.toFixed(0)} ms, planned in ${planned?.planMs.toFixed(0)} ms`,
    );

    const ledger = new Ledger(seeded);
    const openMigrations = { count: 0 };
    const captureBefore = await cluster.captured();
    const generator = new LoadGenerator({
      log: live,
      clients: clients.load,
      ledger,
      partitionOf: partitionOfAirport(live, partitionCount),
      partitionCount,
      isMigrating: () => openMigrations.count > 0,
    });
    const figures = await playLiveDays({
      cluster,
      generator,
      progress,
      liveStartMs,
      hourCount: liveDays * 24,
      hourMs: options.hourMs,
      cycleHours: options.cycleHours,
      partitionCount,
      capacity,
      nodeCount,
      openMigrations,
    });

    progress.say('reading back every key');
    const verification = await ledger.verify(clients.store);
    for (const example of [...verification.examples, ...generator.errorExamples])
      progress.say(`  ${example}`);
    await clients.close();

    progress.say('comparing the policies on the captured load');
    const policies = await comparePolicies({
      queries: figures.queries,
      startOwnerOf: cluster.startOwnerOf,
      startMs,
      historyHours: historyDays * 24,
      liveHours: liveDays * 24,
      warmUpHours: WARM_UP_DAYS * 24,
      partitionCount,
      nodeCount,
      capacity,
      partitionBytes: storedBytes(seeded, partitionCount),
      ownerOfByHour: figures.ownerOfByHour,
      residenceHours: REPLAY_MIGRATION_SETTINGS.residenceMs / options.hourMs,
      seed,
    });
    const { keysChecked, keysLost, keysWrong } = verification;
    return {
      policies,
      migrations: {
        done: figures.done,
        aborted: figures.aborted,
        abortReasons: figures.abortReasons,
        bytesCopied: figures.movedBytes,
      },
      migrationsLeftOpen: figures.leftOpen,
      clientErrors: generator.clientErrors,
      keysChecked,
      keysLost,
      keysWrong,
      captured: figures.captured - captureBefore.capturedCount,
      dropped: figures.dropped - captureBefore.droppedCount,
      seconds: (performance.now() - startedMs) / 1000,
      latencyMs: { during: latencyFigures(generator.during), outside: latencyFigures(generator.outside) },
      peakMemoryBytes: figures.peakMemoryBytes,
      captureMismatches: countDifferences({
        captured: figures.queries.subarray(historyDays * 24 * partitionCount),
        sent: generator.sent,
      }),
      queryTypes: figures.queryTypes.map(({ template, totalCount }) => ({
        template,
        count: totalCount,
      })),
    };
  } finally {
    abandon();
    await cluster.stop();
  }
}

function startCluster(options: ReplayOptions, capacity: number): Promise<ReplayCluster> {
  const { engine, metadata } = options;
  return engine === 'redis-cluster'
    ? RedisReplayCluster.start({ ...options, capacity })
    : EmbeddedCluster.start({ ...options, capacity }, metadata);
}

/** Whoever breaks off is not left with processes and folders. @returns what calls it off. */
function stopOnSignals(cluster: ReplayCluster): () => void {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const stop = (): void => void cluster.stop().finally(() => process.exit(130));
  for (const signal of signals) process.once(signal, stop);
  return () => {
    for (const signal of signals) process.off(signal, stop);
  };
}

async function writeSeeds(client: StoreClient, entries: readonly SeedEntry[]): Promise<void> {
  const BATCH = 500;
  for (let i = 0; i < entries.length; i += BATCH)
    await Promise.all(
      entries
        .slice(i, i + BATCH)
        .map((entry) =>
          entry.kind === 'string' ? client.set(entry.key, entry.value) : client.hSet(entry.key, entry.fields),
        ),
    );
}

const latencyFigures = (histogram: LoadGenerator['during']) => ({
  p50: histogram.quantile(0.5),
  p99: histogram.quantile(0.99),
  count: histogram.count,
});

function countDifferences({ captured, sent }: { captured: Float64Array; sent: Float64Array }): number {
  let count = Math.abs(captured.length - sent.length);
  for (let i = 0; i < Math.min(captured.length, sent.length); i++) if (captured[i] !== sent[i]) count++;
  return count;
}

const dayOf = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 10);

/** What must hold whatever the load does; speed and quality are for the reader to judge. */
function brokenPromises(report: ReplayReport): string[] {
  const { keysLost, keysWrong, clientErrors, captureMismatches, dropped, migrationsLeftOpen } = report;
  const claims: readonly (readonly [number, string])[] = [
    [keysLost, 'keys were lost'],
    [keysWrong, 'keys hold something else than what was acknowledged'],
    [clientErrors, 'client commands failed'],
    // A full ring may drop queries, and says so; what it does not call dropped must be there.
    [dropped === 0 ? captureMismatches : 0, 'cells of the load profile differ from what was sent'],
    [migrationsLeftOpen, 'migrations did not come to an end'],
  ];
  return claims.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
}

async function main(): Promise<void> {
  let options: ReplayOptions | null;
  try {
    options = readOptions();
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exitCode = 2;
    return;
  }
  if (options === null) {
    console.log(HELP);
    return;
  }
  const report = await replay(options, createProgress(options.isJson ? process.stderr : process.stdout));
  if (options.isJson) process.stdout.write(`${JSON.stringify(report)}\n`);
  else console.log(`\n${formatReport(report)}`);
  const broken = brokenPromises(report);
  for (const promise of broken) console.error(`FAILED: ${promise}`);
  if (broken.length > 0) process.exitCode = 1;
}

await main();
