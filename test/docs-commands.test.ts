/**
 * Every command line that the documents show is one that the program takes: the parser reads all of them, and those that need no
 * cluster and no long time are run. `backtest` is run by `test/plugin/operator/backtest-log.test.ts`, commands of a cluster by
 * `test/scenarios/commands.test.ts` and its neighbours.
 */
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Command } from 'commander';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { COMMAND_GROUPS } from '../plugin/operator/command-groups.ts';
import { buildProgram } from '../plugin/operator/program.ts';
import { commandLinesOf, mentionsOf, wordsOf } from '../site/command-lines.ts';
import { REPOSITORY, sideBar, sitePages } from '../site/pages.ts';
import { DEFAULT_SETTINGS } from '../src/settings.ts';
import { runHere } from './support/run-here.ts';
import { withTemporaryFolder } from './support/temporary-folder.ts';

const test = suite('command lines of the documents');

const pages = sitePages();
/** Made from the program: they cannot contradict it. */
const written = [...pages].filter(([path]) => !path.startsWith('commands/'));
const lines = written.flatMap(([page, markdown]) => commandLinesOf(markdown).map((of) => ({ page, ...of })));

/** A program that does nothing, and complains by exceptions. */
function parser(): Command {
  const program = buildProgram(() => {});
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
      let command: Command | undefined = buildProgram(() => {});
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
    buildProgram(() => {})
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
