/**
 * Slots of a real Redis Cluster on their way while the agent that moves them, or a redis-server on either side, is killed -9.
 * Servers write each command to disk before they answer it (appendfsync always): Redis promises then that nothing
 * that was acknowledged is lost when a master comes back, so that whatever is lost or doubled was lost or doubled by a move.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseClusterNodes } from '../../../plugin/engines/redis-cluster/cluster-nodes.ts';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { MoveRecords } from '../../../plugin/engines/redis-cluster/move-records.ts';
import { parseInfo } from '../../../plugin/engines/redis-cluster/node-info.ts';
import { textOf } from '../../../plugin/engines/redis-cluster/redis-node.ts';
import { openMetadata } from '../../../plugin/metadata/open.ts';
import { ControlledProcess } from '../../../plugin/node/local/controlled-process.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { SLOT_COUNT } from '../../../src/model/partition-map.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { keySlot } from '../../../src/routing/key-slot.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { sleep, until } from '../../support/scenario.ts';
import { RedisLoad } from './redis-load.ts';
import { type FaultScore, messageOf, seconds } from './score.ts';

const NAME = 'redis-faults';
const PARTITION_COUNT = 64;
const SLOTS_PER_PARTITION = SLOT_COUNT / PARTITION_COUNT;
/** A move of a partition takes half a second or more with so many: long enough to be hit. */
const FILLER_PER_SLOT = 8;
const TAGS_PER_PARTITION = 2;
const WRITES_PER_SECOND = 600;
const AWAY_MS = 300;
/** After the first slot was seen open. */
const STRIKE_MS_MAX = 250;
const LEASE_TTL_MS = 1_500;
/** A restarted master takes no writes for 2 s, and the agent waits longer after each look in vain. */
const MOVE_MS_MAX = 60_000;

const VICTIMS = [['agent'], ['source'], ['target'], ['agent', 'source'], ['agent', 'target']] as const;
type Victim = (typeof VICTIMS)[number][number];

/** The first half of the rounds moves key by key, the other half copies first. */
const PLANS = ['ask', 'copy-first'] as const;
type Plan = (typeof PLANS)[number];

interface Move {
  readonly partitionId: number;
  readonly source: number;
  readonly target: number;
}

interface Rounds {
  readonly servers: LocalRedisCluster;
  readonly metadata: MetadataStore;
  readonly folder: string;
  /** By partition, the index of the server that owns it. */
  readonly owners: number[];
  plan: Plan;
  agent: ControlledProcess;
}

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
    owners: await ownersOf(servers),
    plan: 'ask',
    agent: startAgent(folder, servers, 'ask'),
  };
  try {
    await playing.agent.ready;
    await fill(servers);
    const load = await RedisLoad.start(servers, { tags: tags(), perSecond: WRITES_PER_SECOND });
    const random = seededRandom(seed).fork('redis');
    try {
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

/** As an agent writes a move down before it opens the first slot: whoever leads goes on with it. */
async function order(playing: Rounds, { partitionId, source, target }: Move): Promise<void> {
  const { servers } = playing;
  const [sourceId, targetId] = [servers.nodeIds[source] as string, servers.nodeIds[target] as string];
  const info = parseInfo(textOf(await servers.command(source, 'INFO', 'server')));
  await recordsOf(playing).begin(
    {
      v: 1,
      partitionId,
      sourceNodeId: source,
      targetNodeId: target,
      firstSlot: partitionId * SLOTS_PER_PARTITION,
      lastSlot: (partitionId + 1) * SLOTS_PER_PARTITION - 1,
      targetIds: [targetId],
      sourceIds: [sourceId],
      sourceRunIds: { [sourceId]: info.get('run_id') as string },
      isSourcePromoted: false,
      sizeBytes: 1,
      reason: 'a round of faults',
      cancelledFor: null,
    },
    { approved: null, rejectionRevision: 0 },
    { key: '/foreshard/no-such-key', revisionIs: 0 },
  );
}

const recordsOf = ({ metadata }: Rounds): MoveRecords =>
  new MoveRecords(
    { cluster: { ...DEFAULT_SETTINGS.cluster, name: NAME } },
    { metadata, clock: systemClock(), logger: silentLogger },
  );

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

async function changePlan(playing: Rounds, plan: Plan): Promise<void> {
  await playing.agent.stop();
  playing.plan = plan;
  playing.agent = startAgent(playing.folder, playing.servers, plan);
  await playing.agent.ready;
}

/** Slots that source or target say are on their way: only the target does while they are copied. */
async function openSlotCount({ servers }: Rounds, { source, target }: Move): Promise<number> {
  const views = await Promise.all(
    [source, target].map(async (index) =>
      parseClusterNodes(textOf(await servers.command(index, 'CLUSTER', 'NODES')), ''),
    ),
  );
  const open = views.map((view) => view.find(({ isMyself }) => isMyself)?.openSlots.length ?? 0);
  return Math.max(...open);
}

async function isAgreed({ servers }: Rounds, { partitionId, target }: Move): Promise<boolean> {
  const slot = partitionId * SLOTS_PER_PARTITION;
  const told = await Promise.all(
    servers.nodeIds.map(async (_, index) => {
      const text = textOf(await servers.command(index, 'CLUSTER', 'NODES'));
      const owner = parseClusterNodes(text, '').find(({ slots }) =>
        slots.some(([first, last]) => first <= slot && slot + SLOTS_PER_PARTITION - 1 <= last),
      );
      return owner?.nodeId === servers.nodeIds[target] && !/\[\d+-/.test(text);
    }),
  );
  return told.every(Boolean);
}

function startAgent(folder: string, servers: LocalRedisCluster, plan: Plan): ControlledProcess {
  const file = join(folder, 'foreshard.config.json');
  writeFileSync(
    file,
    JSON.stringify({
      // No load is published, so that nothing is planned: moves are ordered here.
      cluster: { name: NAME, partitionCount: PARTITION_COUNT, nodeCapacity: { queries: 1 } },
      plugin: { mode: 'auto' },
      node: { logLevel: 'error' },
      metadata: { path: 'metadata' },
      controller: { leaseTtlMs: LEASE_TTL_MS },
      redis: { nodes: servers.ports.map((port) => `127.0.0.1:${port}`), slotMove: { plan } },
    }),
  );
  return new ControlledProcess('the agent', ['agent', '--config', file], { folder });
}

async function ownersOf(servers: LocalRedisCluster): Promise<number[]> {
  const masters = servers.ports.length;
  // Servers have thirds of the slots at first: partitions on a border come from two, which a move puts right.
  return Array.from({ length: PARTITION_COUNT }, (_, p) =>
    Math.floor(((p + 0.5) * masters) / PARTITION_COUNT),
  );
}

const slotOf = (key: string): number => {
  const bytes = Buffer.from(key);
  return keySlot(bytes, 0, bytes.length);
};

/** Of slots all over the cluster. */
function tags(): readonly string[] {
  const found = Array.from({ length: PARTITION_COUNT }, (): string[] => []);
  for (let i = 0; found.some((tagsOf) => tagsOf.length < TAGS_PER_PARTITION); i++) {
    const tagsOf = found[Math.floor(slotOf(`t${i}`) / SLOTS_PER_PARTITION)] as string[];
    if (tagsOf.length < TAGS_PER_PARTITION) tagsOf.push(`t${i}`);
  }
  return found.flat();
}

async function fill(servers: LocalRedisCluster): Promise<void> {
  const masters = servers.ports.length;
  const commands: string[][][] = Array.from({ length: masters }, () => []);
  for (let i = 0; i < SLOT_COUNT * FILLER_PER_SLOT; i++) {
    const key = `filler:${i}`;
    const owner = Math.min(masters - 1, Math.floor((slotOf(key) * masters) / SLOT_COUNT));
    (commands[owner] as string[][]).push(['SET', key, 'x'.repeat(100)]);
  }
  for (const [index, own] of commands.entries())
    for (let at = 0; at < own.length; at += 1_000) await servers.pipeline(index, own.slice(at, at + 1_000));
}
