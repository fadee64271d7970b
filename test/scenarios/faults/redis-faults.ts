/**
 * Slots of a real Redis Cluster on their way while the agent that moves them, or a redis-server on either side, is killed -9.
 * Servers write each command to disk before they answer it (appendfsync always): Redis promises then that nothing
 * that was acknowledged is lost when a master comes back, so that whatever is lost or doubled was lost or doubled by a move.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { openMetadata } from '../../../plugin/metadata/open.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { sleep, until } from '../../support/scenario.ts';
import { RedisLoad } from './redis-load.ts';
import {
  changePlan,
  fill,
  isAgreed,
  MOVE_MS_MAX,
  type Move,
  openSlotCount,
  order,
  ownersOf,
  PARTITION_COUNT,
  PLANS,
  type Plan,
  type Rounds,
  recordsOf,
  startAgent,
  tags,
  WRITES_PER_SECOND,
} from './redis-rounds.ts';
import { type FaultScore, messageOf, seconds } from './score.ts';

const AWAY_MS = 300;
/** After the first slot was seen open. */
const STRIKE_MS_MAX = 250;

const VICTIMS = [['agent'], ['source'], ['target'], ['agent', 'source'], ['agent', 'target']] as const;
type Victim = (typeof VICTIMS)[number][number];

/** Rounds in turn of who is killed. */
export async function playRedis(options: {
  readonly rounds: number;
  readonly seed: bigint;
  readonly match: string;
  readonly score: FaultScore;
  readonly say: (line: string) => void;
}): Promise<void> {
  const { rounds, seed, match, score, say } = options;
  if (!hasRedisServer()) {
    score.skip('slots of a Redis Cluster on their way', 'redis', 'redis-server is not installed');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-redis-faults-'));
  const servers = await LocalRedisCluster.start({
    serverArguments: ['--appendonly', 'yes', '--appendfsync', 'always'],
  });
  const metadata = openMetadata({ ...DEFAULT_SETTINGS.metadata, path: join(folder, 'metadata') });
  const playing: Rounds = {
    servers,
    metadata,
    folder,
    owners: ownersOf(servers.ports.length),
    masters: servers.ports.map((_, index) => index),
    plan: 'ask',
    agent: startAgent(folder, servers, 'ask'),
  };
  try {
    await playing.agent.ready;
    await fill(servers, servers.ports.length);
    const load = await RedisLoad.start(servers, { tags: tags(), perSecond: WRITES_PER_SECOND });
    const random = seededRandom(seed).fork('redis');
    try {
      // The first half of the rounds moves key by key, the other half copies first.
      const half = Math.ceil(rounds / 2);
      for (let round = 0; round < rounds; round++) {
        const plan = PLANS[round < half ? 0 : 1] as Plan;
        const victims = VICTIMS[(round < half ? round : round - half) % VICTIMS.length] as readonly Victim[];
        if (!`${plan} kill -9 ${victims.join(' and ')}`.includes(match)) continue;
        if (plan !== playing.plan) await changePlan(playing, plan);
        await playRound(playing, {
          victims,
          load,
          score,
          say,
          partitionId: random.nextBelow(PARTITION_COUNT),
          strikeMs: random.nextBelow(STRIKE_MS_MAX),
        });
      }
    } finally {
      await load.stop();
    }
    score.addWrites(load.acknowledgedWrites);
    score.violations.lostWrites.push(...(await load.findWrong(servers)));
  } finally {
    await playing.agent.stop();
    await metadata.close();
    await servers.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function playRound(
  playing: Rounds,
  {
    victims,
    load,
    score,
    say,
    partitionId,
    strikeMs,
  }: {
    readonly victims: readonly Victim[];
    readonly load: RedisLoad;
    readonly score: FaultScore;
    readonly say: (line: string) => void;
    readonly partitionId: number;
    readonly strikeMs: number;
  },
): Promise<void> {
  const startedMs = performance.now();
  const failedBefore = load.failedWrites;
  const source = playing.owners[partitionId] as number;
  const move: Move = { partitionId, source, target: (source + 1) % playing.servers.ports.length };
  let outcome: 'moved' | 'violated' = 'moved';
  let hasMet = false;
  let phase = 'over';
  try {
    await order(playing, move);
    await until(async () => (await openSlotCount(playing, move)) > 0, 'a slot is open');
    await sleep(strikeMs);
    hasMet = (await openSlotCount(playing, move)) > 0;
    if (hasMet) phase = (await recordsOf(playing).open())[0]?.copies?.stage ?? 'open';
    await Promise.all(victims.map((victim) => kill(playing, victim, move)));
    await sleep(AWAY_MS);
    await Promise.all(victims.map((victim) => restart(playing, victim, move)));
    await until(async () => (await recordsOf(playing).open()).length === 0, 'the move is over', MOVE_MS_MAX);
    // A server that has just come back may not answer yet.
    await until(() => isAgreed(playing, move).catch(() => false), 'all servers agree');
    playing.owners[partitionId] = move.target;
  } catch (error) {
    outcome = 'violated';
    score.violations.stuck.push(`redis, kill -9 ${victims.join(' and ')}: ${messageOf(error)}`);
  }
  const row = {
    stage: 'redis',
    phase,
    fault: 'kill -9',
    victim: victims.join(' and '),
    faults: victims.length,
    hasMet,
    outcome,
    seconds: seconds(startedMs),
    writePauseMs: null,
    failedQueries: load.failedWrites - failedBefore,
  };
  score.rows.push(row);
  say(
    `redis    ${playing.plan}, kill -9 ${row.victim}, slots ${row.phase}, ${outcome} in ${row.seconds} s, ${row.failedQueries} failed`,
  );
}

async function kill(playing: Rounds, victim: Victim, move: Move): Promise<void> {
  if (victim === 'agent') await playing.agent.kill('SIGKILL');
  else await playing.servers.kill(move[victim]);
}

async function restart(playing: Rounds, victim: Victim, move: Move): Promise<void> {
  const { servers, folder } = playing;
  if (victim === 'agent') {
    playing.agent = startAgent(folder, servers, playing.plan);
    await playing.agent.ready;
  } else servers.restart(move[victim]);
}
