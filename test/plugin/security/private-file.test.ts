import { spawnSync } from 'node:child_process';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { runDashboard } from '../../../plugin/operator/dashboard/run-dashboard.ts';
import {
  readNamedFile,
  readPrivateFile,
  stampOf,
  whyNotPrivate,
} from '../../../plugin/security/private-file.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('files with secrets');

test('the mode is judged before a byte is read', () =>
  withTemporaryFolder(async (folder) => {
    const file = join(folder, 'secret');
    writeFileSync(file, 'x'.repeat(5 << 20), { mode: 0o640 });
    check.throws(
      () => readPrivateFile('s', file),
      /^s: .* can be read by others \(mode 640\): chmod 600 it$/,
    );
    check.throws(() => readNamedFile('s', file), /^s: cannot read .*secret: it has 5242880 bytes/);
    const own = join(folder, 'own');
    writeFileSync(own, 'x', { mode: 0o600 });
    check.is(readPrivateFile('s', own).toString(), 'x');
  }));

test('a change is seen where size and time of the content are what they were', () =>
  withTemporaryFolder(async (folder) => {
    const file = join(folder, 'users');
    writeFileSync(file, 'shop', { mode: 0o600 });
    utimesSync(file, 1, 1);
    const before = stampOf('s', file);
    check.is(stampOf('s', file), before);
    writeFileSync(file, 'nobd');
    utimesSync(file, 1, 1);
    check.is.not(stampOf('s', file), before);
  }));

test('a secret belongs to this user or to root', () => {
  const mode = 0o100600;
  const uid = process.getuid?.() as number;
  check.is(whyNotPrivate({ mode, uid }), null);
  check.is(whyNotPrivate({ mode, uid: 0 }), null);
  check.match(whyNotPrivate({ mode, uid: uid + 1 }) ?? '', `belongs to another user (uid ${uid + 1})`);
});

test('a folder, a pipe and nothing at all are refused, without waiting for who would write', () =>
  withTemporaryFolder(async (folder) => {
    const pipe = join(folder, 'pipe');
    check.is(spawnSync('mkfifo', ['-m', '600', pipe]).status, 0);
    mkdirSync(join(folder, 'folder'));
    for (const [name, why] of [
      ['pipe', /it is not a file/],
      ['folder', /it is not a file/],
      ['none', /ENOENT/],
    ] as const)
      check.throws(() => readPrivateFile('s', join(folder, name)), why);
  }));

test('the token of the dashboard is read as other secrets are', () =>
  withTemporaryFolder(async (folder) => {
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, 'short', { mode: 0o644 });
    const run = () => runDashboard(DEFAULT_SETTINGS, { listen: '127.0.0.1:0', tokenFile, isReadOnly: true });
    check.throws(run, /^--token-file: .*token can be read by others \(mode 644\): chmod 600 it$/);
  }));

test.run();
