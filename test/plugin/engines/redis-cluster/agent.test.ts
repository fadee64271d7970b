/** The agent on a real cluster: it reads load that clients have published, plans, moves slots, and survives being killed. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import calculateSlot from 'cluster-key-slot';
import { Cluster } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { RedisAgent } from '../../../../plugin/engines/redis-cluster/agent.ts';
import type { DryRun } from '../../../../plugin/engines/redis-cluster/dry-run.ts';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { numberOf } from '../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { parseReplication } from '../../../../plugin/engines/redis-cluster/slots/replica-wait.ts';
import { loadMap } from '../../../../plugin/metadata/cluster-map.ts';
import { openMetadata } from '../../../../plugin/metadata/open.ts';
import { readCommandCosts } from '../../../../plugin/redis/command-costs.ts';
import { redisCommand } from '../../../../plugin/redis/commands.ts';
import { captureCluster } from '../../../../plugin/redis/index.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../src/settings.ts';
import { keptLog, publishLoad, settingsFor, until as waitFor } from '../../../support/redis-agent.ts';
import { requireOrSkip } from '../../../support/require.ts';
import { runCli } from '../../../support/run-cli.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite<{ cluster: LocalRedisCluster }>('redis-cluster: the agent, real servers');

/** With servers of its own. */
const failover = suite('redis-cluster: the agent and a failover, real servers');

async function fill(cluster: LocalRedisCluster): Promise<Cluster> {
  const client = new Cluster([{ host: '127.0.0.1', port: cluster.ports[0] as number }]);
  await Promise.all(Array.from({ length: 3_000 }, (_, i) => client.set(`key:${i}`, `value ${i}`)));
  return client;
}

const keyCounts = (cluster: LocalRedisCluster): Promise<number[]> =>
  Promise.all([0, 1, 2].map(async (index) => numberOf(await cluster.command(index, 'DBSIZE'))));

/** An agent: a wait that comes to nothing says what it logged, and how its moves stand. */
function watched() {
  const log = keptLog();
  let agent: RedisAgent | null = null;
  return {
    async start(settings: Settings): Promise<RedisAgent> {
      const { logger } = log;
      const onFault = (error: unknown) => check.unreachable(String(error));
      agent = await RedisAgent.start(settings, { logger, onFault });
      return agent;
    },
    told: log.told,
    until: (what: string, isSo: () => boolean | Promise<boolean>): Promise<void> =>
      waitFor(what, isSo, () => `${log.told()}\n${JSON.stringify(agent?.migrationStatus())}`),
  };
}

const plansMoves = async (agent: RedisAgent): Promise<boolean> =>
  ((await agent.plan())?.proposedCount ?? 0) > 0;

if (requireOrSkip('redis', hasRedisServer())) {
  test.before.each(async (context) => {
    context.cluster = await LocalRedisCluster.start();
  });
  test.after.each(async ({ cluster }) => {
    await cluster?.stop();
  });

  test('it relieves the hot master, and unmodified clients go on', ({ cluster }) =>
    withTemporaryFolder(async (folder) => {
      const settings = settingsFor(cluster, folder);
      await publishLoad(settings);
      const client = await fill(cluster);
      const { start, until, told } = watched();
      const agent = await start(settings);
      try {
        await until('a hot master is a reason to move', () => plansMoves(agent));
        await until('a move is done', () => agent.migrationStatus().doneCount > 0);
        check.match(
          told(),
          /a move of slots begins \{"partition":\d+,"sourceNodeId":\d+,"targetNodeId":\d+,/,
        );
        const during = await Promise.all(Array.from({ length: 300 }, (_, i) => client.get(`key:${i}`)));
        check.equal(
          during,
          Array.from({ length: 300 }, (_, i) => `value ${i}`),
        );
        await until('all moves are done', () => {
          const { open, queuedCount, doneCount } = agent.migrationStatus();
          return open.length + queuedCount === 0 && doneCount > 0;
        });
      } finally {
        await agent.close();
        client.disconnect();
      }
      const counts = await keyCounts(cluster);
      check.is(
        counts.reduce((a, b) => a + b),
        3_000,
        'no key is lost or doubled',
      );
      const metadata = openMetadata(settings.metadata);
      const { map } = await loadMap(metadata, settings.cluster.name);
      const hotOwners = new Set(map.ownerOf.slice(0, 8));
      await metadata.close();
      check.ok(hotOwners.size > 1, 'the hot partitions are spread');
      check.not.match(String(await cluster.command(0, 'CLUSTER', 'NODES')), /\[\d+-/);
    }));

  test('in observe mode nothing is changed', ({ cluster }) =>
    withTemporaryFolder(async (folder) => {
      const settings = settingsFor(cluster, folder, {
        plugin: { ...DEFAULT_SETTINGS.plugin, mode: 'observe' },
      });
      await publishLoad(settings);
      const before = String(await cluster.command(0, 'CLUSTER', 'SLOTS'));
      const { start, until } = watched();
      const agent = await start(settings);
      try {
        await until('it plans', () => plansMoves(agent));
        await new Promise((resolve) => setTimeout(resolve, 300));
        check.is(agent.migrationStatus().doneCount + agent.migrationStatus().open.length, 0);
      } finally {
        await agent.close();
      }
      check.is(String(await cluster.command(0, 'CLUSTER', 'SLOTS')), before);
    }));

  test('what commands take is told to captured applications, where servers do not tell CPU by slot', ({
    cluster,
  }) =>
    withTemporaryFolder(async (folder) => {
      const settings = settingsFor(cluster, folder, {
        plugin: { ...DEFAULT_SETTINGS.plugin, mode: 'observe' },
      });
      const client = await fill(cluster);
      const capture = captureCluster(client, { application: 'shop', settings: { ...settings } });
      await capture.started;
      const { start, until } = watched();
      const agent = await start(settings);
      const metadata = openMetadata(settings.metadata);
      try {
        await until('prices are told', async () => {
          const costs = await readCommandCosts(metadata, settings.cluster.name);
          const ofSet = costs?.[redisCommand('SET').index] ?? 0;
          return ofSet > 0.1 && ofSet < 1_000;
        });
      } finally {
        await metadata.close();
        await agent.close();
        await capture.stop();
        client.disconnect();
      }
    }));

  test('in propose mode an operator reads the commands, approves, and looks on', ({ cluster }) =>
    withTemporaryFolder(async (folder) => {
      const settings = settingsFor(cluster, folder, {
        plugin: { ...DEFAULT_SETTINGS.plugin, mode: 'propose' },
      });
      const { name, partitionCount, nodeCapacity } = settings.cluster;
      const { queries, cpuSeconds } = nodeCapacity;
      writeFileSync(
        join(folder, 'foreshard.config.json'),
        JSON.stringify({
          cluster: { name, partitionCount, nodeCapacity: { queries, cpuSeconds } },
          plugin: { mode: 'propose' },
          metadata: { kind: 'embedded', path: settings.metadata.path },
          redis: { nodes: settings.redis.nodes },
        }),
      );
      await publishLoad(settings);
      const client = await fill(cluster);
      const slotsBefore = String(await cluster.command(0, 'CLUSTER', 'SLOTS'));
      const { start, until } = watched();
      const agent = await start(settings);
      try {
        await until('it plans', () => plansMoves(agent));
        const dryRun = await runCli(folder, 'agent', '--dry-run');
        check.is(dryRun.status, 0, dryRun.output);
        check.match(dryRun.output, /^127\.0\.0\.1:\d+> CLUSTER SETSLOT \d+ IMPORTING [0-9a-f]{40}$/m);
        check.match(dryRun.output, /^127\.0\.0\.1:\d+> MIGRATE 127\.0\.0\.1 \d+ "" 0 500 KEYS key:\d+/m);
        check.match(dryRun.output, /\d+ commands: none was sent/);
        check.match(
          dryRun.stdout,
          /^# partition \d+: node \d+ -> \d+: /,
          'a file of them says whose they are',
        );
        for (const line of dryRun.stdout.trimEnd().split('\n')) check.match(line, /^(# |127\.0\.0\.1:\d+> )/);
        const commands = await runCli(folder, 'proposal', '--commands', '--json');
        const { held, moves } = JSON.parse(commands.output.slice(commands.output.indexOf('{'))) as DryRun;
        check.is(held, null);
        check.match(moves[0]?.commands[0]?.server ?? '', /^127\.0\.0\.1:\d+$/);
        check.match(moves[0]?.commands[0]?.command ?? '', /^CLUSTER SETSLOT \d+ IMPORTING [0-9a-f]{40}$/);
        check.is(String(await cluster.command(0, 'CLUSTER', 'SLOTS')), slotsBefore);
        check.is(agent.migrationStatus().doneCount, 0, 'nobody has approved anything yet');
        const approved = await runCli(folder, 'approve', '--all', '--now', '--reason', 'seen');
        check.match(approved.output, /moves? approved/);
        await until('what was approved begins to be done', () => agent.migrationStatus().doneCount > 0);
        const status = await runCli(folder, 'status');
        check.match(status.output, /^coordinator: .+$/m);
        check.match(status.output, /^master node 0: 127\.0\.0\.1:\d+, \d+ slots, 0 replicas/m);
      } finally {
        await agent.close();
        client.disconnect();
      }
      check.is(
        (await keyCounts(cluster)).reduce((a, b) => a + b),
        3_000,
      );
    }));

  test('slots that somebody else has opened hold everything', ({ cluster }) =>
    withTemporaryFolder(async (folder) => {
      const settings = settingsFor(cluster, folder);
      await publishLoad(settings);
      const slot = calculateSlot('key:1') % 5_000;
      await cluster.command(1, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', cluster.nodeIds[0] as string);
      await cluster.command(0, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', cluster.nodeIds[1] as string);
      const { start, until } = watched();
      const agent = await start(settings);
      try {
        await until('it plans', () => plansMoves(agent));
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        check.is(agent.migrationStatus().doneCount, 0);
        await cluster.command(0, 'CLUSTER', 'SETSLOT', slot, 'STABLE');
        await cluster.command(1, 'CLUSTER', 'SETSLOT', slot, 'STABLE');
        await until('moves begin once it is closed', () => agent.migrationStatus().doneCount > 0);
      } finally {
        await agent.close();
      }
      for (const index of [0, 1, 2])
        check.not.match(
          String(await cluster.command(index, 'CLUSTER', 'NODES')),
          /\[\d+-/,
          'what is open is finished',
        );
    }));

  failover('a move goes on after its source has failed over to a replica', () =>
    withTemporaryFolder(async (folder) => {
      const cluster = await LocalRedisCluster.start({ replicaCount: 1 });
      // Few slots at a time: a move takes long enough to be hit.
      const redis = {
        ...DEFAULT_SETTINGS.redis,
        nodes: [`127.0.0.1:${cluster.ports[2]}`],
        slotMove: { ...DEFAULT_SETTINGS.redis.slotMove, windowSlotsMax: 4 },
      };
      const settings = settingsFor(cluster, folder, { redis });
      await publishLoad(settings);
      const client = await fill(cluster);
      // What its replicas have not got is lost with a master, by Redis's own promise: here they have all.
      await waitFor('the replica has what its master has', async () => {
        const { offset, replicaOffsets } = parseReplication(
          String(await cluster.command(0, 'INFO', 'replication')),
        );
        return replicaOffsets.length === 1 && (replicaOffsets[0] as number) >= offset;
      });
      const { start, until } = watched();
      const agent = await start(settings);
      try {
        await until('a hot master is a reason to move', () => plansMoves(agent));
        await until('a slot is open', async () =>
          /\[\d+->-/.test(String(await cluster.command(0, 'CLUSTER', 'NODES'))),
        );
        await cluster.kill(0);
        await until('its replica has taken over', async () =>
          String(await cluster.command(3, 'ROLE')).startsWith('master'),
        );
        cluster.restart(0);
        await until('all moves are done', () => {
          const { open, queuedCount, doneCount } = agent.migrationStatus();
          return open.length + queuedCount === 0 && doneCount > 0;
        });
        const values = await Promise.all(Array.from({ length: 3_000 }, (_, i) => client.get(`key:${i}`)));
        check.equal(
          values,
          Array.from({ length: 3_000 }, (_, i) => `value ${i}`),
        );
        for (const index of [1, 2, 3])
          check.not.match(String(await cluster.command(index, 'CLUSTER', 'NODES')), /\[\d+-/);
      } finally {
        await agent.close();
        client.disconnect();
        await cluster.stop();
      }
    }),
  );
}

test.run();
failover.run();
