/**
 * `npm run faults [-- --faults N --seed S --only STAGE,… --match TEXT --json]`: real processes, real disks and real sockets under an
 * open-loop load, and one fault after another. Exits 1 when anything was lost, stale, without owner or stuck.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { hasEtcd, LocalEtcd } from '../../../plugin/node/local/local-etcd.ts';
import { diskRows, startOnBadDisks } from './disk-faults.ts';
import { FaultCluster, PARTITION_COUNT, tagsOf } from './fault-cluster.ts';
import { longOutage, metadataRows, playLongOutage } from './metadata-faults.ts';
import { networkRows, startProxied } from './network-faults.ts';
import { OpenLoopLoad } from './open-loop-load.ts';
import { NAMESPACE_VARIABLE, packetRows, whyNoPackets } from './packet-faults.ts';
import { labelOf, playRow, type RowPlan, type Stage } from './play-row.ts';
import {
  FREE_PARTITIONS,
  HOLD_PHASE,
  matrix,
  partitionOf,
  playHandOvers,
  playSeveral,
} from './process-faults.ts';
import { playRedisFailovers } from './redis-failover-faults.ts';
import { playRedis } from './redis-faults.ts';
import { type AdoptedScore, FaultScore, messageOf, seconds } from './score.ts';

const STAGES = ['process', 'several', 'network', 'packets', 'disk', 'metadata', 'redis'] as const;
type StageName = (typeof STAGES)[number];
const SEED_DEFAULT = 20_010_101n;
const MATRIX_FAULTS_DEFAULT = 88;
const SEVERAL_ROUNDS = 6;
const REDIS_ROUNDS = 15;
const REDIS_FAILOVERS = 8;
const HAND_OVERS = 24;
/** What the machine bears beside restarts: a write each five milliseconds to the partition that is moved. */
const QUERIES_PER_SECOND = 400;
const SESSIONS = 8;
/** Copied in about half a second: a copy that can be interrupted. */
const FILLER = { count: 500, bytes: 1_000 };
/** The bar of docs/reliability.md for a hand-over; judged by people, since a busy machine is slow for reasons of its own. */
const WRITE_PAUSE_MS_MAX = 250;
const JSON_BYTES_MAX = 16 << 20;

const USAGE = `usage: npm run faults [-- --faults N --seed S --only ${STAGES.join(',')} --match TEXT --json]

  --faults N  at most so many of the matrix phase x kind x victim (default ${MATRIX_FAULTS_DEFAULT}: all), and a quarter as many of redis, an eighth as many failovers
  --seed S    of the order, and of several faults at once (default ${SEED_DEFAULT})
  --only      these stages
  --match     only rounds whose line has this text, such as "SIGSTOP source in FENCED"
  --json      one JSON object on standard output, lines for people on standard error
`;

interface Run {
  readonly score: FaultScore;
  readonly seed: bigint;
  readonly matrixFaults: number;
  readonly stages: readonly StageName[];
  readonly match: string;
  readonly say: (line: string) => void;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      faults: { type: 'string' },
      seed: { type: 'string' },
      only: { type: 'string' },
      match: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const only = values.only?.split(',') ?? STAGES;
  const unknown = only.filter((name) => !(STAGES as readonly string[]).includes(name));
  if (unknown.length > 0) throw new Error(`unknown stage ${unknown.join(', ')}\n\n${USAGE}`);
  const run: Run = {
    score: new FaultScore(),
    seed: BigInt(values.seed ?? SEED_DEFAULT),
    matrixFaults: Number(values.faults ?? MATRIX_FAULTS_DEFAULT),
    stages: STAGES.filter((name) => only.includes(name)),
    match: values.match,
    say: values.json ? console.error : console.log,
  };
  const startedMs = performance.now();
  await playProcesses(run);
  await playNetwork(run);
  await playPackets(run);
  await playDisks(run);
  await playMetadata(run);
  if (run.stages.includes('redis')) {
    await playRedis({ ...run, rounds: Math.min(REDIS_ROUNDS, Math.ceil(run.matrixFaults / 4)) });
    await playRedisFailovers({
      ...run,
      rounds: Math.min(REDIS_FAILOVERS, Math.ceil(run.matrixFaults / 8)),
    });
  }
  const result = { ...run.score.toJson(), seed: String(run.seed), seconds: seconds(startedMs) };
  for (const { name, why } of run.score.skipped) run.say(`SKIP ${name}: ${why}`);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else console.log(JSON.stringify({ ...result, rows: undefined }, null, 2));
  const { rows, violationCount } = run.score;
  run.say(describePauses(run.score));
  run.say(
    `faults: ${rows.filter((row) => row.outcome !== 'violated').length} passed, ${violationCount} failed`,
  );
  process.exitCode = run.score.violationCount > 0 ? 1 : 0;
}

function describePauses({ pauses, pausesElsewhere }: FaultScore): string {
  const { count, p99 } = pauses.summary();
  const verdict = p99 <= WRITE_PAUSE_MS_MAX ? 'met' : 'not met';
  return `write pause at ${count} undisturbed hand-overs: p99 ${p99} ms, at most ${WRITE_PAUSE_MS_MAX}: ${verdict}; elsewhere at the same moments ${pausesElsewhere.summary().p99} ms`;
}

async function playProcesses(run: Run): Promise<void> {
  const { stages, seed, matrixFaults } = run;
  if (!stages.includes('process') && !stages.includes('several')) return;
  const cluster = await FaultCluster.start({ holdPhase: HOLD_PHASE });
  try {
    await underLoad(run, cluster, async (stage) => {
      if (stages.includes('process')) {
        if (run.match === '') await playHandOvers(stage, HAND_OVERS);
        await playRows(stage, run, matrix({ seed, faultsMax: matrixFaults }));
      }
      if (stages.includes('several')) await playSeveral(stage, seed, SEVERAL_ROUNDS);
    });
  } finally {
    await cluster.stop();
  }
}

async function playNetwork(run: Run): Promise<void> {
  if (!run.stages.includes('network')) return;
  const { cluster, proxies, stop } = await startProxied(run.seed);
  try {
    await underLoad(run, cluster, (stage) => playRows(stage, run, networkRows(proxies, run.score)));
  } finally {
    await stop();
  }
}

/** In a process of its own, inside a network namespace: only there may packets be dropped. */
async function playPackets(run: Run): Promise<void> {
  if (!run.stages.includes('packets')) return;
  if (process.env[NAMESPACE_VARIABLE] === '1') {
    const cluster = await FaultCluster.start({ holdPhase: HOLD_PHASE });
    try {
      await underLoad(run, cluster, (stage) => playRows(stage, run, packetRows()));
    } finally {
      await cluster.stop();
    }
    return;
  }
  const why = whyNoPackets();
  if (why !== null) {
    run.score.skip('packets dropped by iptables', 'netns', why);
    return;
  }
  const inner = [process.execPath, ...process.execArgv, process.argv[1] as string];
  const child = spawnSync(
    'unshare',
    [
      '-n',
      'sh',
      '-c',
      'ip link set lo up && exec "$@"',
      'sh',
      ...inner,
      '--only',
      'packets',
      '--match',
      run.match,
      '--json',
    ],
    {
      env: { ...process.env, [NAMESPACE_VARIABLE]: '1' },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: JSON_BYTES_MAX,
    },
  );
  if (child.stdout.trim() === '') throw new Error(`the run in the namespace ended with ${child.status}`);
  run.score.adopt(JSON.parse(child.stdout) as AdoptedScore);
}

async function playDisks(run: Run): Promise<void> {
  if (!run.stages.includes('disk')) return;
  const disks = await startOnBadDisks(run.score);
  try {
    await underLoad(run, disks.cluster, (stage) => playRows(stage, run, diskRows(disks)));
  } finally {
    await disks.stop();
  }
}

async function playMetadata(run: Run): Promise<void> {
  if (!run.stages.includes('metadata')) return;
  if (!hasEtcd()) {
    run.score.skip('a metadata store that fails', 'etcd', 'etcd and etcdctl are not installed');
    return;
  }
  const etcd = await LocalEtcd.start();
  try {
    const cluster = await FaultCluster.start({ holdPhase: HOLD_PHASE, etcd });
    try {
      await underLoad(run, cluster, async (stage) => {
        await playRows(stage, run, metadataRows(etcd));
        const long = longOutage(etcd);
        if (labelOf(long).includes(run.match)) await playLongOutage(stage, long);
      });
    } finally {
      await cluster.stop();
    }
  } finally {
    await etcd.close();
  }
}

async function playRows(stage: Stage, { match }: Run, plans: readonly RowPlan[]): Promise<void> {
  for (const plan of plans) if (labelOf(plan).includes(match)) await playRow(stage, plan);
}

/** The load runs from before the first fault until after the last; then everything that was ever written is read. */
async function underLoad(
  { score, say }: Run,
  cluster: FaultCluster,
  play: (stage: Stage) => Promise<void>,
): Promise<void> {
  for (const partitionId of [partitionOf('COPY'), ...FREE_PARTITIONS])
    await cluster.fill(partitionId, FILLER);
  const load = new OpenLoopLoad({
    sessionCount: SESSIONS,
    queriesPerSecond: QUERIES_PER_SECOND,
    tagOf: tagsOf(Array.from({ length: PARTITION_COUNT }, (_, partitionId) => partitionId)),
    addresses: cluster.clientAddresses,
  });
  try {
    await play({ cluster, load, score, say });
  } finally {
    await load.stop();
  }
  score.addLoad(load);
  score.violations.lostWrites.push(
    ...(await cluster.withClient((client) => load.findLost((...words) => client.call(...words)))),
  );
  score.violations.ownerless.push(...(await cluster.findOwnerless()));
}

await main().catch((error) => {
  console.error(messageOf(error));
  process.exitCode = 2;
});
