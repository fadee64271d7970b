import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { loadSettings } from '../../../../plugin/host/config/config.ts';
import { clusterKeys } from '../../../../plugin/metadata/cluster-keys.ts';
import { openMetadata } from '../../../../plugin/metadata/open.ts';
import { hasEtcd, LocalEtcd } from '../../../../plugin/node/local/local-etcd.ts';
import { etcdRoleLines } from '../../../../plugin/operator/etcd-roles-command.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { codeOf, write } from '../../../support/etcd.ts';
import { makeEtcdCertificates } from '../../../support/etcd-certificates.ts';
import { foreshardArguments } from '../../../support/repository.ts';
import { requireOrSkip } from '../../../support/require.ts';

if (requireOrSkip('etcd', hasEtcd())) {
  const test = suite('access to etcd');

  test('by certificate, user and password from a file each process may write what is its own, and nothing else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'foreshard-etcd-access-'));
    const certificates = await makeEtcdCertificates(folder);
    const server = await LocalEtcd.start({ tls: certificates.server });
    const stores: MetadataStore[] = [];
    try {
      const names = ['storage', 'router', 'coordinator'] as const;
      for (const name of names)
        writeFileSync(passwordFile(folder, name), `secret-of-${name}\n`, { mode: 0o600 });
      runScript(server, folder, [
        ...etcdRoleLines('c'),
        'echo root | etcdctl user add root --interactive=false',
        'etcdctl user grant-role root root',
        'etcdctl auth enable',
      ]);
      const open = async (user: (typeof names)[number], more: Record<string, unknown> = {}) => {
        const file = join(folder, `${stores.length}-${user}.json`);
        const { authorityFile, certificateFile, keyFile } = certificates.client;
        const tls = { authorityFile, certificateFile, keyFile };
        const login = { user: `foreshard-c-${user}`, passwordFile: passwordFile(folder, user) };
        const metadata = { kind: 'etcd', endpoints: server.endpoints, ...tls, ...login, ...more };
        writeFileSync(file, JSON.stringify({ cluster: { name: 'c' }, metadata }));
        const store = openMetadata((await loadSettings({ file, folder, environment: {} })).settings.metadata);
        stores.push(store);
        return store;
      };
      const keys = clusterKeys('c');
      const [storage, router, coordinator] = [
        await open('storage'),
        await open('router'),
        await open('coordinator'),
      ] as [MetadataStore, MetadataStore, MetadataStore];

      check.is(await codeOf(write(coordinator, keys.map(0), 'x')), 'no error');
      for (const store of [storage, router]) {
        check.is(Buffer.from((await store.get(keys.map(0)))?.value ?? []).toString(), 'x');
        const announced = await store.announce({ key: keys.node(1), value: Buffer.from('n'), ttlMs: 5_000 });
        await announced.end();
        check.is(await storage.get(keys.node(1)), undefined);
        for (const key of [keys.map(0), keys.coordinator, keys.store('s'), keys.pause, keys.cluster])
          check.is(await codeOf(write(store, key, 'forged')), 'FORESHARD_CONFIG', key);
      }
      check.is(await codeOf(write(router, '/foreshard/v1/c/reads/10000', 'r')), 'no error');
      check.is(await codeOf(write(storage, '/foreshard/v1/c/reads/10000', 'r')), 'FORESHARD_CONFIG');
      check.is(
        await codeOf(coordinator.get('/foreshard/v1/other/cluster')),
        'FORESHARD_CONFIG',
        'of another cluster',
      );

      // A member that starts again has forgotten the tokens that it gave out.
      await server.kill();
      server.ctlUser = 'root:root';
      await server.restart();
      check.is(await codeOf(storage.get(keys.map(0))), 'no error');
      check.is(await codeOf(write(coordinator, keys.map(0), 'y')), 'no error');

      // Whoever has no certificate, or the wrong password, gets nothing; the error names the settings.
      const wrong = join(folder, 'wrong.password');
      writeFileSync(wrong, 'guess\n', { mode: 0o600 });
      const stranger = await open('storage', { passwordFile: wrong });
      check.is(await codeOf(stranger.get(keys.map(0))), 'FORESHARD_CONFIG');
      const anonymous = await open('storage', { certificateFile: null, keyFile: null });
      check.is.not(await codeOf(anonymous.get(keys.map(0))), 'no error');
      await open('coordinator', { authorityFile: null });
      // The certificate is shown as well where the machine knows etcd's authority; gRPC reads that when it starts.
      const config = join(folder, `${stores.length - 1}-coordinator.json`);
      const machine = { ...process.env, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: certificates.client.authorityFile };
      const told = spawnSync(process.execPath, foreshardArguments('audit', '--json', '--config', config), {
        env: machine,
        encoding: 'utf8',
      });
      check.equal([told.status, told.stdout], [0, '{\n  "audit": []\n}\n']);
    } finally {
      for (const store of stores) await store.close();
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test.run();
}

const passwordFile = (folder: string, name: string): string => join(folder, `foreshard-c-${name}.password`);

function runScript(server: LocalEtcd, folder: string, lines: readonly string[]): void {
  const script = join(folder, 'roles.sh');
  writeFileSync(script, lines.join('\n'));
  const env = { ...process.env, ...server.ctlEnvironment };
  const { status, stderr } = spawnSync('sh', [script], { cwd: folder, env, encoding: 'utf8' });
  check.is(status, 0, `${stderr}\n${readFileSync(script, 'utf8')}`);
}
