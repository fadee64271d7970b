/** `npm start -- --engine redis-cluster` in short: real servers, an agent that moves slots, captured clients of two libraries. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { ReplayReport } from '../../examples/flights/report.ts';
import { hasRedisServer } from '../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { nodeArguments } from '../support/repository.ts';
import { requireOrSkip } from '../support/require.ts';
import { withTemporaryFolder } from '../support/temporary-folder.ts';

const test = suite('flights: the main job on a Redis Cluster');

interface Ended {
  readonly exitCode: number | null;
  readonly output: string;
  readonly errors: string;
}

async function start(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(
    process.execPath,
    nodeArguments('examples/flights/main.ts', '--engine', 'redis-cluster', ...words),
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    },
  );
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, output, errors };
}

/** A server's folder is named by nothing, but its config file is, by its port. */
function foldersOf(ports: readonly number[]): string[] {
  return readdirSync(tmpdir())
    .filter((name) => name.startsWith('foreshard-redis-cluster-'))
    .filter((name) => ports.some((port) => existsSync(join(tmpdir(), name, `nodes-${port}.conf`))));
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const tell = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', () => tell(true)).once('error', () => tell(false));
  });
}

if (requireOrSkip('redis', hasRedisServer())) {
  test('two days on three masters: slots move, nothing is lost, all is captured, nothing is left behind', async () => {
    const { exitCode, output, errors } = await start([
      ...['--json', '--history-days', '7', '--live-days', '2'],
      ...['--hour-ms', '100', '--partitions', '64', '--cycle-hours', '6'],
    ]);
    check.is(exitCode, 0, errors);
    const report = JSON.parse(output) as ReplayReport;
    check.ok(report.migrations.done > 0, 'the agent has moved slots');
    check.is(report.migrationsLeftOpen, 0);
    check.is(report.keysLost + report.keysWrong, 0);
    check.ok(report.keysChecked > 5_000);
    check.is(report.clientErrors, 0);
    check.is(report.dropped, 0);
    check.is(report.captureMismatches, 0, 'hour by hour and partition by partition as it was sent');
    check.is(report.captured, report.latencyMs.during.count + report.latencyMs.outside.count);
    check.is(report.queryTypes.length, 4);
    const ports = (/on ports ([\d, ]+),/.exec(errors)?.[1] ?? '').split(', ').map(Number);
    check.is(ports.length, 3, errors);
    check.equal(foldersOf(ports), []);
    check.equal(await Promise.all(ports.map(isListening)), [false, false, false]);
  });
}

for (const [what, script, answer] of [
  ['missing', null, /redis-server is not installed: apt-get install redis-server/],
  [
    'too old',
    'echo "Redis server v=6.0.16 sha=0"',
    /redis-server is 6\.0\.16, 7\.0 or newer is needed: apt-get/,
  ],
] as const)
  test(`where redis-server is ${what} it says what to install`, () =>
    withTemporaryFolder(async (folder) => {
      if (script !== null)
        writeFileSync(join(folder, 'redis-server'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const { exitCode, errors } = await start([], { PATH: folder, REDIS_SERVER_PROGRAM: 'redis-server' });
      check.is(exitCode, 2);
      check.match(errors, answer);
    }));

test.run();
