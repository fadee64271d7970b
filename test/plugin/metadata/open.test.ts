import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { openMetadata } from '../../../plugin/metadata/open.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { inconsistencies } from '../../../src/settings-claims.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('which metadata store');

const etcd = { ...DEFAULT_SETTINGS.metadata, kind: 'etcd' } as const;
const claims = (metadata: typeof DEFAULT_SETTINGS.metadata): string[] =>
  inconsistencies({ ...DEFAULT_SETTINGS, metadata }).map(({ path }) => path);

test('a file of TLS that cannot be read is named with its setting', () => {
  const authorityFile = join('/no/such', 'ca.pem');
  check.throws(
    () => openMetadata({ ...etcd, authorityFile }),
    (error: Error) => error.message.startsWith(`metadata.authorityFile: cannot read ${authorityFile}`),
  );
});

test('etcd need not be there when it is opened', async () => {
  const store = openMetadata({ ...etcd, endpoints: ['http://127.0.0.1:1'] });
  await store.close();
});

test('what comes together is asked for together', () => {
  check.equal(claims(etcd), []);
  check.equal(claims({ ...etcd, user: 'u' }), ['metadata.passwordFile']);
  check.equal(claims({ ...etcd, user: 'u', password: 'p' }), []);
  check.equal(claims({ ...etcd, keyFile: 'k' }), ['metadata.certificateFile']);
  check.equal(claims({ ...etcd, certificateFile: 'c' }), ['metadata.keyFile']);
  // An authority that the machine knows need not be named.
  check.equal(claims({ ...etcd, keyFile: 'k', certificateFile: 'c' }), []);
});

test('a password goes to other machines by https alone', () => {
  const login = { user: 'u', password: 'p' };
  const over = (...endpoints: string[]): string[] => claims({ ...etcd, ...login, endpoints });
  const here = ['http://127.0.0.1:2379', 'http://localhost:2379', 'http://[::1]:2379'];
  check.equal(over(...here), []);
  check.equal(over('https://10.0.0.1:2379', 'https://etcd.example:2379'), []);
  for (const far of ['10.0.0.1', 'etcd.example', '[fe80::1]', '127.0.0.1.example', 'localhost:1@10.0.0.1'])
    check.equal(over(...here, `http://${far}:2379`), ['metadata.endpoints'], far);
  check.equal(claims({ ...etcd, endpoints: ['http://10.0.0.1:2379'] }), [], 'no password, none to be read');
  check.equal(claims({ ...etcd, ...login, kind: 'embedded', endpoints: ['http://10.0.0.1:2379'] }), []);
});

test('a key that others can read is refused, and nothing is opened', () =>
  withTemporaryFolder(async (folder) => {
    const keyFile = join(folder, 'etcd.key');
    const certificateFile = join(folder, 'etcd.pem');
    for (const file of [keyFile, certificateFile]) writeFileSync(file, 'x', { mode: 0o644 });
    const files = { ...etcd, endpoints: ['https://127.0.0.1:1'], keyFile, certificateFile };
    check.throws(
      () => openMetadata(files),
      /^metadata\.keyFile: .*etcd\.key can be read by others \(mode 644\): chmod 600 it$/,
    );
    chmodSync(keyFile, 0o600);
    // Without an authority too: they were left out then, and nobody was told that they are none.
    check.throws(() => openMetadata(files), /check that metadata\.certificateFile and keyFile are PEM/);
  }));

test('embedded is the default', () =>
  withTemporaryFolder(async (path) => {
    const store = openMetadata({ ...DEFAULT_SETTINGS.metadata, path });
    check.is(await store.get('x'), undefined);
    await store.close();
  }));

test.run();
