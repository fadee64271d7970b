/** What a script can rely on: `--json` everywhere, one value on standard output. Commands of a cluster: test/scenarios/commands.test.ts. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { loadCommands } from '../../../plugin/operator/command-modules.ts';
import { buildProgram } from '../../../plugin/operator/program.ts';
import { runHere } from '../../support/run-here.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('--json of commands');

/** They run until SIGTERM: a node's log is JSON, line by line, in any case; the dashboard prints where it is. */
const WITHOUT = ['dashboard', 'node'];

const leavesOf = (command: Command, path = ''): [path: string, command: Command][] =>
  command.commands.flatMap((child) => {
    const own = `${path}${child.name()}`;
    return child.commands.length > 0 ? leavesOf(child, `${own} `) : [[own, child]];
  });

const leaves = leavesOf(buildProgram(await loadCommands(), () => {}));
const has = (command: Command, flag: string): boolean => command.options.some(({ long }) => long === flag);

test('every command takes --json but those that run on', () => {
  const without = leaves.filter(([, command]) => !has(command, '--json')).map(([path]) => path);
  check.equal(without.sort(), WITHOUT);
});

test('the commands of the plan of this tool are there', () => {
  const planned =
    'init node agent status top patterns forecast plan explain proposal proposals approve reject apply migrations pause resume cancel rollback verify backtest doctor completion';
  const there = leaves.map(([path]) => path);
  check.equal(
    planned.split(' ').filter((name) => !there.includes(name)),
    [],
  );
  for (const name of ['config check', 'config schema', 'config show']) check.ok(there.includes(name), name);
});

test('every command says what it does in a line', () => {
  for (const [path, command] of leaves) check.ok(command.description().length > 10, path);
});

test('what changes an owner, or takes something out for good, does not happen by a slip', () => {
  const guards: Readonly<Record<string, string>> = {
    apply: '--yes',
    rollback: '--yes',
    remove: '--yes',
    resync: '--confirm',
    retire: '--it-is-gone-for-good',
    takeover: '--i-accept-loss-after',
  };
  for (const [path, flag] of Object.entries(guards)) {
    const command = leaves.find(([name]) => name === path)?.[1];
    check.ok(command && has(command, flag), `${path} ${flag}`);
  }
});

test('commands that need no cluster print one JSON value', async () => {
  await withTemporaryFolder(async (folder) => {
    const log = join(folder, 'log.jsonl');
    const line = (hour: number): string =>
      JSON.stringify({ time: `2026-01-05T0${hour}:10:00Z`, command: 'GET', key: `user:${hour}` });
    writeFileSync(log, `${[0, 1, 1, 2].map(line).join('\n')}\n`);
    const config = join(folder, 'foreshard.config.yaml');
    const json = async (...args: string[]): Promise<Record<string, unknown>> => {
      const { exitCode, stdout, stderr } = await runHere(...args, '--json');
      check.is(exitCode, 0, `${args.join(' ')}: ${stderr}`);
      return JSON.parse(stdout);
    };
    check.equal(await json('init', '--yes', '--file', config), {
      file: config,
      next: `foreshard doctor --config ${config}`,
      message: `${config} is written. Next: foreshard doctor --config ${config}`,
    });
    const counted = await json('counts', log, '--partitions', '16', '--by', 'all', '--config', config);
    check.is(counted.windowMs, 3_600_000);
    check.equal(
      (counted.series as { values: number[] }[])[0]?.values,
      [2],
      'windows that the log has cut are left out',
    );
    check.is((await json('completion', 'bash')).shell, 'bash');
    const out = join(folder, 'certs');
    const { certificates } = await json('certs', '--out', out, '--config', config);
    for (const { certificate } of certificates as { certificate: string }[])
      check.ok(existsSync(certificate), certificate);
    check.match(String((await json('token', 'create', '--user', 'app', '--rights', 'read')).line), /app/);
    check.is((await json('config', 'schema')).type, 'object');
    check.is((await json('config', 'check', '--config', config)).file, config);
  });
});

test.run();
