import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';
import type { MetadataStore, MetadataTransaction } from '../../../src/ports/metadata-store.ts';
import { nodeArguments } from '../../support/repository.ts';
import { requireOrSkip } from '../../support/require.ts';
import { mountSmallDisk } from '../../support/small-disk.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('environment of an embedded metadata store');

const put = (...keys: readonly string[]): MetadataTransaction => ({
  conditions: [],
  writes: keys.map((key) => ({ kind: 'put', key, value: new Uint8Array([1]) })),
});

const keysOf = async (store: MetadataStore): Promise<string> =>
  (await store.list('')).entries.map(({ key }) => key).join(' ');

/** Writes past us, as a broken disk would. */
async function spoil(path: string, table: 'entries' | 'counters', key: string): Promise<void> {
  const environment = open({ path, maxDbs: 8, noSubdir: false });
  await environment.openDB({ name: table, encoding: 'binary' }).put(key, Buffer.from('{cut'));
  await environment.close();
}

const openFiles = (path: string): number =>
  readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(path);
    } catch {
      return false; // that of this very listing
    }
  }).length;

test('a handle that closes lets its queued commits through, and those of others', () =>
  withTemporaryFolder(async (path) => {
    const [first, second] = [openEmbeddedMetadata({ path }), openEmbeddedMetadata({ path })];
    await first.commit(put('opened'));
    const queued = [first.commit(put('a')), second.commit(put('b')), first.commit(put('c'))];
    const closed = first.close();
    queued.push(second.commit(put('d')));
    check.ok((await Promise.all(queued)).every(({ isCommitted }) => isCommitted));
    await closed;
    const secondClosed = second.close();
    // The environment of both is being closed now.
    const third = openEmbeddedMetadata({ path });
    const committed = third.commit(put('e'));
    await secondClosed;
    await committed;
    check.is(await keysOf(third), 'a b c d e opened');
    await third.close();
    check.is(openFiles(path), 0);
  }));

test('a folder that was deleted and made again is another store', () =>
  withTemporaryFolder(async (path) => {
    const before = openEmbeddedMetadata({ path });
    await before.commit(put('before'));
    rmSync(path, { recursive: true });
    const after = openEmbeddedMetadata({ path });
    await after.commit(put('after'));
    await before.close();
    const beside = openEmbeddedMetadata({ path });
    await beside.commit(put('beside'));
    check.is(await keysOf(after), 'after beside');
    await Promise.all([after.close(), beside.close()]);
    check.is(openFiles(path), 0);
  }));

test('a store that cannot be read when it is opened is not kept open', () =>
  withTemporaryFolder(async (path) => {
    const store = openEmbeddedMetadata({ path });
    await store.commit(put('a'));
    await store.close();
    await spoil(path, 'counters', 'revision');
    check.throws(() => openEmbeddedMetadata({ path }), /FORESHARD_CONFIG|cannot open the metadata store/);
    await new Promise((resolve) => setImmediate(resolve));
    check.is(openFiles(path), 0);
  }));

for (const commitsAtOnce of [false, true])
  test(`a commit that meets a broken entry does nothing, and is nobody else's trouble${commitsAtOnce ? ', at once' : ''}`, () =>
    withTemporaryFolder(async (path) => {
      const store = openEmbeddedMetadata({ path, commitsAtOnce });
      await store.commit(put('a', 'broken'));
      await store.close();
      await spoil(path, 'entries', 'broken');
      const again = openEmbeddedMetadata({ path, commitsAtOnce });
      const beside = openEmbeddedMetadata({ path });
      const fault = await again.commit(put('new', 'broken')).catch((error) => error);
      check.is(fault.code, 'FORESHARD_CORRUPT');
      check.is(await beside.get('new'), undefined, 'not even its first key');
      for (const handle of [again, beside]) check.ok((await handle.commit(put('a'))).isCommitted);
      await Promise.all([again.close(), beside.close()]);
    }));

test('a failed commit fails all handles of its thread, not the process and not who opens the store next', async () => {
  const disk = mountSmallDisk('2m');
  if (!requireOrSkip('tmpfs', disk !== null) || disk === null) return;
  const path = join(disk.path, 'metadata');
  const child = spawn(process.execPath, nodeArguments('test/plugin/metadata/failed-commit.ts', path), {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  const [exitCode, signal] = await once(child, 'close');
  disk.unmount();
  check.equal([exitCode, signal], [0, null], 'it ends by itself');
  check.equal(output.trim().split('\n'), [
    'failing FORESHARD_UNAVAILABLE',
    'beside FORESHARD_UNAVAILABLE',
    'later ok',
    'later, alone ok',
  ]);
});

test.run();
