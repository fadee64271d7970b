/**
 * Every command that speaks to a cluster, with `--json`, on one of real processes: what comes on standard output is one JSON
 * value and means what the line for people says. Then what `top`, `verify` and `apply` are for.
 */
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { encodeProposal, encodeStays } from '../../plugin/host/records/proposal-record.ts';
import { proposalKey, staysKey } from '../../plugin/host/records/record-keys.ts';
import { ClusterMapReader } from '../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { greedy } from '../../src/affinity/optimisers/greedy.ts';
import { AffinityManager } from '../../src/affinity/planner.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS } from '../../src/settings.ts';
import { forecastOf, inputsOf, nodeOf } from '../support/placement.ts';
import { type RanHere, runHere } from '../support/run-here.ts';
import { CLUSTER, keysOf, NumberedWrites, openMigration, until } from '../support/scenario.ts';

const PARTITION_COUNT = 16;
const HOT = 0;
/** Opened by hand, and cancelled or rolled back. */
const CANCELLED = 5;
const ROLLED_BACK = 6;
const BECAUSE = ['--reason', 'the test'];

const test = suite('commands on a cluster of real processes');

let cluster: LocalCluster;
let metadata: MetadataStore;
let client: Redis;
let load: NumberedWrites;

test.before(async () => {
  cluster = await LocalCluster.start({
    storageNodeCount: 2,
    partitionCount: PARTITION_COUNT,
    settings: {
      cluster: { nodeCapacity: { queries: 1_000 } },
      migration: {
        readWeightSteps: [],
        residenceMs: 0,
        graceMs: 600_000,
        freeBytesReserve: 0,
        fenceBudgetMs: 3_000,
      },
    },
  });
  metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
  client = new Redis({ host: cluster.host, port: cluster.port, lazyConnect: true });
  await client.connect();
  load = new NumberedWrites(client, keysOf(HOT, { partitionCount: PARTITION_COUNT, count: 3 }));
  await propose();
});

test.after(async () => {
  await load?.end();
  client?.disconnect();
  await metadata?.close();
  await cluster?.stop();
});

/** What a coordinator writes in mode "propose": the load of partition 0 makes node 0 hot. */
async function propose(): Promise<void> {
  const forecast = forecastOf({
    horizonSteps: 24,
    partitionCount: PARTITION_COUNT,
    spread: 0.1,
    loadOf: (_, p) => (p === HOT ? 8 : 1),
  });
  const ownerOf = Int32Array.from({ length: PARTITION_COUNT }, (_, p) => (p < PARTITION_COUNT / 2 ? 0 : 1));
  const inputs = inputsOf({ ownerOf, nodes: [nodeOf(0, 18), nodeOf(1, 18)], forecast });
  const components = { random: seededRandom(1n), logger: silentLogger, optimiser: greedy };
  const manager = new AffinityManager(DEFAULT_SETTINGS.affinity, components);
  const proposal = await manager.propose(inputs);
  const evidence = await manager.evidence(inputs, proposal);
  check.ok(proposal.moves.length > 0, 'there is something to move');
  const atMs = Date.now();
  const value = encodeProposal(proposal, {
    ...{ atMs, expiresAtMs: atMs + 3_600_000, wayBackMs: 900_000, evidence, ignoredForecasts: [] },
    ...{ silentNodes: [], inputsHash: 'ab', kernelHash: 'cd' },
  });
  await metadata.commit({
    conditions: [],
    writes: [
      { kind: 'put', key: proposalKey(CLUSTER), value },
      { kind: 'put', key: staysKey(CLUSTER), value: encodeStays(evidence.stays, atMs) },
    ],
  });
}

const run = (...args: string[]): Promise<RanHere> =>
  runHere(...args, '--config', join(cluster.folder, 'foreshard.config.json'));

/** @returns what it printed, once it has ended as expected. */
async function json(args: readonly string[], exitCode = 0): Promise<Record<string, unknown>> {
  const ran = await run(...args, '--json');
  check.is(ran.exitCode, exitCode, `${args.join(' ')}: ${ran.stderr}${ran.stdout}`);
  return JSON.parse(ran.stdout);
}

const reader = (): ClusterMapReader => new ClusterMapReader(metadata, CLUSTER);
const phaseOf = async (partitionId: number): Promise<string | undefined> =>
  (await reader().readPartition(partitionId))?.migration?.phase;

test('what is looked at is one JSON object', async () => {
  const looks: readonly (readonly [args: readonly string[], key: string])[] = [
    [['status'], 'nodes'],
    [['map'], 'ownerOf'],
    [['proposal'], 'moves'],
    [['explain', String(HOT)], 'move'],
    [['migrations'], 'open'],
    [['scorecard'], 'cards'],
    [['audit'], 'audit'],
    [['quarantine'], 'quarantined'],
    [['config', 'check'], 'file'],
    [['config', 'show'], 'cluster'],
    [['etcd-roles'], 'roles'],
    [['resync'], 'lines'],
  ];
  for (const [args, key] of looks) check.ok(key in (await json(args)), `${args.join(' ')} has ${key}`);
  // Port and folders are taken by the nodes that run: it may well find something.
  const doctor = await run('doctor', '--json');
  check.ok(Array.isArray(JSON.parse(doctor.stdout).findings));
  for (const nothingYet of ['query-types', 'hot-keys']) {
    const { exitCode, stdout, stderr } = await run(nothingYet, '--json');
    check.equal([exitCode, stdout], [1, ''], `${nothingYet}: as without --json`);
    check.match(stderr, /^foreshard: no window has been closed yet: .* ends at \d{4}-.* UTC\n$/);
  }
});

test('an order says with --json what became of it, and its refusal is told on standard error alone', async () => {
  check.equal(await json(['pause', ...BECAUSE]), {
    isPaused: true,
    partitionId: null,
    message: 'migrations are paused',
  });
  await openMigration(metadata, { partitionId: CANCELLED, targetNodeId: 1 });
  const cancelled = await json(['cancel', String(CANCELLED), ...BECAUSE]);
  check.equal([cancelled.action, cancelled.partitionId, cancelled.outcome], ['cancel', CANCELLED, 'done']);
  check.is((await json(['resume', ...BECAUSE])).isPaused, false);
  const refused = await run('cancel', '9', ...BECAUSE, '--json');
  check.equal([refused.exitCode, refused.stdout], [1, '']);
  check.match(refused.stderr, /cancel: refused: /);

  await openMigration(metadata, { partitionId: ROLLED_BACK, targetNodeId: 1 });
  await until(async () => (await phaseOf(ROLLED_BACK)) === 'GRACE', 'the old owner follows');
  const back = await json(['rollback', String(ROLLED_BACK), '--yes', ...BECAUSE]);
  check.equal([back.action, back.outcome], ['rollback', 'done']);

  const drained = await json(['drain', '1', ...BECAUSE]);
  check.equal([drained.nodeId, drained.isEmpty], [1, false]);
  check.is((await json(['undrain', '1', ...BECAUSE])).nodeId, 1);
  check.is((await json(['join', '7', ...BECAUSE])).nodeId, 7);
  check.match((await run('remove', '1', '--yes', ...BECAUSE, '--json')).stderr, /is not being drained/);
  check.equal((await json(['quarantine', '--clear', '3', ...BECAUSE])).isCleared, false);
  const { ownerStoreId } = (await reader().readPartition(12)) as { ownerStoreId: string };
  for (const loss of [
    ['takeover', '12', '--from', ownerStoreId, '--to', '0', ...BECAUSE],
    ['retire', '--store', ownerStoreId, ...BECAUSE],
  ])
    check.is((await run(...loss, '--json')).exitCode, 1, 'nothing is lost without an explicit yes');
});

test('top tells what is asked now, by node and by partition', async () => {
  const view = (await json(['top', '--interval', '300ms', '--limit', '3'])) as unknown as {
    nodes: { nodeId: number; queriesPerSecond: number; utilisation: number }[];
    partitions: { partitionId: number; queriesPerSecond: number; proposedNodeId: number | null }[];
  };
  check.is(view.partitions.length, 3);
  check.is(view.partitions[0]?.partitionId, HOT);
  check.ok((view.partitions[0]?.queriesPerSecond ?? 0) > 10, 'its writers are seen');
  check.ok((view.nodes[0]?.queriesPerSecond ?? 0) > (view.nodes[1]?.queriesPerSecond ?? 0));
  check.ok((view.nodes[0]?.utilisation ?? 0) > 0, 'the capacity is known');
  const once = await run('top', '--interval', '200ms');
  check.match(once.stdout, /no forecast has been published yet/);
  check.match(once.stdout, /\n +0 +\d+ +[\d.]+ +\d+ % +\d+ %/);
});

test('verify reads every partition back, under writes and beside a copy that follows', async () => {
  const all = (await json(['verify', '--all'])) as unknown as {
    rightCount: number;
    wrongCount: number;
    partitions: { partitionId: number; sides: { role: string; scanned: { entryCount: number } }[] }[];
  };
  check.equal([all.rightCount, all.wrongCount], [PARTITION_COUNT, 0]);
  check.is(all.partitions[HOT]?.sides[0]?.scanned.entryCount, 3, 'the keys that are written');
  check.equal(
    all.partitions[ROLLED_BACK]?.sides.map(({ role }) => role),
    ['OWNER', 'FOLLOWER'],
  );
  const { stdout } = await run('verify', '0', '6');
  check.match(
    stdout,
    /^partition 0: node 0 \(owner, epoch \d+, lsn \d+\): 3 entries, \d+ bytes, digest \w{16}$/m,
  );
  check.match(stdout, /2 partitions, 3 entries read back, 1 with a copy beside: 2 right, 0 wrong\n$/);
  check.is((await run('verify')).exitCode, 2);
  check.is((await run('verify', '16')).exitCode, 2);
});

test('reject, approve and apply: the last stays until the moves are over', async () => {
  const rejected = await json(['reject', '--all', ...BECAUSE]);
  check.match(String(rejected.message), /./);
  const { moves } = (await json(['proposal'])) as unknown as { moves: { partitionId: number }[] };
  const approved = await json(['approve', '--all', '--from', '23:59', ...BECAUSE]);
  check.match(String(approved.message), new RegExp(`^${moves.length} moves? approved`));
  await json(['reject', '--all', '--for', '1m', ...BECAUSE]);

  const unasked = await run('apply', '--all', ...BECAUSE);
  if (process.stdin.isTTY !== true) check.match(unasked.stderr, /say --yes; nothing was done/);
  const applied = (await json(['apply', '--all', '--yes', ...BECAUSE])) as unknown as {
    message: string;
    moves: { state: string; partitionId: number; targetNodeId: number }[];
  };
  check.is(applied.message, `${moves.length} of ${moves.length} move${moves.length === 1 ? '' : 's'} done`);
  for (const { state, partitionId, targetNodeId } of applied.moves) {
    check.is(state, 'moved');
    check.is((await reader().readPartition(partitionId))?.ownerNodeId, targetNodeId);
  }
  const again = await run('apply', '--all', '--yes', ...BECAUSE);
  check.is(again.exitCode, 0, again.stderr);
  check.match(again.stdout, /^nothing to do: /);
  check.equal(await load.findLost(), []);
});

test.run();
