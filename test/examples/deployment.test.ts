/** The files of `examples/deployment/` are what the real schema takes, and a cluster starts from them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { loadSettings } from '../../plugin/host/config/config.ts';
import { hasEtcd, LocalEtcd } from '../../plugin/node/local/local-etcd.ts';
import type { ClusterStatus } from '../../plugin/operator/status/gather-status.ts';
import { parsePrometheus } from '../support/prometheus-text.ts';
import { foreshardArguments, repositoryFile } from '../support/repository.ts';
import { assertNotRequired } from '../support/require.ts';
import { until } from '../support/scenario.ts';
import { withTemporaryFolder } from '../support/temporary-folder.ts';

const DEPLOYMENT = repositoryFile('examples/deployment/');
const COMPOSE = join(DEPLOYMENT, 'compose');
const NODES = ['storage-0', 'storage-1', 'storage-2', 'query-0', 'query-1'];

const test = suite('examples of a deployment');

test('every config file of a node is right, and says what the node is and by what others reach it', async () => {
  const files = [
    ...['storage-0.yaml', 'query-0.yaml'].map((name) => join(DEPLOYMENT, name)),
    ...readdirSync(COMPOSE)
      .filter((name) => /^(storage|query)-\d\.yaml$/.test(name))
      .map((name) => join(COMPOSE, name)),
  ];
  check.is(files.length, 7);
  for (const file of files) {
    const { settings } = await loadSettings({ file, folder: DEPLOYMENT, environment: {} });
    const { role, id, advertiseHost, healthListen } = settings.node;
    check.ok(file.includes(`${role}-${(id as number) % 10_000}`), file);
    check.ok(advertiseHost !== null && healthListen !== null, file);
    check.is(settings.metadata.kind, 'etcd');
  }
});

test('the compose file runs exactly these nodes, each with its file', () => {
  const { services } = parse(readFileSync(join(COMPOSE, 'compose.yaml'), 'utf8'), { merge: true });
  check.equal(Object.keys(services).sort(), ['etcd-0', 'etcd-1', 'etcd-2', ...NODES].sort());
  for (const name of NODES) {
    const [config] = services[name].volumes as string[];
    check.match(config, new RegExp(`^\\./${name}\\.yaml:/etc/foreshard/node\\.yaml:ro$`));
    check.ok(existsSync(join(COMPOSE, `${name}.yaml`)));
    check.ok(services[name].healthcheck.test.length > 0);
  }
});

test('systemd takes the unit', async () => {
  if (spawnSync('systemd-analyze', ['--version']).status !== 0) {
    console.log('SKIP systemd-analyze: not available here');
    return;
  }
  await withTemporaryFolder((folder) => {
    const unit = join(folder, 'foreshard@storage-0.service');
    const text = readFileSync(join(DEPLOYMENT, 'systemd/foreshard@.service'), 'utf8');
    // Whether the program lies where the unit says is not the unit's business.
    writeFileSync(unit, text.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'));
    const { stdout, stderr, status } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], {
      encoding: 'utf8',
    });
    const told = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('foreshard@'));
    check.equal(told, []);
    check.ok(status === 0 || told.length === 0, `${status}`);
  });
});

/** A file of the compose folder, as it would be on this machine. */
function localised(name: string, folder: string, endpoints: readonly string[]): string {
  const config = parse(readFileSync(join(COMPOSE, `${name}.yaml`), 'utf8'));
  const { node } = config;
  const own = join(folder, name);
  mkdirSync(own);
  if (node.role === 'storage') Object.assign(node, { peerListen: '127.0.0.1:0', dataDir: join(own, 'data') });
  else Object.assign(node, { clientListen: '127.0.0.1:0' });
  Object.assign(node, { advertiseHost: '127.0.0.1', healthListen: `unix:${join(own, 'health.sock')}` });
  if (config.analyzer) config.analyzer.stateDir = join(own, 'analyzer');
  config.metadata.endpoints = endpoints;
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, stringify(config));
  return file;
}

const isReady = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = spawn('curl', [
      '-sf',
      '-o',
      '/dev/null',
      '--unix-socket',
      socket,
      'http://localhost/readyz',
    ]);
    probe.once('error', () => resolve(false));
    probe.once('close', (status) => resolve(status === 0));
  });

/** What Prometheus would scrape, of one metric: its values by its labels' values. */
async function scraped(socketPath: string, metric: string): Promise<Record<string, number>> {
  const text = await new Promise<string>((resolve, reject) => {
    get({ socketPath, path: '/metrics' }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        body += piece;
      });
      response.on('end', () => resolve(body));
    }).on('error', reject);
  });
  const samples = parsePrometheus(text).get(metric)?.samples ?? [];
  return Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels).join(), value]));
}

/** Changes its config file, has the node read it again, and waits until it has said what came of it. */
async function reloaded(
  folder: string,
  child: ChildProcess,
  { from, to, outcome }: { readonly from: RegExp; readonly to: string; readonly outcome: string },
): Promise<void> {
  const file = join(folder, 'query-0.yaml');
  const text = readFileSync(file, 'utf8');
  check.match(text, from);
  writeFileSync(file, text.replace(from, to));
  child.kill('SIGHUP');
  const socket = join(folder, 'query-0', 'health.sock');
  const count = async () => (await scraped(socket, 'foreshard_config_reloads_total'))[outcome];
  await until(async () => (await count()) === 1, `the config is read again and ${outcome}`);
}

test('a cluster starts from the compose files, is ready and in order, and ends in order', async () => {
  if (!hasEtcd()) {
    assertNotRequired('etcd');
    console.log('SKIP etcd: not available here');
    return;
  }
  const etcd = await LocalEtcd.start();
  const children = new Map<string, ChildProcess>();
  const output = new Map<string, string>();
  try {
    await withTemporaryFolder(async (folder) => {
      cpSync(COMPOSE, join(folder, 'compose'), { recursive: true });
      for (const name of NODES) {
        const file = localised(name, folder, etcd.endpoints);
        const child = spawn(process.execPath, foreshardArguments('node', '--config', file));
        for (const stream of [child.stdout, child.stderr])
          stream.on('data', (bytes) => output.set(name, (output.get(name) ?? '') + String(bytes)));
        children.set(name, child);
      }
      for (const name of NODES)
        await until(
          () => isReady(join(folder, name, 'health.sock')),
          `${name} is ready; it says: ${output.get(name)}`,
          60_000,
        );
      const up = (name: string) => scraped(join(folder, name, 'health.sock'), 'foreshard_scrape_source_up');
      check.equal(await up('storage-0'), { process: 1, config: 1, node: 1 });
      check.equal(await up('query-0'), { process: 1, config: 1, node: 1, analysis: 1, coordinator: 1 });
      const query = children.get('query-0') as ChildProcess;
      await reloaded(folder, query, {
        from: /$/,
        to: 'controller: { cycleIntervalMs: 30m }\n',
        outcome: 'applied',
      });
      await reloaded(folder, query, {
        from: /partitionCount: \d+/,
        to: 'partitionCount: 8192',
        outcome: 'refused',
      });
      check.match(output.get('query-0') ?? '', /cluster\.partitionCount needs a restart/);
      await reloaded(folder, query, {
        from: /partitionCount: \d+/,
        to: 'partitionCount: 64',
        outcome: 'unchanged',
      });
      const status = spawnSync(
        process.execPath,
        foreshardArguments('status', '--json', '--config', join(folder, 'query-0.yaml')),
        { encoding: 'utf8' },
      );
      check.is(status.status, 0, status.stdout + status.stderr);
      const { nodes } = JSON.parse(status.stdout) as ClusterStatus;
      check.equal(
        nodes.map(({ nodeId, state, zone }) => [nodeId, state, zone]),
        [
          [0, 'alive', 'rack-0'],
          [1, 'alive', 'rack-1'],
          [2, 'alive', 'rack-2'],
          [10_000, 'alive', null],
          [10_001, 'alive', null],
        ],
      );
      for (const name of [...NODES].reverse()) {
        const child = children.get(name) as ChildProcess;
        const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        check.is(await ended, 0, `${name}: ${output.get(name)}`);
      }
    });
  } finally {
    for (const child of children.values()) child.kill('SIGKILL');
    await etcd.close();
  }
});

test.run();
