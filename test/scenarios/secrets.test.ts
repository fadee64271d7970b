/** A planted password and a planted token: nowhere that others look. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { LocalCluster } from '../../plugin/node/local-cluster.ts';
import { QUERY_NODE_ID_MIN } from '../../plugin/node/node-options.ts';
import { RIGHT_READ } from '../../plugin/security/client-access.ts';
import { newToken, tokenDigest, userLine } from '../../plugin/security/client-users.ts';
import { RespClient } from '../support/resp-client.ts';
import { withTemporaryFolder } from '../support/temporary-folder.ts';

const COMMAND = fileURLToPath(new URL('../../plugin/operator/cli.ts', import.meta.url));
const PASSWORD = 'planted-password-4711';

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
      const shown = spawnSync(
        process.execPath,
        ['--import', import.meta.resolve('tsx'), COMMAND, 'config', 'show'],
        {
          cwd: folder,
          encoding: 'utf8',
          env: { ...process.env, ...environment },
        },
      );
      check.match(shown.stdout, /set, not shown/);
      const nodes = [0, QUERY_NODE_ID_MIN];
      const cmdlines = nodes.map((nodeId) => `/proc/${cluster.pid(nodeId)}/cmdline`);
      const told = [
        JSON.stringify(replies),
        shown.stdout + shown.stderr,
        ...nodes.map((nodeId) => cluster.log(nodeId)),
        ...cmdlines.filter((file) => existsSync(file)).map((file) => readFileSync(file, 'utf8')),
      ].join('\n');
      check.match(told, /a client gave a wrong password or token/);
      check.not.match(told, PASSWORD);
      check.not.match(told, token);
    } finally {
      await cluster.stop();
    }
  }));

test.run();
