/**
 * Masters of a real Redis Cluster, each with a replica, that are killed -9 while slots move, so that the replica takes over.
 *
 * What Redis does not promise is left out of what counts as lost, and is counted by itself: replication is asynchronous, so that a write may go
 * that its master acknowledged shortly before it died; and no replica of Redis 7 knows which slots are open, so that a client of a source that has
 * failed over can make a key anew that is at the target: keys of the partition that moves are not written to while its source is killed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { numberOf, textOf } from '../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { parseReplication } from '../../../plugin/engines/redis-cluster/slots/replica-wait.ts';
import { openMetadata } from '../../../plugin/metadata/open.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { sleep, until } from '../../support/scenario.ts';
import { RedisLoad, type Unpromised } from './redis-load.ts';
import {
  fill,
  isAgreed,
  MOVE_MS_MAX,
  type Move,
  openSlotCount,
  order,
  ownersOf,
  PARTITION_COUNT,
  partitionOfKey,
  type Rounds,
  recordsOf,
  slotsOf,
  startAgent,
  tags,
  WRITES_PER_SECOND,
} from './redis-rounds.ts';
import { type FaultScore, messageOf, seconds } from './score.ts';

const SHARDS = 3;
const VICTIMS = ['source', 'target'] as const;
type Victim = (typeof VICTIMS)[number];
const STRIKE_MS_MAX = 250;
/** A replica on this machine is behind by a millisecond; a busy machine is one on which it was not scheduled for so long. */
const LAG_MS_MAX = 500;
/** The node timeout is 2 s, and a replica waits up to one more before it asks for votes. */
const PROMOTED_MS_MAX = 30_000;
/** On Valkey, where each SETSLOT waits for replicas and syncs config files on both sides, a partition takes over a minute. */
const REPLICATED_MOVE_MS_MAX = /valkey/.test(process.env.REDIS_SERVER_PROGRAM ?? '') ? 240_000 : MOVE_MS_MAX;
/** Writes that are on their way when their keys are spared. */
const SETTLE_MS = 200;

interface Round {
  readonly victim: Victim;
  readonly partitionId: number;
  readonly strikeMs: number;
}

interface Playing extends Rounds {
  readonly load: RedisLoad;
  readonly tags: readonly string[];
  readonly unpromised: Unpromised[];
}

/** Rounds in turn of who is killed. */
export async function playRedisFailovers(options: {
  readonly rounds: number;
  readonly seed: bigint;
  readonly match: string;
  readonly score: FaultScore;
  readonly say: (line: string) => void;
}): Promise<void> {
  const { rounds, seed, match, score, say } = options;
  if (!hasRedisServer()) {
    score.skip('failovers of a Redis Cluster', 'redis', 'redis-server is not installed');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-redis-failovers-'));
  const servers = await LocalRedisCluster.start({
    replicaCount: 1,
    serverArguments: ['--repl-diskless-sync-delay', '0'],
  });
  const metadata = openMetadata({ ...DEFAULT_SETTINGS.metadata, path: join(folder, 'metadata') });
  const agent = startAgent(folder, servers, 'ask');
  try {
    await agent.ready;
    await fill(servers, SHARDS);
    const load = await RedisLoad.start(servers, { tags: tags(), perSecond: WRITES_PER_SECOND });
    const playing: Playing = {
      ...{ servers, metadata, folder, agent, load, plan: 'ask', tags: tags(), unpromised: [] },
      ...{ owners: ownersOf(SHARDS), masters: Array.from({ length: SHARDS }, (_, shard) => shard) },
    };
    const random = seededRandom(seed).fork('redis-failovers');
    try {
      for (let round = 0; round < rounds; round++) {
        const victim = VICTIMS[round % VICTIMS.length] as Victim;
        const drawn = {
          partitionId: random.nextBelow(PARTITION_COUNT),
          strikeMs: random.nextBelow(STRIKE_MS_MAX),
        };
        if (`failover of ${victim}`.includes(match))
          await playRound(playing, { victim, ...drawn }, { score, say });
      }
    } finally {
      await load.stop();
    }
    score.addWrites(load.acknowledgedWrites);
    score.violations.lostWrites.push(...(await load.findWrong(servers, playing.unpromised)));
    say(
      `redis    failovers: ${load.acknowledgedWrites} writes acknowledged; ${load.unpromisedLosses} of the last ${LAG_MS_MAX} ms of a killed master lost, as Redis promises no more`,
    );
  } finally {
    await agent.stop();
    await metadata.close();
    await servers.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function playRound(
  playing: Playing,
  { victim, partitionId, strikeMs }: Round,
  { score, say }: { readonly score: FaultScore; readonly say: (line: string) => void },
): Promise<void> {
  const { servers, load, owners, masters } = playing;
  const startedMs = performance.now();
  const failedBefore = load.failedWrites;
  const source = owners[partitionId] as number;
  const move: Move = { partitionId, source, target: (source + 1) % SHARDS };
  let outcome: 'moved' | 'violated' = 'moved';
  let hasMet = false;
  let missing = 0;
  try {
    await until(() => hasReplicas(playing), 'all replicas are up to date', MOVE_MS_MAX);
    if (victim === 'source')
      load.spared = new Set(playing.tags.filter((tag) => partitionOfKey(tag) === partitionId));
    await sleep(SETTLE_MS);
    const before = await keyCount(playing, partitionId, source);
    await order(playing, move);
    await until(async () => (await openSlotCount(playing, move)) > 0, 'a slot is open');
    await sleep(strikeMs);
    // Between two windows of a move nothing is open: that is no moment to learn from.
    await until(async () => {
      hasMet = (await openSlotCount(playing, move)) > 0;
      return hasMet || (await recordsOf(playing).open()).length === 0;
    }, 'a slot is open once more');
    await failOver(playing, move[victim], partitionId);
    await until(
      async () => (await recordsOf(playing).open()).length === 0,
      'the move is over',
      REPLICATED_MOVE_MS_MAX,
    );
    await until(() => isAgreed(playing, move).catch(() => false), 'all servers agree', MOVE_MS_MAX);
    owners[partitionId] = move.target;
    missing = Math.max(0, before - (await keyCount(playing, partitionId, move.target)));
    // Keys that a target has taken a moment before it dies are gone with it: MIGRATE does not wait for replicas.
    if (missing > 0 && victim === 'source')
      score.violations.lostWrites.push(
        `redis, failover of ${victim}: ${missing} keys of partition ${partitionId} are lost`,
      );
  } catch (error) {
    outcome = 'violated';
    score.violations.stuck.push(`redis, failover of ${victim}: ${messageOf(error)}`);
  } finally {
    load.spared = new Set();
  }
  score.rows.push({
    ...{
      stage: 'redis',
      phase: hasMet ? 'open' : 'over',
      fault: 'failover',
      victim,
      faults: 1,
      hasMet,
      outcome,
    },
    ...{ seconds: seconds(startedMs), writePauseMs: null, failedQueries: load.failedWrites - failedBefore },
  });
  say(
    `redis    failover of ${victim} (now :${servers.ports[masters[move[victim]] as number]}), slots ${hasMet ? 'open' : 'over'}, ${outcome} in ${seconds(startedMs)} s, ${load.failedWrites - failedBefore} failed, ${missing} keys that were on their way missing`,
  );
}

/** Kills the master of a shard, waits for its replica to take over, and starts it again, as the replica. */
async function failOver(
  { servers, masters, owners, tags: all, unpromised }: Playing,
  shard: number,
  partitionId: number,
): Promise<void> {
  const killed = masters[shard] as number;
  const replica = (killed + SHARDS) % (2 * SHARDS);
  const killedMs = performance.now();
  await servers.kill(killed);
  unpromised.push({
    tags: new Set(
      all.filter((tag) => owners[partitionOfKey(tag)] === shard || partitionOfKey(tag) === partitionId),
    ),
    ...{ fromMs: killedMs - LAG_MS_MAX, toMs: performance.now() + SETTLE_MS },
  });
  const isPromoted = async (): Promise<boolean> =>
    /^role:master/m.test(textOf(await servers.command(replica, 'INFO', 'replication')));
  try {
    await until(isPromoted, 'the replica is the master', PROMOTED_MS_MAX);
    masters[shard] = replica;
  } finally {
    // Also where nobody has taken over: the next round needs it.
    servers.restart(killed);
  }
}

async function hasReplicas({ servers, masters }: Playing): Promise<boolean> {
  const found = await Promise.all(
    masters.map(async (index) =>
      parseReplication(textOf(await servers.command(index, 'INFO', 'replication'))),
    ),
  );
  return found.every(({ replicaOffsets }) => replicaOffsets.length > 0);
}

async function keyCount({ servers, masters }: Playing, partitionId: number, shard: number): Promise<number> {
  const counts = await servers.pipeline(
    masters[shard] as number,
    slotsOf(partitionId).map((slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot]),
  );
  return counts.reduce<number>((total, count) => total + numberOf(count), 0);
}
