import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { judgeCluster } from '../../../../plugin/operator/doctor/cluster.ts';
import { judgeFiles, judgePorts } from '../../../../plugin/operator/doctor/files.ts';
import { type Finding, findingLines } from '../../../../plugin/operator/doctor/findings.ts';
import { judgeMachine, type MachineFacts } from '../../../../plugin/operator/doctor/machine.ts';
import { readMachine } from '../../../../plugin/operator/doctor/read-machine.ts';
import { judgeRedis, lookAtRedis } from '../../../../plugin/operator/doctor/redis.ts';
import type { ClusterStatus, NodeStatus } from '../../../../plugin/operator/status/gather-status.ts';
import { kernelMemory } from '../../../../src/kernel-memory.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../src/settings.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('foreshard doctor');

const GIB = 1024 ** 3;
const FACTS: MachineFacts = {
  nodeVersion: 'v20.0.0',
  hasWasmSimd: true,
  cpuCount: 4,
  memoryBytes: 8 * GIB,
  openFilesMax: 65_536,
  nowMs: Date.UTC(2026, 5, 1),
  isClockSynchronised: true,
};
const NEEDS = { kernelThreads: 1, kernelMemoryBytes: GIB, clientConnectionsMax: 10_000 };

/** `check: verdict` of all that is not well. */
const wrong = (findings: readonly Finding[]): string[] =>
  findings.filter(({ verdict }) => verdict !== 'ok').map(({ check, verdict }) => `${check}: ${verdict}`);

test('a machine that has what a node needs has nothing to say, and each lack has its remedy', () => {
  check.equal(wrong(judgeMachine(FACTS, NEEDS)), []);
  for (const [change, expected, remedy] of [
    [{ nodeVersion: 'v18.19.0' }, 'Node.js: fail', /Node\.js 20/],
    [{ hasWasmSimd: false }, 'Node.js: fail', /SSE4\.1/],
    [{ cpuCount: 1 }, 'processors: warn', /kernelThreads/],
    [{ memoryBytes: GIB }, 'memory: fail', /historyWindows/],
    [{ openFilesMax: 1_024 }, 'open files: fail', /raise the limit to 10256/],
    [{ nowMs: 0 }, 'clock: fail', /set the clock/],
    [{ isClockSynchronised: false }, 'clock: warn', /chrony/],
  ] as const) {
    const findings = judgeMachine({ ...FACTS, ...change }, NEEDS);
    check.equal(wrong(findings), [expected]);
    check.match(findings.find(({ verdict }) => verdict !== 'ok')?.remedy ?? '', remedy);
  }
});

test('this machine is read, and its memory is compared with what the settings take', () => {
  const facts = readMachine();
  check.is(facts.nodeVersion, process.version);
  check.ok(facts.hasWasmSimd);
  check.ok(facts.cpuCount >= 1 && facts.memoryBytes > 1e8);
  check.ok(kernelMemory(DEFAULT_SETTINGS).total > 1e6);
});

test('secrets that others may read, and folders that cannot be written, are found before a node trips over them', async () => {
  await withTemporaryFolder((folder) => {
    const [password, key] = [join(folder, 'password'), join(folder, 'peer.key')];
    writeFileSync(password, 'x', { mode: 0o644 });
    writeFileSync(key, 'x', { mode: 0o600 });
    const settings: Settings = {
      ...DEFAULT_SETTINGS,
      node: {
        ...DEFAULT_SETTINGS.node,
        role: 'storage',
        dataDir: join(folder, 'not', 'there', 'yet'),
        freeBytesReserve: 0,
      },
      metadata: { ...DEFAULT_SETTINGS.metadata, path: folder },
      analyzer: { ...DEFAULT_SETTINGS.analyzer, stateDir: folder },
      security: {
        ...DEFAULT_SETTINGS.security,
        passwordFile: password,
        peerKeyFile: key,
        usersFile: join(folder, 'nobody'),
      },
      redis: { ...DEFAULT_SETTINGS.redis, passwordFile: password },
    };
    const failed = (): string[] => wrong(judgeFiles(settings)).filter((line) => line.endsWith('fail'));
    check.equal(failed(), [
      'security.passwordFile: fail',
      'security.usersFile: fail',
      'redis.passwordFile: fail',
    ]);
    chmodSync(password, 0o600);
    check.equal(failed(), ['security.usersFile: fail']);
    const full = { ...settings, node: { ...settings.node, freeBytesReserve: 1e18 } };
    check.ok(wrong(judgeFiles(full)).includes('node.dataDir: fail'));
    if (process.getuid?.() === 0) return; // root may write anywhere
    mkdirSync(join(folder, 'closed'), { mode: 0o500 });
    const closed = { ...settings, node: { ...settings.node, dataDir: join(folder, 'closed', 'data') } };
    check.ok(wrong(judgeFiles(closed)).includes('node.dataDir: fail'));
  });
});

test('a port that is taken may be the node itself; an address of another machine is wrong', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const { port } = holder.address() as { port: number };
  const judge = (clientListen: string) =>
    judgePorts({ ...DEFAULT_SETTINGS, node: { ...DEFAULT_SETTINGS.node, role: 'query', clientListen } });
  try {
    check.equal(wrong(await judge(`127.0.0.1:${port}`)), ['node.clientListen: warn']);
    check.equal(wrong(await judge('192.0.2.1:6379')), ['node.clientListen: fail']);
    check.equal(wrong(await judge('127.0.0.1:0')), []);
  } finally {
    await new Promise((resolve) => holder.close(resolve));
  }
});

test('beside a Redis Cluster its nodes are looked at, and no port or folder that only a node of ours has', async () => {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const { port } = closed.address() as { port: number };
  await new Promise((resolve) => closed.close(resolve));
  const redis = { ...DEFAULT_SETTINGS.redis, nodes: [`127.0.0.1:${port}`] };
  const nobody = await lookAtRedis(redis);
  check.equal(wrong(nobody), ['Redis Cluster: fail']);
  check.match(nobody[0]?.found ?? '', new RegExp(`${port}`));
  check.equal(await judgePorts({ ...DEFAULT_SETTINGS, redis }), []);
  check.not.ok(judgeFiles({ ...DEFAULT_SETTINGS, redis }).some(({ check: what }) => what === 'node.dataDir'));

  const master = { nodeId: 'a', host: 'h', port: 1, configEpoch: 1, replicaIds: ['b'], slotCount: 16_000 };
  const judged = judgeRedis({ masters: [master], troubles: ['384 slots have no owner'] });
  check.is(judged[0]?.found, '1 master, 1 replica, 16000 slots');
  check.equal(wrong(judged), ['Redis Cluster: warn']);
});

test('of a cluster: dead nodes, a slow store, mixed versions, no coordinator, alarms', () => {
  const node = (nodeId: number, change: Partial<NodeStatus>) =>
    ({
      nodeId,
      role: 'storage',
      state: 'alive',
      address: 'h:1',
      version: '1.0.0',
      silence: null,
      ...change,
    }) as NodeStatus;
  const status = (change: Partial<ClusterStatus>) =>
    ({
      metadata: { kind: 'embedded', revision: 1, readMs: 3 },
      coordinator: {
        state: 'leading',
        candidate: 'query-1000',
        electedAtMs: 1,
        heartbeatAtMs: 1,
        leftAtMs: null,
        ttlMs: 9,
      },
      nodes: [node(0, {}), node(1, {})],
      alarms: [],
      ...change,
    }) as unknown as ClusterStatus;
  check.equal(wrong(judgeCluster(status({}))), []);
  const nodes = [
    node(0, { state: 'dead', silence: 'ECONNREFUSED' }),
    node(1, {}),
    node(2, { version: '1.1.0' }),
  ];
  const gone = { state: 'none', candidate: null, electedAtMs: null } as ClusterStatus['coordinator'];
  const metadata = { kind: 'etcd', revision: 1, readMs: 400 };
  const findings = judgeCluster(status({ nodes, coordinator: gone, metadata, alarms: ['a disk is full'] }));
  check.equal(wrong(findings), [
    'metadata store: warn',
    'node 0: fail',
    'versions: warn',
    'coordinator: fail',
    'alarm: warn',
  ]);
  const lines = findingLines(findings);
  check.match(
    lines.join('\n'),
    /fail {2}node 0 +storage node at h:1 does not answer: ECONNREFUSED\n +-> start it again/,
  );
  check.is(lines.at(-1), '1 ok, 3 to look at, 2 wrong');
});

test.run();
