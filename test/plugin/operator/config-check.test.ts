import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { settingsOf } from '../../../plugin/host/config/config.ts';
import { checkFiles } from '../../../plugin/operator/config-check.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('config check');

test('what a node would read is read, and it is told where a node would not listen', () =>
  withTemporaryFolder(async (folder) => {
    const checked = (config: Record<string, unknown>): string =>
      checkFiles(settingsOf(config, { file: null, folder, environment: {} }), 0).join('\n');
    const ofUsers = {
      security: { usersFile: 'users' },
      node: { role: 'query', clientListen: '10.0.0.7:6379' },
    };
    check.throws(() => checked(ofUsers), /^security\.usersFile: cannot read .*users: ENOENT/);
    const hash = `sha256:${'0'.repeat(64)}`;
    writeFileSync(join(folder, 'users'), `shop read ${hash}\nshop everything ${hash}\n`, { mode: 0o600 });
    check.throws(() => checked(ofUsers), /users:2: after the user come its rights/);
    writeFileSync(join(folder, 'users'), `shop read ${hash}\n`);
    check.match(
      checked(ofUsers),
      /users: 1 token\nnode\.clientListen: a query node will not start: listen address 10\.0\.0\.7: not a loopback/,
    );
    chmodSync(join(folder, 'users'), 0o644);
    check.throws(() => checked(ofUsers), /users can be read by others/);
    const pair = { serverCertificateFile: 'none.pem', serverKeyFile: 'none.key' };
    check.throws(
      () => checked({ security: pair }),
      /security\.serverCertificateFile: cannot read .*none\.pem/,
    );
    const peers = { peerAuthorityFile: 'a.pem', peerCertificateFile: 'c.pem', peerKeyFile: 'k.pem' };
    check.throws(() => checked({ security: peers }), /security\.peerAuthorityFile: cannot read .*a\.pem/);
    const told = { webhooks: { url: 'https://x.example/', secretFile: 'secret' } };
    check.throws(() => checked(told), /webhooks\.secretFile: cannot read .*secret: ENOENT/);
    writeFileSync(join(folder, 'secret'), 'short\n', { mode: 0o600 });
    check.throws(() => checked(told), /webhooks\.secretFile: .*24 characters or more/);
    const etcd = { kind: 'etcd', authorityFile: 'etcd.pem' };
    check.throws(() => checked({ metadata: etcd }), /metadata\.authorityFile: cannot read .*etcd\.pem/);
    const modules = ['foreshard', './count-slow.mjs'];
    check.throws(() => checked({ plugin: { modules } }), /plugin\.modules: cannot load ".*count-slow\.mjs"/);
    writeFileSync(join(folder, 'count-slow.mjs'), 'throw new Error("a check runs nothing");');
    check.is(checked({ plugin: { modules } }), '');
    check.is(checked({}), '');
  }));

test('a port beyond the last one is no port', () =>
  withTemporaryFolder(async (folder) => {
    const of = (config: Record<string, unknown>) =>
      settingsOf(config, { file: null, folder, environment: {} });
    for (const port of [1, 6379, 65_535])
      check.equal(of({ redis: { nodes: [`[::1]:${port}`] } }).redis.nodes, [`[::1]:${port}`]);
    for (const port of [0, 65_536, 99_999]) {
      check.throws(() => of({ redis: { nodes: [`a:${port}`] } }), /redis\.nodes/);
      check.throws(() => of({ metadata: { endpoints: [`http://a:${port}`] } }), /metadata\.endpoints/);
    }
  }));

test.run();
