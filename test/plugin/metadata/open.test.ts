import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { openMetadata } from '../../../plugin/metadata/open.ts';
import { DEFAULT_SETTINGS, inconsistencies } from '../../../src/settings.ts';
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
  check.equal(claims({ ...etcd, keyFile: 'k', certificateFile: 'c' }), ['metadata.authorityFile']);
});

test('embedded is the default', () =>
  withTemporaryFolder(async (path) => {
    const store = openMetadata({ ...DEFAULT_SETTINGS.metadata, path });
    check.is(await store.get('x'), undefined);
    await store.close();
  }));

test.run();
