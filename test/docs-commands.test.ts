/**
 * Every command line that the documents show is one that the program takes: the parser reads all of them, those that need no cluster and
 * no long time are run, those of a cluster beside its metadata; of what stays, or takes its time, the test that runs it is named. A line
 * that is in none of these tables is found.
 */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Command } from 'commander';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { openEmbeddedMetadata } from '../plugin/metadata/embedded.ts';
import { bootstrapCluster } from '../plugin/metadata/form-cluster.ts';
import { putMember } from '../plugin/metadata/members.ts';
import { COMMAND_GROUPS } from '../plugin/operator/command-groups.ts';
import { loadCommands } from '../plugin/operator/command-modules.ts';
import { buildProgram } from '../plugin/operator/program.ts';
import { commandLinesOf, mentionsOf, wordsOf } from '../site/command-lines.ts';
import { REPOSITORY, sideBar, sitePages } from '../site/pages.ts';
import { DEFAULT_SETTINGS } from '../src/settings.ts';
import { runHere } from './support/run-here.ts';
import { withTemporaryFolder } from './support/temporary-folder.ts';

const test = suite('command lines of the documents');

const COMMANDS = await loadCommands();
const pages = sitePages();
/** Made from the program: they cannot contradict it. */
const written = [...pages].filter(([path]) => !path.startsWith('commands/'));
const lines = written.flatMap(([page, markdown]) => commandLinesOf(markdown).map((of) => ({ page, ...of })));

/** A program that does nothing, and complains by exceptions. */
function parser(): Command {
  const program = buildProgram(COMMANDS, () => {});
  const silence = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
    if (command.commands.length === 0) command.action(() => {});
    command.commands.forEach(silence);
  };
  silence(program);
  return program;
}

test('every command line in a block is taken by the parser', async () => {
  const wrong: string[] = [];
  for (const { page, line, words } of lines)
    try {
      await parser().parseAsync([...words], { from: 'user' });
    } catch (error) {
      wrong.push(`${page}: ${line}: ${(error as Error).message}`);
    }
  check.equal(wrong, []);
  check.ok(lines.length > 30, `only ${lines.length} lines were found`);
});

test('every command and flag that running text names is there', () => {
  const wrong: string[] = [];
  let count = 0;
  for (const [page, markdown] of written)
    for (const mention of mentionsOf(markdown)) {
      // [--json] and a|b of tables stand for what may be left out, or for a choice.
      const words = wordsOf(mention.replace(/[[\]…]/g, ' ').replaceAll('\\|', ' '));
      let command: Command | undefined = buildProgram(COMMANDS, () => {});
      let depth = 0;
      for (; command !== undefined && command.commands.length > 0 && depth < words.length; depth++) {
        if (words[depth]?.startsWith('--')) break;
        command = command.commands.find((child) => child.name() === words[depth]);
      }
      count++;
      if (command === undefined) wrong.push(`${page}: foreshard ${mention}: no such command`);
      for (const flag of words
        .filter((word) => /^--[a-z-]+,?$/.test(word))
        .map((word) => word.replace(',', '')))
        if (command && flag !== '--help' && !command.options.some(({ long }) => long === flag))
          wrong.push(`${page}: foreshard ${mention}: no flag ${flag}`);
    }
  check.equal(wrong, []);
  check.ok(count > 50, `only ${count} mentions were found`);
});

test('every command stands in one group of the help', () => {
  const grouped = COMMAND_GROUPS.flatMap(([, commands]) => [...commands]);
  check.equal(
    grouped.toSorted(),
    buildProgram(COMMANDS, () => {})
      .commands.map((command) => command.name())
      .toSorted(),
  );
});

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 5);

/** The files that the documents speak of, small. */
function writeSamples(folder: string): void {
  const hours = Array.from({ length: 24 * 10 }, (_, hour) => hour);
  const daily = (hour: number): number => 3 + Math.round(2 * Math.sin((2 * Math.PI * hour) / 24));
  const log = hours.flatMap((hour) =>
    Array.from({ length: daily(hour) }, (_, i) =>
      JSON.stringify({
        time: new Date(START_MS + hour * HOUR_MS + i * 60_000).toISOString(),
        command: 'GET',
        key: `user:${i}`,
      }),
    ),
  );
  for (const name of ['access.log.gz', 'q.log.gz'])
    writeFileSync(join(folder, name), gzipSync(`${log.join('\n')}\n`));
  const rows = hours.map((hour) => `a,${new Date(START_MS + hour * HOUR_MS).toISOString()},${daily(hour)}`);
  writeFileSync(join(folder, 'series.csv'), `series,time,value\n${rows.join('\n')}\n`);
  const plan = join(folder, 'examples/plan/three-nodes.json');
  mkdirSync(dirname(plan), { recursive: true });
  copyFileSync(join(REPOSITORY, 'examples/plan/three-nodes.json'), plan);
}

const RUN = [
  'certs',
  'completion',
  'config',
  'counts',
  'etcd-roles',
  'forecast',
  'init',
  'patterns',
  'plan',
  'token',
];

test('those that need no cluster do what they say', async () => {
  await withTemporaryFolder(async (folder) => {
    writeSamples(folder);
    const before = process.cwd();
    process.chdir(folder);
    let runCount = 0;
    try {
      let piped = '';
      for (const { page, line, words } of lines) {
        if (!RUN.includes(words[0] ?? '') || words.includes('FILE.json')) continue;
        writeFileSync('piped', piped);
        // Each page begins in a folder of its own.
        if (words[0] === 'init') rmSync('foreshard.config.yaml', { force: true });
        const { exitCode, stdout, stderr } = await runHere(
          ...words.map((word) => (word === '-' ? 'piped' : word)),
        );
        check.is(exitCode, 0, `${page}: ${line}: ${stderr}`);
        piped = stdout;
        runCount++;
      }
    } finally {
      process.chdir(before);
    }
    check.ok(runCount > 8, `only ${runCount} were run`);
  });
});

/** Lines of commands that stay, or take their time: the test that runs such a line as it is meant. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  agent: 'test/plugin/engines/redis-cluster/agent.test.ts',
  backtest: 'test/plugin/operator/backtest-log.test.ts',
  dashboard: 'test/scenarios/dashboard.test.ts',
  node: 'test/plugin/operator/cli.test.ts',
  replay: 'test/plugin/host/plans/plan-archive.test.ts',
};

/**
 * Lines that look at a cluster or give it an order, beside the metadata of three storage nodes that do not answer, without a proposal: how
 * each ends, and what it says. Of a fourth node, in the order of docs/deployment.md: it is let in, registers, is drained and removed.
 */
const AT_A_CLUSTER: Readonly<Record<string, readonly [exitCode: number, says: RegExp]>> = {
  map: [0, /^16 partitions\nnode 0: 6 partitions: 0-5\n/],
  status: [3, /coordinator: there is no coordinator.*ALARM: storage node 0 does not answer/s],
  doctor: [3, /node 0|coordinator/],
  'top --once': [0, /no forecast has been published yet/],
  migrations: [0, /^0 migrations open|nothing/m],
  scorecard: [0, /./],
  audit: [0, /^nothing has been ordered yet|: join/m],
  'verify --all': [3, /16 partitions, 0 entries read back, 0 with a copy beside: 0 right, 16 wrong/],
  proposal: [1, /there is no proposal yet/],
  'explain 7': [1, /there is no proposal yet/],
  "approve 7 9-11 --reason 'reviewed'": [1, /there is no proposal yet/],
  "apply --all --yes --reason 'reviewed'": [1, /there is no proposal yet/],
  "join 3 --reason 'more room for the spring'": [0, /storage node 3 may join: start it within a day/],
  "drain 3 --wait --reason 'old machine'": [0, /node 3 is empty: stop it, then/],
  "remove 3 --yes --reason 'old machine'": [0, /node 3 is removed/],
};

test('every line that is not run above is run at a cluster, or by the test that is named', async () => {
  const others = lines.filter(({ words: [command = ''] }) => !RUN.includes(command));
  const keyOf = (line: string): string => line.replace('foreshard ', '');
  const unknown = others
    .filter(({ line, words: [command = ''] }) => !(command in ELSEWHERE || keyOf(line) in AT_A_CLUSTER))
    .map(({ page, line }) => `${page}: ${line}`);
  check.equal(unknown, [], 'add how it ends, or who runs it');
  const named = new Set(others.map(({ line }) => keyOf(line)));
  check.equal(
    Object.keys(AT_A_CLUSTER).filter((line) => !named.has(line)),
    [],
    'no page shows it any more',
  );
  for (const [command, file] of Object.entries(ELSEWHERE))
    check.match(readFileSync(join(REPOSITORY, file), 'utf8'), new RegExp(`\\b${command}`, 'i'), file);
  await withTemporaryFolder(async (folder) => {
    const before = process.cwd();
    const path = join(folder, '.foreshard/metadata');
    const config = { cluster: { partitionCount: 16, storageNodeCount: 3 }, metadata: { path } };
    writeFileSync(join(folder, 'foreshard.config.json'), JSON.stringify(config));
    const metadata = openEmbeddedMetadata({ path });
    const member = (nodeId: number) =>
      putMember(metadata, 'main', {
        ...{ nodeId, role: 'storage', storeId: `store-${nodeId}`, host: '127.0.0.1', port: 1 },
        ...{ incarnation: 'i', version: '1', startedAtMs: 1 },
      });
    process.chdir(folder);
    try {
      const nodes = [0, 1, 2].map((nodeId) => ({ nodeId, storeId: `store-${nodeId}` }));
      await bootstrapCluster(metadata, 'main', { partitionCount: 16, nodes });
      for (const { nodeId } of nodes) await member(nodeId);
      for (const [line, [exitCode, says]] of Object.entries(AT_A_CLUSTER)) {
        if (line.startsWith('drain')) await member(3);
        const ran = await runHere(...wordsOf(line));
        check.is(ran.exitCode, exitCode, `${line}: ${ran.stdout}${ran.stderr}`);
        check.match(ran.stdout + ran.stderr, says, line);
      }
    } finally {
      process.chdir(before);
      await metadata.close();
    }
  });
});

test('the site has a page for every command and a row for every setting, and its side bar leads to pages', () => {
  const settings = pages.get('settings.md') ?? '';
  for (const [section, own] of Object.entries(DEFAULT_SETTINGS))
    for (const name of Object.keys(own)) check.match(settings, `\`${section}.${name}`);
  for (const name of ['top', 'verify', 'config-check', 'backtest'])
    check.ok(pages.has(`commands/${name}.md`), name);
  const links = sideBar(pages).flatMap(({ items }) => items.map(({ link }) => link));
  for (const link of links)
    check.ok(pages.has(`${link.slice(1)}.md`) || pages.has(`${link.slice(1)}index.md`), link);
  const reached = new Set(links.map((link) => link.slice(1)));
  for (const path of pages.keys())
    if (path !== 'index.md')
      check.ok(reached.has(path.replace(/(index)?\.md$/, '')), `${path} is in the side bar`);
  check.is(new Set(links).size, links.length, 'each once');
});

test.run();
