import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { parseBytes } from '../../../plugin/operator/backtest/flags.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { foreshardArguments } from '../../support/repository.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('foreshard backtest');
const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2024, 0, 1);
const MEASURES = [
  'latencyIndex',
  'p99Index',
  'overloadNodeHours',
  'peakUtilisation',
  'moves',
  'movesUndone',
  'bytesMoved',
];

/** `hours` of 30 keys, each with its hour of the day. */
function logOf(hours: number): string {
  const lines: string[] = [];
  for (let hour = 0; hour <= hours; hour++)
    for (let key = 0; key < 30; key++) {
      const wave = 1 + Math.sin((2 * Math.PI * (hour + (key % 3) * 8)) / 24);
      const queries = Math.round((key < 5 ? 6 : 2) * wave);
      for (let i = 0; i < queries; i++)
        lines.push(
          JSON.stringify({ time: START_MS + hour * HOUR_MS + i * 1000, query: 'GET', keys: [`key:${key}`] }),
        );
    }
  return `${lines.join('\n')}\n`;
}

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const run = (args: readonly string[]): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, foreshardArguments('backtest', ...args));
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });

test('prints every policy with its measures, the same for the same seed, as a table or as JSON', async () => {
  await withTemporaryFolder(async (folder) => {
    const file = join(folder, 'log.jsonl');
    writeFileSync(file, logOf(24 * 5));
    const args = [file, '--nodes', '2', '--partitions', '16', '--train-days', '4', '--seed', '7'];
    const [first, again, table] = await Promise.all([
      run([...args, '--json']),
      run([...args, '--json']),
      run(args),
    ]);
    check.is(first.status, 0, first.stderr);
    check.is(again.stdout, first.stdout);
    const { policies, gainOfOracle, ...rest } = JSON.parse(first.stdout);
    check.equal(rest, {});
    check.equal(Object.keys(policies), ['stay', 'static', 'slot-count', 'reactive', 'predictive', 'oracle']);
    for (const [name, measures] of Object.entries(policies)) {
      check.equal(Object.keys(measures as object), MEASURES, name);
      for (const value of Object.values(measures as object))
        check.ok(Number.isFinite(value) && value >= 0, name);
    }
    check.ok(gainOfOracle === null || Number.isFinite(gainOfOracle));
    check.is(policies.stay.moves, 0);
    // A cluster whose load is balanced in every hour peaks at 70 %.
    check.ok(policies.stay.peakUtilisation >= 0.7 - 1e-9, String(policies.stay.peakUtilisation));
    check.is(table.status, 0, table.stderr);
    for (const name of Object.keys(policies)) check.match(table.stdout, new RegExp(`^${name} `, 'm'));
    check.match(table.stdout, `${policies.predictive.latencyIndex.toFixed(3)}`);
  });
});

test('a log that is too short, empty, no log, or without keys is refused with what to do', async () => {
  await withTemporaryFolder(async (folder) => {
    const file = (name: string, content: string): string => {
      const path = join(folder, name);
      writeFileSync(path, content);
      return path;
    };
    const short = file('short.jsonl', logOf(30));
    const twoDays = file('two-days.jsonl', logOf(50));
    const skippable = file('skippable.jsonl', logOf(61));
    const withoutKeys = file(
      'sql.jsonl',
      logOf(60).replaceAll(/"query":"GET","keys":\["[^"]*"\]/g, '"query":"SELECT 1"'),
    );
    const cases: [string[], number, RegExp][] = [
      [[twoDays, '--train-days', '28'], 2, /--train-days: found 28, but the log holds 2\.0 days/],
      [[skippable, '--train-days', '2', '--skip-days', '1'], 2, /--skip-days: found 1, but 0\.5 days follow/],
      [[short], 2, /the log holds 29 whole hours: a backtest needs 48 at least/],
      [[file('empty.jsonl', '')], 1, /empty/],
      [[file('letters.txt', 'Dear reader,\nhow are you?\n')], 1, /letters\.txt/],
      [[withoutKeys], 1, /no query of the log names a key/],
      [[join(folder, 'missing.jsonl')], 2, /missing\.jsonl/],
      [[short, '--capacity', '0'], 2, /--capacity is a number above 0/],
      [[short, '--partition-bytes', '64MB'], 2, /--partition-bytes: found "64MB"/],
    ];
    const results = await Promise.all(
      cases.map(([args]) => run([...args, '--partitions', '16', '--nodes', '2'])),
    );
    results.forEach(({ status, stdout, stderr }, i) => {
      const [args, code, message] = cases[i] as (typeof cases)[number];
      check.match(stderr, message, args.join(' '));
      check.is(status, code, stderr);
      check.is(stdout, '');
    });
  });
});

test('sizes are bytes, or have a binary unit', () => {
  check.equal(
    ['0', '1000000', '1.5KiB', '64MiB', '2GiB'].map((text) => parseBytes('--size', text)),
    [0, 1e6, 1536, 64 * 2 ** 20, 2 ** 31],
  );
  for (const text of ['', '-1', '64MB', 'many', '1e9', '2000TiB'])
    check.throws(
      () => parseBytes('--size', text),
      (error: unknown) => error instanceof ForeshardError && error.code === 'FORESHARD_CONFIG',
    );
});

test.run();
