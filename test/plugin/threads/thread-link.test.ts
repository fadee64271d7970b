/** The end of a worker thread that does not close by itself. */
import { join } from 'node:path';
import { open } from 'lmdb';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { startThread } from '../../../plugin/threads/thread.ts';
import { ThreadLink } from '../../../plugin/threads/thread-link.ts';
import { moduleUrl } from '../../support/repository.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('thread link');

test('a thread that does not close ends all the same, and leaves no lock of the metadata store behind', () =>
  withTemporaryFolder(async (folder) => {
    const path = join(folder, 'metadata');
    const root = open({ path, overlappingSync: false });
    const faults: unknown[] = [];
    const thread = startThread(moduleUrl('test/support/unclosing-thread.ts'), { workerData: { path } });
    const link = new ThreadLink('test', thread, (fault) => faults.push(fault));
    await link.started;
    const wrote = link.close().then(() => root.transactionSync(() => root.put('key', 'mine')));
    let patience: NodeJS.Timeout | undefined;
    const hung = new Promise<'hung'>((resolve) => {
      patience = setTimeout(() => resolve('hung'), 20_000);
    });
    check.is.not(await Promise.race([wrote, hung]), 'hung');
    clearTimeout(patience);
    check.is(root.get('key'), 'mine');
    check.equal(faults, []);
    await root.close();
  }));

test.run();
