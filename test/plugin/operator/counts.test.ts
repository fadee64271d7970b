import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { readLog } from '../../../plugin/logs/read-log.ts';
import { type CountOptions, countLog } from '../../../plugin/operator/counts/count-log.ts';
import { partitionOfKey } from '../../../plugin/operator/log-input/open-log.ts';
import { contiguousMap } from '../../../src/model/partition-map.ts';
import { foreshardArguments } from '../../support/repository.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('foreshard counts');
const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2024, 0, 1);

async function* once(content: string): AsyncGenerator<Buffer> {
  yield Buffer.from(content);
}
const line = (hour: number, keys: readonly string[]): string =>
  `${JSON.stringify({ time: START_MS + hour * HOUR_MS, query: 'MGET', keys })}\n`;
const count = (content: string, options: Partial<CountOptions> = {}) =>
  countLog(readLog(once(content)), {
    by: 'partition',
    windowMs: HOUR_MS,
    partitionCount: 16,
    partitionOf: (key) => partitionOfKey(key, 16),
    ownerOf: contiguousMap(16, 2).ownerOf,
    onBatch: () => {},
    ...options,
  });

// By Redis Cluster's own slots: foo is 12182, bar 5061, hello 866.
const LOG = [
  line(0.5, ['foo']),
  line(1.2, ['foo', 'bar']),
  line(1.3, ['foo', '{foo}:2']),
  line(3.9, ['hello']),
  line(4.5, ['foo']),
].join('');

test('a query counts once for each partition of its keys, in whole windows, silent ones as 0', async () => {
  check.equal(
    (await count(LOG)).map(({ id, startMs, values }) => [id, (startMs - START_MS) / HOUR_MS, ...values]),
    [
      ['partition-0', 1, 0, 0, 1],
      ['partition-4', 1, 1, 0, 0],
      ['partition-11', 1, 2, 0, 0],
    ],
  );
});

test('by node a query counts once for each node, and all queries are counted with or without keys', async () => {
  const valuesOf = async (options: Partial<CountOptions>) =>
    (await count(LOG, options)).map(({ id, values }) => [id, ...values]);
  check.equal(await valuesOf({ by: 'node' }), [
    ['node-0', 1, 0, 1],
    ['node-1', 2, 0, 0],
  ]);
  check.equal(await valuesOf({ by: 'all' }), [['all', 2, 0, 1]]);
});

test('a log without a whole window, or without a key, says what to do', async () => {
  const failureOf = async (content: string, options: Partial<CountOptions> = {}): Promise<string> => {
    try {
      await count(content, options);
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('it must fail');
  };
  check.match(await failureOf(LOG, { windowMs: 24 * HOUR_MS }), /covers no whole window of 1d: .*--window/);
  const searches = [0, 1, 2, 3]
    .map((hour) => `{"time":${START_MS + hour * HOUR_MS},"query":"shoes"}\n`)
    .join('');
  check.match(await failureOf(searches), /no query of the log names a key.*--by all/);
  check.is((await count(searches, { by: 'all' })).length, 1);
});

test('on the command line counts go into a forecast by a pipe, and a reader that has seen enough is no fault', async () => {
  await withTemporaryFolder((folder) => {
    const hours = Array.from({ length: 240 }, (_, hour) =>
      line(hour, ['foo']).repeat(hour % 24 < 12 ? 20 : 2),
    );
    writeFileSync(join(folder, 'q.jsonl'), hours.join(''));
    const command = [process.execPath, ...foreshardArguments()].map((word) => `'${word}'`).join(' ');
    const run = (script: string) => {
      const { status, stdout, stderr } = spawnSync('sh', ['-c', script], {
        cwd: folder,
        encoding: 'utf8',
        timeout: 60_000,
      });
      return { status, stdout, stderr };
    };
    const { status, stdout, stderr } = run(
      `${command} counts q.jsonl --partitions 16 | ${command} forecast - --horizon 24 --json`,
    );
    check.is(status, 0, stderr);
    const [series] = JSON.parse(stdout).series;
    check.is(series.id, 'partition-11');
    check.ok(Math.max(...series.point) > 12 && Math.min(...series.point) < 6, 'day and night go on');
    const cut = run(`${command} counts q.jsonl --by all --window 1m | head -n 1`);
    check.equal([cut.stdout, cut.stderr], ['series,time,value\n', '']);
  });
});

test.run();
