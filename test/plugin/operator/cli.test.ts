import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { encodeHotKeys } from '../../../plugin/host/records/hot-keys-record.ts';
import { encodeRecord } from '../../../plugin/host/records/json-record.ts';
import { encodeProposal, encodeStays } from '../../../plugin/host/records/proposal-record.ts';
import { encodeQueryHours } from '../../../plugin/host/records/query-hours-record.ts';
import { encodeQueryTypes, PUBLISHED_LIMITS } from '../../../plugin/host/records/query-types-record.ts';
import {
  capturePrefix,
  hotKeysPrefix,
  proposalKey,
  queryHoursPrefix,
  queryTypesPrefix,
  staysKey,
} from '../../../plugin/host/records/record-keys.ts';
import { clusterKeys } from '../../../plugin/metadata/cluster-keys.ts';
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';
import { bootstrapCluster } from '../../../plugin/metadata/form-cluster.ts';
import { asRanges } from '../../../plugin/operator/units-text.ts';
import { greedy } from '../../../src/affinity/optimisers/greedy.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import { QUERY_TYPE_DEFAULTS, QueryTypeCounts } from '../../../src/analyzer/patterns/query-types.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { packAffinityCounts } from '../../../src/model/affinity-matrix.ts';
import { asPartitionId } from '../../../src/model/ids.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { forecastOf, inputsOf, nodeOf } from '../../support/placement.ts';
import { foreshardArguments } from '../../support/repository.ts';
import { runHere } from '../../support/run-here.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('command line');
const SECRET = 'planted-secret-4711';

/** In this process: one of its own takes a second or two to begin, which is most of what these tests would take. */
async function run(
  folder: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
) {
  const before = process.cwd();
  process.chdir(folder);
  Object.assign(process.env, environment);
  try {
    const { exitCode, stdout, stderr } = await runHere(...args);
    return { status: exitCode, stdout, stderr };
  } finally {
    for (const name of Object.keys(environment)) delete process.env[name];
    process.chdir(before);
  }
}

/** The real command line. */
function runProcess(
  folder: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
) {
  const { status, stdout, stderr } = spawnSync(process.execPath, foreshardArguments(...args), {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, ...environment },
    timeout: 30_000,
  });
  return { status, stdout, stderr };
}

interface Node {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** The `ready` message. */
  readonly ready: Promise<{ readonly host: string; readonly port: number; readonly pid: number }>;
}

function startNode(
  folder: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Node {
  const child = spawn(process.execPath, foreshardArguments('node', ...args), {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
  const ready = once(child, 'message').then(([message]) => message);
  return { child, output: () => output, ready };
}

test('bad config through the real command line: exit code 2, and file, line, path and remedy on standard error', async () => {
  await withTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'foreshard.config.yaml'), 'cluster:\n  partitionCount: 100\n');
    for (const args of [['config', 'check'], ['config', 'show'], ['map'], ['node', '--role', 'storage']]) {
      const { status, stdout, stderr } = runProcess(folder, args);
      check.is(status, 2, args.join(' '));
      check.is(stdout, '');
      check.match(
        stderr,
        /^foreshard: .*foreshard\.config\.yaml:2: cluster\.partitionCount: found 100, it must be a power of two \(default 256\)\n$/,
      );
    }
  });
});

test('`config check` reads the calendar too', async () => {
  await withTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'foreshard.config.yaml'), 'forecast:\n  calendar: days.yaml\n');
    writeFileSync(join(folder, 'days.yaml'), 'events:\n  - name: Sale\n    start: 2026-11-31\n');
    const bad = await run(folder, ['config', 'check']);
    check.is(bad.status, 2);
    check.match(bad.stderr, /days\.yaml:2: event "Sale": `start` "2026-11-31" is no date/);
    writeFileSync(join(folder, 'days.yaml'), 'events:\n  - name: Sale\n    start: 2026-11-30\n');
    const good = await run(folder, ['config', 'check']);
    check.is(good.status, 0, good.stderr);
    check.match(good.stdout, /days\.yaml: 1 events/);
  });
});

test('a range that a room of the core owns is found by `config check`, not at the start of a node', async () => {
  await withTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'foreshard.config.yaml'), 'forecast:\n  level: 1.5\n');
    const { status, stderr } = await run(folder, ['config', 'check']);
    check.is(status, 2);
    check.match(
      stderr,
      /config\.yaml:2: forecast\.level: found 1\.5, it must be a number from 0\.5 to 0\.99/,
    );
  });
});

test('wrong usage exits 2 and says what is right', async () => {
  await withTemporaryFolder(async (folder) => {
    const cases: readonly [readonly string[], RegExp][] = [
      [['frobnicate'], /unknown command 'frobnicate'/],
      [['node'], /--role: say what the node is, storage or query; or write node\.role/],
      [['node', '--role', 'both'], /Allowed choices are storage, query/],
      [['node', '--role', 'storage', '--node-id', '1024'], /--node-id: node\.id: found 1024.*below 1024/],
      [['node', '--role', 'query', '--node-id', '3'], /--node-id: node\.id: found 3.*10000 or above/],
      [
        ['node', '--role', 'query', '--listen', '0.0.0.0:0'],
        /node\.advertiseHost: found null.*others reach this node, since it listens on 0\.0\.0\.0:0/,
      ],
      [
        ['node', '--role', 'query', '--advertise', '0.0.0.0'],
        /--advertise: node\.advertiseHost: found "0\.0\.0\.0".*an address of this machine/,
      ],
      [
        ['node', '--role', 'query', '--listen', '127.0.0.1'],
        /--listen: found "127\.0\.0\.1", it must be "host:port"/,
      ],
      [
        ['node', '--role', 'query', '--listen', '0.0.0.0:0', '--advertise', 'db-1'],
        /not a loopback address.*--insecure-listen/,
      ],
    ];
    for (const [args, expected] of cases) {
      const { status, stderr } = await run(folder, args);
      check.is(status, 2, args.join(' '));
      check.match(stderr, expected);
    }
  });
});

test('settings are shown with the environment in effect and without their secrets', async () => {
  await withTemporaryFolder(async (folder) => {
    const { status, stdout, stderr } = await run(folder, ['config', 'show'], {
      FORESHARD_SECURITY_PASSWORD: SECRET,
      FORESHARD_CLUSTER_PARTITION_COUNT: '64',
    });
    check.is(status, 0);
    check.is(stderr, '');
    check.not.match(stdout, SECRET);
    const shown = JSON.parse(stdout);
    check.is(shown.cluster.partitionCount, 64);
    check.is(shown.security.password, '(set, not shown)');
  });
});

test('the map is printed for people and for programs; without a cluster it exits 1', async () => {
  await withTemporaryFolder(async (folder) => {
    const missing = await run(folder, ['map', '--json']);
    check.is(missing.status, 1);
    check.match(missing.stderr, /there is no metadata store at .*: start a storage node first/);

    writeFileSync(
      join(folder, 'foreshard.config.json'),
      '{"cluster":{"partitionCount":16},"metadata":{"path":"m"}}',
    );
    const metadata = openEmbeddedMetadata({ path: join(folder, 'm') });
    const forming = await run(folder, ['status']);
    check.is(forming.status, 3);
    check.match(forming.stdout, /ALARM: 0 of \d+ storage nodes? have registered; waiting for 0/);
    await bootstrapCluster(metadata, 'main', {
      partitionCount: 16,
      nodes: [0, 1].map((nodeId) => ({ nodeId, storeId: `store-${nodeId}` })),
    });
    check.match(
      (await run(folder, ['map'])).stdout,
      'node 0: 8 partitions: 0-7\nnode 1: 8 partitions: 8-15\n0 migrations open',
    );
    check.is((await run(folder, ['pause', '--reason', 'a test'])).status, 0);
    check.ok(await metadata.get(clusterKeys('main').pause));
    const printed = JSON.parse((await run(folder, ['map', '--json'])).stdout);
    check.equal(printed.ownerOf, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    check.equal(printed.migrations, []);
    check.is(printed.isPaused, true);
    check.is((await run(folder, ['resume', '--reason', 'a test'])).status, 0);
    check.is(await metadata.get(clusterKeys('main').pause), undefined);
    check.match((await run(folder, ['proposal'])).stderr, /there is no proposal yet/);
    check.match((await run(folder, ['query-types'])).stderr, /no window has been closed yet/);
    await metadata.close();
  });
});

test('query types are printed with their partitions, nodes and clients', async () => {
  await withTemporaryFolder(async (folder) => {
    writeFileSync(
      join(folder, 'foreshard.config.json'),
      '{"cluster":{"partitionCount":16},"metadata":{"path":"m"}}',
    );
    const metadata = openEmbeddedMetadata({ path: join(folder, 'm') });
    await bootstrapCluster(metadata, 'main', {
      partitionCount: 16,
      nodes: [0, 1].map((nodeId) => ({ nodeId, storeId: `store-${nodeId}` })),
    });
    const counts = new QueryTypeCounts({ ...QUERY_TYPE_DEFAULTS, windowMs: 1_000 });
    const names = { partitionCount: 16, templates: ['(other)', 'GET user:{n}'], clients: ['(other)', 'q/1'] };
    const entry = { template: 1, client: 1 };
    const entries = [
      { ...entry, partition: 3, count: 30 },
      { ...entry, partition: 9, count: 10 },
    ];
    counts.add({ startMs: 0, affinity: packAffinityCounts(entries, names) });
    const nodesOf = counts.nodesOf(['GET user:{n}'], [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    const value = encodeQueryTypes(counts.summary(PUBLISHED_LIMITS), nodesOf, {
      atMs: 1_000,
      windowMs: 1_000,
      halfLifeWindows: 168,
      droppedCount: 2,
    });
    const key = `${queryTypesPrefix('main')}10000`;
    await metadata.commit({ conditions: [], writes: [{ kind: 'put', key, value }] });
    await metadata.close();

    const { status, stdout } = await run(folder, ['query-types']);
    check.is(status, 0);
    check.match(stdout, 'query node 10000, 1970-01-01T00:00:01.000Z: 40 queries of 1 type, 2 not captured');
    check.match(stdout, /100\.0 % {2}GET user:\{n\}: 40 queries\n/);
    check.match(stdout, '2 partitions: 3 (node 0) 75.0 %, 9 (node 1) 25.0 %\n');
    check.match(stdout, '2 nodes: 0 75.0 %, 1 25.0 %\n');
    check.match(stdout, '1 client: q/1 100.0 %\n');
    const printed = JSON.parse((await run(folder, ['query-types', '--json'])).stdout);
    check.is(printed.publishers[0].publisherId, 10_000);
    check.is(printed.publishers[0].publisher, 'query node 10000');
    const pulse = { v: 1, application: 'shop', host: 'web-1', pid: 42, latency: [] };
    const again = openEmbeddedMetadata({ path: join(folder, 'm') });
    await again.commit({
      conditions: [],
      writes: [{ kind: 'put', key: `${capturePrefix('main')}10000`, value: encodeRecord(pulse) }],
    });
    await again.close();
    writeFileSync(
      join(folder, 'foreshard.config.json'),
      '{"cluster":{"partitionCount":16},"metadata":{"path":"m"},"redis":{"nodes":["127.0.0.1:1"]}}',
    );
    const beside = await run(folder, ['query-types']);
    check.match(beside.stdout, /^captured application shop \(process 42 at web-1\), 1970-01-01T/);
    const besideJson = JSON.parse((await run(folder, ['query-types', '--json'])).stdout);
    check.is(besideJson.publishers[0].publisher, 'captured application shop (process 42 at web-1)');
    check.equal(printed.publishers[0].types[0].partitions, [
      [3, 30],
      [9, 10],
    ]);
  });
});

test('hot keys are printed with their partition, its node and their share; without a prefix by their hash', async () => {
  await withTemporaryFolder(async (folder) => {
    writeFileSync(
      join(folder, 'foreshard.config.json'),
      '{"cluster":{"partitionCount":16},"metadata":{"path":"m"}}',
    );
    const metadata = openEmbeddedMetadata({ path: join(folder, 'm') });
    await bootstrapCluster(metadata, 'main', {
      partitionCount: 16,
      nodes: [0, 1].map((nodeId) => ({ nodeId, storeId: `store-${nodeId}` })),
    });
    const key = { queries: 800, shareMin: 0.4, shareMax: 0.45 };
    const value = encodeHotKeys(
      [
        { ...key, partitionId: asPartitionId(9), keyPrefix: 'user:{42}\n', keyHash: 0xab },
        { ...key, partitionId: asPartitionId(3), keyPrefix: '', keyHash: 0xdeadbeef },
      ],
      { atMs: 1_000 },
    );
    await metadata.commit({
      conditions: [],
      writes: [{ kind: 'put', key: `${hotKeysPrefix('main')}10000`, value }],
    });
    await metadata.close();
    const { status, stdout } = await run(folder, ['hot-keys']);
    check.is(status, 0);
    check.match(stdout, 'query node 10000, 1970-01-01T00:00:01.000Z: 2 hot keys\n');
    const redis = {
      cluster: { partitionCount: 16 },
      metadata: { path: 'm' },
      redis: { nodes: ['127.0.0.1:1'] },
    };
    writeFileSync(join(folder, 'beside-redis.json'), JSON.stringify(redis));
    const beside = await run(folder, ['hot-keys', '--config', 'beside-redis.json']);
    check.match(
      beside.stdout,
      /^captured application 10000, 1970/,
      'its pulse is gone, its keys are there yet',
    );
    check.match(stdout, 'partition 9 (node 1): "user:{42}\\n" #000000ab makes 40 % to 45 % of its queries\n');
    check.match(stdout, 'partition 3 (node 0): #deadbeef makes 40 % to 45 % of its queries\n');
    check.is(
      JSON.parse((await run(folder, ['hot-keys', '--json'])).stdout).publishers[0].hotKeys[1].queries,
      800,
    );
  });
});

test('a proposal is told move by move, and why a partition stays', async () => {
  await withTemporaryFolder(async (folder) => {
    writeFileSync(
      join(folder, 'foreshard.config.json'),
      '{"cluster":{"partitionCount":16},"metadata":{"path":"m"}}',
    );
    const metadata = openEmbeddedMetadata({ path: join(folder, 'm') });
    await bootstrapCluster(metadata, 'main', {
      partitionCount: 16,
      nodes: [0, 1, 2].map((nodeId) => ({ nodeId, storeId: `store-${nodeId}` })),
    });
    // Partition 0 is as hot as the rest of its node; partition 15 is too hot for any.
    const forecast = forecastOf({
      horizonSteps: 24,
      partitionCount: 16,
      spread: 0.1,
      loadOf: (_, p) => (p === 15 ? 19 : p === 0 ? 8 : 1),
    });
    const ownerOf = Int32Array.from({ length: 16 }, (_, p) => (p < 12 ? 0 : p < 15 ? 1 : 2));
    const inputs = inputsOf({ ownerOf, nodes: [nodeOf(0, 20), nodeOf(1, 20), nodeOf(2, 20)], forecast });
    const manager = new AffinityManager(DEFAULT_SETTINGS.affinity, {
      random: seededRandom(1n),
      logger: silentLogger,
      optimiser: greedy,
    });
    const proposal = await manager.propose(inputs);
    const evidence = await manager.evidence(inputs, proposal);
    const context = {
      atMs: 1e12,
      expiresAtMs: 1e12 + 3_600_000,
      wayBackMs: 900_000,
      evidence,
      silentNodes: [{ nodeId: 2, sinceMs: 1e12 }],
    };
    const hashes = { inputsHash: 'ab', kernelHash: 'cd', ignoredForecasts: [3, 4] };
    const hotKeys = encodeHotKeys(
      [
        {
          partitionId: asPartitionId(15),
          keyPrefix: 'hot',
          keyHash: 1,
          queries: 9,
          shareMin: 0.6,
          shareMax: 0.7,
        },
      ],
      { atMs: 1000 },
    );
    await metadata.commit({
      conditions: [],
      writes: [
        { kind: 'put', key: proposalKey('main'), value: encodeProposal(proposal, { ...context, ...hashes }) },
        { kind: 'put', key: staysKey('main'), value: encodeStays(evidence.stays, 1e12) },
        { kind: 'put', key: `${hotKeysPrefix('main')}10000`, value: hotKeys },
      ],
    });
    await metadata.close();
    const { status, stdout } = await run(folder, ['proposal']);
    check.is(status, 0);
    check.match(stdout, /if nothing is done, node \d leaves its comfort zone at 2001-01-01 00:00 UTC/);
    check.match(stdout, /cost by number of moves, the most useful first: 0: \d/);
    check.match(
      stdout,
      /partition \d+: node 0 -> 1 from 2001-01-01 \d\d:00 UTC, 30 s at up to 100\.0 MB\/s: relieves/,
    );
    check.match(
      stdout,
      /gains [\d.]+ in the plan, [\d.]+ alone, [\d.-]+ if load is at its lower bound, for /,
    );
    check.match(
      stdout,
      /partition 15 is too hot for any node: .*: "hot" #00000001 makes 60 % to 70 % of its queries/,
    );
    check.match(
      stdout,
      "planned with last week's load, because their forecasts were worse than that: partitions 3-4",
    );
    const isSilent = /node 2 is not reachable \(since 2001-09-09 01:46 UTC\)/;
    for (const command of [['proposal'], ['map'], ['explain', '15']])
      check.match((await run(folder, command)).stdout, isSilent, command[0]);
    const moved = proposal.moves[0].partitionId;
    check.match(
      (await run(folder, ['explain', `${moved}`])).stdout,
      /^partition \d+: node 0 -> 1 from .*\n {2}gains /,
    );
    check.match(
      (await run(folder, ['explain', '13'])).stdout,
      /^partition 13 stays on node 1: no other node is better/,
    );
    check.is(JSON.parse((await run(folder, ['explain', '13', '--json'])).stdout).stay.code, 'no-gain');
    check.is((await run(folder, ['explain', '16'])).status, 2);
    check.match(
      (await run(folder, ['explain', 'x'])).stderr,
      /^foreshard: <partition>: 'x': partition is a whole number from 0 to \d+\./,
    );
    check.match(stdout, /writes to it wait about \d+ ms, nine times in ten less than/);
    check.match(stdout, /way back for 15 min/);
    writeFileSync(
      join(folder, 'beside-redis.json'),
      '{"cluster":{"partitionCount":16},"metadata":{"path":"m"},"redis":{"nodes":["127.0.0.1:1"]}}',
    );
    for (const command of [['proposal'], ['explain', `${moved}`]]) {
      const beside = await run(folder, [...command, '--config', 'beside-redis.json']);
      check.match(beside.stdout, /no way back but another move/, `Redis keeps no copy: ${beside.stderr}`);
      check.not.match(beside.stdout, /way back for|writes to it wait/, 'nor has it a fence');
    }
    const again = openEmbeddedMetadata({ path: join(folder, 'm') });
    await again.commit({
      conditions: [],
      writes: [{ kind: 'put', key: proposalKey('main'), value: new TextEncoder().encode('{"v":5}') }],
    });
    await again.close();
    const map = await run(folder, ['map']);
    check.is(map.status, 0, 'a proposal of another version takes nothing from the map');
    check.match(
      map.stdout,
      /partition.*\nwhether a node is silent is not known: the latest proposal is of version 5/s,
    );
    check.is.not((await run(folder, ['proposal'])).status, 0);
  });
});

test('what makes a node hot in an hour of the week is told, summed over the query nodes', async () => {
  await withTemporaryFolder(async (folder) => {
    writeFileSync(
      join(folder, 'foreshard.config.json'),
      '{"cluster":{"partitionCount":16},"metadata":{"path":"m"}}',
    );
    const metadata = openEmbeddedMetadata({ path: join(folder, 'm') });
    await bootstrapCluster(metadata, 'main', {
      partitionCount: 16,
      nodes: [0, 1, 2, 3, 4].map((nodeId) => ({ nodeId, storeId: `store-${nodeId}` })),
    });
    const hoursAt = (rates: Readonly<Record<number, number>>): Float64Array =>
      Float64Array.from({ length: 168 }, (_, hour) => rates[hour] ?? 0);
    const about = {
      atMs: 1e12,
      windowMs: 3_600_000,
      halfLifeMs: 1e9,
      watched: '1'.repeat(167).padEnd(168, '0'),
    };
    for (const queryNode of [10_000, 10_001]) {
      const types = [
        { template: 'GET user:{n}', hours: hoursAt({ 8: 10, 9: 10 }) },
        { template: 'HGET cart:{n}', hours: hoursAt({ 9: 30 }) },
      ];
      const value = encodeQueryHours(types, about);
      const key = `${queryHoursPrefix('main')}3/${queryNode}`;
      await metadata.commit({ conditions: [], writes: [{ kind: 'put', key, value }] });
    }
    await metadata.close();

    const { stdout } = await run(folder, ['query-types', '--node', '3', '--at', 'Mon 9:00']);
    check.match(
      stdout,
      'node 3, mon 09:00 UTC: 80.0 queries an hour (167 of 168 hours of the week watched)\n',
    );
    check.match(
      stdout,
      /^ *75\.0 % +60\.0 +0\.4 {2}HGET cart:\{n\}\n *25\.0 % +20\.0 +0\.2 {2}GET user:\{n\}\n$/m,
    );
    const printed = JSON.parse((await run(folder, ['query-types', '--at', 'mon 08:00', '--json'])).stdout);
    check.equal(
      printed.types.map((type: { template: string; share: number }) => [type.template, type.share]),
      [['GET user:{n}', 1]],
    );
    check.match(
      (await run(folder, ['query-types', '--node', '3', '--at', 'sun 23:00'])).stderr,
      /no query node has run at sun 23:00 UTC yet/,
    );
    check.match(
      (await run(folder, ['query-types', '--node', '4', '--at', 'mon 9'])).stderr,
      /nothing has been published of storage node 4/,
    );
    for (const args of [
      ['--node', '3'],
      ['--at', 'soon'],
      ['--at', 'mon 24:00'],
    ])
      check.is((await run(folder, ['query-types', ...args])).status, 2, args.join(' '));
  });
});

test('runs of partitions are printed as ranges', () => {
  check.is(asRanges([]), '');
  check.is(asRanges([3]), '3');
  check.is(asRanges([0, 1, 2, 5, 7, 8]), '0-2 5 7-8');
});

test('nodes report ready, obey their parent, keep secrets, and close at SIGTERM with exit code 0', async () => {
  await withTemporaryFolder(async (folder) => {
    const config = { cluster: { partitionCount: 16, storageNodeCount: 1 }, node: { logLevel: 'debug' } };
    writeFileSync(join(folder, 'foreshard.config.json'), JSON.stringify(config));
    const secret = { FORESHARD_SECURITY_PASSWORD: SECRET };
    const storage = startNode(folder, ['--role', 'storage', '--data-dir', join(folder, 'data')], secret);
    const query = startNode(folder, ['--role', 'query', '--listen', '127.0.0.1:0'], secret);
    try {
      const [ready] = await Promise.all([query.ready, storage.ready]);
      check.ok(ready.port > 0);
      check.is(ready.pid, query.child.pid);

      const reply = once(query.child, 'message');
      query.child.send({ kind: 'control', id: 7, body: { operation: 'ownership' } });
      const [answer] = await reply;
      check.is(answer.kind, 'control-reply');
      check.is(answer.id, 7);
      check.equal([...answer.body.ownerOf], new Array(16).fill(0));

      if (process.platform === 'linux')
        for (const { child } of [storage, query])
          check.not.match(readFileSync(`/proc/${child.pid}/cmdline`, 'latin1'), SECRET);
      const ends = [storage, query].map(({ child }) => once(child, 'exit'));
      query.child.kill('SIGTERM');
      storage.child.kill('SIGTERM');
      for (const [exitCode] of await Promise.all(ends)) check.is(exitCode, 0);
      for (const node of [storage, query]) check.not.match(node.output(), SECRET);
      check.match(query.output(), /"msg":"node closed"/);
    } finally {
      storage.child.kill('SIGKILL');
      query.child.kill('SIGKILL');
    }
  });
});

test('a node whose plugin fails serves on, and says once why', async () => {
  await withTemporaryFolder(async (folder) => {
    writeFileSync(
      join(folder, 'broken.mjs'),
      "export default { name: 'broken', attachQueryNode() { throw new Error('broken on purpose'); } };",
    );
    const config = {
      cluster: { partitionCount: 16, storageNodeCount: 1 },
      plugin: { modules: ['foreshard', './broken.mjs'] },
    };
    writeFileSync(join(folder, 'foreshard.config.json'), JSON.stringify(config));
    const storage = startNode(folder, ['--role', 'storage']);
    const query = startNode(folder, ['--role', 'query', '--listen', '127.0.0.1:0']);
    try {
      await Promise.all([query.ready, storage.ready]);
      check.match(query.output(), /"exception.message":"broken on purpose"/);
      check.is(query.output().match(/plugin detached after a fault/g)?.length, 1);
      const ends = [storage, query].map(({ child }) => once(child, 'exit'));
      // Without a word: a parent that is gone takes its nodes with it.
      query.child.disconnect();
      storage.child.disconnect();
      for (const [exitCode] of await Promise.all(ends)) check.is(exitCode, 0);
    } finally {
      storage.child.kill('SIGKILL');
      query.child.kill('SIGKILL');
    }
  });
});

test('a folder that cannot be made ends the command at once: exit code 2, setting, path and remedy', async () => {
  await withTemporaryFolder((folder) => {
    const file = join(folder, 'file');
    writeFileSync(file, 'no folder');
    const remedy = 'name a folder that this process may make and write to';
    for (const path of [file, join(file, 'y'), '/proc/foreshard/y']) {
      const environment = { FORESHARD_METADATA_PATH: path };
      const query = runProcess(folder, ['node', '--role', 'query'], environment);
      check.is(query.status, 2, query.stderr);
      check.match(query.stderr, `foreshard: metadata.path: cannot open the metadata store in ${path}: `);
      check.match(query.stderr, remedy);
      const { status, stderr } = runProcess(folder, ['node', '--role', 'storage'], {
        FORESHARD_NODE_DATA_DIR: path,
      });
      check.is(status, 2, stderr);
      check.match(stderr, `cannot open the store in ${path} (node.dataDir or --data-dir): `);
      check.match(stderr, remedy);
      const certs = runProcess(folder, ['certs', '--out', path]);
      check.is(certs.status, 2, certs.stderr);
      check.match(certs.stderr, `--out: cannot write certificates to ${path}: `);
      check.match(certs.stderr, remedy);
    }
  });
});

test('a node that still waits for its cluster ends at once and in order when it is told to', async () => {
  await withTemporaryFolder(async (folder) => {
    writeFileSync(
      join(folder, 'foreshard.config.json'),
      JSON.stringify({
        cluster: { storageNodeCount: 3 },
        node: { clientListen: '127.0.0.1:0', logLevel: 'info' },
      }),
    );
    const nodes = [
      startNode(folder, ['--role', 'storage', '--node-id', '0']),
      startNode(folder, ['--role', 'query']),
    ];
    try {
      const store = openEmbeddedMetadata({ path: join(folder, '.foreshard/metadata') });
      const { nodePrefix } = clusterKeys('main');
      for (let i = 0; i < 400 && (await store.list(nodePrefix)).entries.length === 0; i++) await delay(25);
      await store.close();
      await delay(1_000); // The query node registers nothing before it serves.
      const startedMs = performance.now();
      const ends = nodes.map(({ child }) => once(child, 'exit'));
      nodes[0]?.child.kill('SIGTERM');
      nodes[1]?.child.kill('SIGINT');
      check.equal(await Promise.all(ends), [
        [0, null],
        [0, null],
      ]);
      check.ok(performance.now() - startedMs < 5_000, 'long before the hard end');
    } finally {
      for (const { child } of nodes) child.kill('SIGKILL');
    }
  });
});

test.run();
