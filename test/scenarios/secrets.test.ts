/** Planted passwords and tokens: nowhere that others look. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { QUERY_NODE_ID_MIN } from '../../plugin/node/node-options.ts';
import { RIGHT_READ } from '../../plugin/security/client-access.ts';
import { newToken, tokenDigest, userLine } from '../../plugin/security/client-users.ts';
import { foreshardArguments } from '../support/repository.ts';
import { RespClient } from '../support/resp-client.ts';
import { withTemporaryFolder } from '../support/temporary-folder.ts';

const PASSWORD = 'planted-password-4711';
const ETCD_PASSWORD = 'planted-etcd-password-4712';
const DASHBOARD_TOKEN = 'planted-dashboard-token-4713';

const test = suite('secrets');

test('no argument, log, reply, INFO or `config show` tells a password or a token', () =>
  withTemporaryFolder(async (folder) => {
    const token = newToken();
    const usersFile = join(folder, 'users');
    const line = userLine({ user: 'app', rights: RIGHT_READ, prefixes: [], digest: tokenDigest(token) });
    writeFileSync(usersFile, line, { mode: 0o600 });
    const environment = {
      FORESHARD_SECURITY_PASSWORD: PASSWORD,
      FORESHARD_SECURITY_USERS_FILE: usersFile,
      FORESHARD_METADATA_USER: 'etcd-user',
      FORESHARD_METADATA_PASSWORD: ETCD_PASSWORD,
      FORESHARD_NODE_LOG_LEVEL: 'debug',
    };
    const cluster = await LocalCluster.start({ storageNodeCount: 1, partitionCount: 16, environment });
    try {
      const client = await RespClient.connect(cluster.port);
      const replies = [
        await client.errorOf('AUTH', PASSWORD, token),
        await client.errorOf('AUTH', `${PASSWORD}x`),
        await client.errorOf('AUTH', token),
        await client.errorOf('AUTH', PASSWORD),
        await client.errorOf('CONFIG', 'GET', '*'),
        await client.call('CLIENT', 'LIST'),
        await client.call('INFO', 'everything'),
      ];
      check.equal(replies.slice(2, 4), ['OK', 'OK']);
      client.close();
      const run = (...args: string[]) =>
        spawnSync(process.execPath, foreshardArguments(...args), {
          cwd: folder,
          encoding: 'utf8',
          env: { ...process.env, ...environment },
        });
      const shown = run('config', 'show');
      const nobodyThere = join(folder, 'nobody-there.json');
      const metadata = { kind: 'etcd', endpoints: ['http://127.0.0.1:1'] };
      writeFileSync(nobodyThere, JSON.stringify({ metadata }));
      const failed = run('audit', '--config', nobodyThere);
      check.match(failed.stderr, /etcd at http:\/\/127\.0\.0\.1:1/);
      check.match(shown.stdout, /set, not shown/);
      const nodes = [0, QUERY_NODE_ID_MIN];
      const told = [
        JSON.stringify(replies),
        shown.stdout + shown.stderr,
        ...nodes.map((nodeId) => cluster.log(nodeId)),
        failed.stdout + failed.stderr,
        ...nodes.map((nodeId) => commandLine(cluster.pid(nodeId))),
        await toldByDashboard(folder, join(cluster.folder, 'foreshard.config.json'), environment),
      ].join('\n');
      check.match(told, /a client gave a wrong password or token/);
      for (const secret of [PASSWORD, token, ETCD_PASSWORD, DASHBOARD_TOKEN]) check.not.match(told, secret);
    } finally {
      await cluster.stop();
    }
  }));

/** What `ps` shows of a process to everybody: there is something, or the test would prove nothing. */
function commandLine(pid: number): string {
  const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  check.match(text, process.execPath);
  return text;
}

/** Output and command line of `foreshard dashboard` with its token in a file, to which a right and a wrong token are sent. */
async function toldByDashboard(
  folder: string,
  config: string,
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  const tokenFile = join(folder, 'dashboard-token');
  writeFileSync(tokenFile, DASHBOARD_TOKEN, { mode: 0o600 });
  const flags = ['--listen', '127.0.0.1:0', '--token-file', tokenFile, '--config', config];
  const child = spawn(process.execPath, foreshardArguments('dashboard', ...flags), {
    env: { ...process.env, ...environment },
  });
  let told = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes) => {
      told += String(bytes);
    });
  const gone = once(child, 'close');
  try {
    await Promise.race([once(child.stdout, 'data'), gone]);
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(told)?.[0];
    check.ok(url, told);
    told += commandLine(child.pid as number);
    for (const [token, status] of [
      [DASHBOARD_TOKEN, 200],
      [`${DASHBOARD_TOKEN}x`, 401],
    ] as const) {
      const headers = { 'Content-Type': 'application/json' };
      const body = JSON.stringify({ token });
      const response = await fetch(`${url}/api/login`, { method: 'POST', headers, body });
      check.is(response.status, status);
      told += JSON.stringify([...response.headers]) + (await response.text());
    }
  } finally {
    child.kill();
    await gone;
  }
  return told;
}

test.run();
