/** Thread of the embedded store's test: commits, and computes at once, before its event loop can turn. Says when it has. */
import { parentPort, workerData } from 'node:worker_threads';
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';

const { path, computeMs } = workerData as { readonly path: string; readonly computeMs: number };
const store = openEmbeddedMetadata({ path, commitsAtOnce: true });
parentPort?.once('message', async () => {
  const value = new Uint8Array([1]);
  const committed = store.commit({ conditions: [], writes: [{ kind: 'put', key: 'busy', value }] });
  // A queued commit would now be begun in the background, and wait for this thread.
  setImmediate(() => {
    const endMs = performance.now() + computeMs;
    while (performance.now() < endMs);
    void committed.then(() => store.close()).then(() => parentPort?.close());
  });
});
parentPort?.postMessage('ready');
