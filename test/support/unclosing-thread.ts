/** A worker thread that never closes what it opened, and that is inside a commit nearly always. */
import { workerData } from 'node:worker_threads';
import { open } from 'lmdb';
import { runThread } from '../../plugin/threads/thread-main.ts';

void runThread(async () => {
  const root = open({ path: (workerData as { readonly path: string }).path, overlappingSync: false });
  setInterval(
    () =>
      root.transactionSync(() => {
        for (const endMs = performance.now() + 20; performance.now() < endMs; ) root.put('key', 'value');
      }),
    1,
  );
  return { respond: async () => null, close: () => new Promise<void>(() => undefined) };
});
