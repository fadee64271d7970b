import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { loadSettings } from '../../../../plugin/host/config/config.ts';
import { answered } from '../../../../plugin/operator/init/command.ts';
import {
  type ConfigAnswers,
  configText,
  DEFAULT_ANSWERS,
  QUESTIONS,
} from '../../../../plugin/operator/init/config-text.ts';
import { runCli } from '../../../../plugin/operator/program.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('foreshard init');

async function settingsFrom(answers: ConfigAnswers) {
  let settings!: Awaited<ReturnType<typeof loadSettings>>['settings'];
  await withTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'foreshard.config.yaml'), configText(answers));
    settings = (await loadSettings({ folder, environment: {} })).settings;
  });
  return settings;
}

test('what is written is a config that says what was answered, whatever the answers', async () => {
  const plain = await settingsFrom(DEFAULT_ANSWERS);
  check.equal(
    [plain.plugin.mode, plain.cluster.storageNodeCount, plain.metadata.kind],
    ['observe', 2, 'embedded'],
  );
  const etcd = ['http://10.0.0.1:2379', 'https://etcd-2.example:2379'];
  const answers = {
    name: 'orders.eu-1',
    storageNodeCount: 5,
    partitionCount: 1024,
    redisNodes: [],
    etcd,
    queriesPerSecond: 9_000,
  };
  for (const mode of ['observe', 'propose', 'auto'] as const) {
    const { cluster, plugin, metadata } = await settingsFrom({ ...answers, mode });
    check.equal([cluster.name, cluster.storageNodeCount, cluster.partitionCount], ['orders.eu-1', 5, 1024]);
    check.equal([cluster.nodeCapacity.queries, plugin.mode], [9_000, mode]);
    check.equal([metadata.kind, metadata.endpoints], ['etcd', etcd]);
  }
});

test('beside a Redis Cluster its nodes are written, and nothing that only the embedded engine has', async () => {
  const redisNodes = ['10.0.0.11:6379', '[::1]:7000'];
  const { cluster, plugin, redis } = await settingsFrom({ ...DEFAULT_ANSWERS, redisNodes });
  check.equal([redis.nodes, plugin.mode, cluster.partitionCount], [redisNodes, 'observe', 256]);
  check.not.match(configText({ ...DEFAULT_ANSWERS, redisNodes }), /storageNodeCount|copyBytesPerSecond/);
  await withTemporaryFolder(async (folder) => {
    const file = join(folder, 'some.yaml');
    check.is(await runCli(['init', '--yes', '--redis', 'nowhere', '--file', file]), 2);
    check.is(await runCli(['init', '--yes', '--redis', '10.0.0.11:6379,b:7000', '--file', file]), 0);
    const written = await loadSettings({ folder, file, environment: {} });
    check.equal(written.settings.redis.nodes, ['10.0.0.11:6379', 'b:7000']);
    check.is(written.settings.node.healthListen, `unix:${join(folder, 'foreshard.sock')}`);
    const deep = join(folder, 'a'.repeat(100));
    mkdirSync(deep);
    const far = join(deep, 'some.yaml');
    check.is(await runCli(['init', '--yes', '--redis', 'b:7000', '--file', far]), 0);
    check.is((await loadSettings({ folder, file: far, environment: {} })).settings.node.healthListen, null);
  });
});

test('a question is asked until the answer makes sense; an empty one takes what is shown', async () => {
  const replies: Record<string, readonly string[]> = {
    name: ['a b', 'shop'],
    storageNodeCount: ['0', '1.5', 'three', '3'],
    partitionCount: ['100', '8', '512'],
    redisNodes: ['10.0.0.1', 'a:1,b', 'a:1, [::1]:2'],
    etcd: ['10.0.0.1', 'http://a:1, http://b:2'],
    queriesPerSecond: ['-4', '5000'],
    mode: ['on', 'propose'],
  };
  let answers = DEFAULT_ANSWERS;
  for (const question of QUESTIONS) {
    const asked: string[] = [];
    const left = [...(replies[question.field] ?? [])];
    answers = await answered(question, answers, async (text) => {
      asked.push(text);
      return left.shift() ?? '';
    });
    check.is(asked.length, replies[question.field]?.length);
    check.ok(asked.slice(1).every((text) => text.includes(question.expected)));
    check.equal(await answered(question, answers, async () => ' '), answers);
  }
  check.equal(answers, {
    name: 'shop',
    storageNodeCount: 3,
    partitionCount: 512,
    redisNodes: ['a:1', '[::1]:2'],
    mode: 'propose',
    etcd: ['http://a:1', 'http://b:2'],
    queriesPerSecond: 5_000,
  });
});

test('a file that is there is left alone', async () => {
  await withTemporaryFolder(async (folder) => {
    const file = join(folder, 'some.yaml');
    check.is(await runCli(['init', '--yes', '--file', file]), 0);
    check.ok(existsSync(file));
    writeFileSync(file, 'mine');
    check.is(await runCli(['init', '--yes', '--file', file]), 2);
    check.is(readFileSync(file, 'utf8'), 'mine');
  });
});

test.run();
