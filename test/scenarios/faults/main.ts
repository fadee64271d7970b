/**
 * `npm run faults [-- --faults N --seed S --only STAGE,… --json]`: real processes, real disks and real sockets under an
 * open-loop load, and one fault after another. Exits 1 when anything was lost, stale, without owner or stuck.
 */
import { parseArgs } from 'node:util';
import { FaultCluster, PARTITION_COUNT, tagsOf } from './fault-cluster.ts';
import { OpenLoopLoad } from './open-loop-load.ts';
import { playRow, type Stage } from './play-row.ts';
import { FREE_PARTITIONS, HOLD_PHASE, matrix, partitionOf, playSeveral } from './process-faults.ts';
import { FaultScore, messageOf, seconds } from './score.ts';

const STAGES = ['process', 'several'] as const;
const SEED_DEFAULT = 20_010_101n;
const MATRIX_FAULTS_DEFAULT = 88;
const SEVERAL_ROUNDS = 8;
/** What the machine bears beside restarts; a write each six milliseconds to the partition that is moved. */
const QUERIES_PER_SECOND = 400;
const SESSIONS = 8;
/** Copied in about half a second: a copy that can be interrupted. */
const FILLER = { count: 500, bytes: 1_000 };

const USAGE = `usage: npm run faults [-- --faults N --seed S --only ${STAGES.join(',')} --json]

  --faults N  at most so many of the matrix phase x kind x victim (default ${MATRIX_FAULTS_DEFAULT}: all)
  --seed S    of the order and of several faults at once (default ${SEED_DEFAULT})
  --only      these stages
  --json      one JSON object on standard output, lines for people on standard error
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      faults: { type: 'string' },
      seed: { type: 'string' },
      only: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const seed = BigInt(values.seed ?? SEED_DEFAULT);
  const only = values.only?.split(',') ?? [...STAGES];
  const say = values.json ? console.error : console.log;
  const score = new FaultScore();
  const startedMs = performance.now();
  await playProcessStages(score, {
    seed,
    matrixFaults: only.includes('process') ? Number(values.faults ?? MATRIX_FAULTS_DEFAULT) : 0,
    severalRounds: only.includes('several') ? SEVERAL_ROUNDS : 0,
    say,
  });
  const result = { ...score.toJson(), seed: String(seed), seconds: seconds(startedMs) };
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else console.log(JSON.stringify({ ...result, rows: undefined }, null, 2));
  process.exitCode = score.violationCount > 0 ? 1 : 0;
}

interface ProcessStageOptions {
  readonly seed: bigint;
  readonly matrixFaults: number;
  readonly severalRounds: number;
  readonly say: (line: string) => void;
}

async function playProcessStages(score: FaultScore, options: ProcessStageOptions): Promise<void> {
  if (options.matrixFaults === 0 && options.severalRounds === 0) return;
  const cluster = await FaultCluster.start({ holdPhase: HOLD_PHASE });
  try {
    await underLoad({ cluster, score, say: options.say }, async (stage) => {
      for (const plan of matrix({ seed: options.seed, faultsMax: options.matrixFaults }))
        await playRow(stage, plan);
      await playSeveral(stage, options.seed, options.severalRounds);
    });
  } finally {
    await cluster.stop();
  }
}

/** The load runs from before the first fault until after the last; then everything that was ever written is read. */
async function underLoad(
  { cluster, score, say }: Omit<Stage, 'load'>,
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
