/** Process of the embedded store's test: opens a store again in the thread whose commit is under way, and cannot turn its loop. */
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';

const path = process.argv[2] as string;
const put = (key: string) => ({
  conditions: [],
  writes: [{ kind: 'put', key, value: new Uint8Array([1]) } as const],
});
const first = openEmbeddedMetadata({ path });
await first.commit(put('opened'));
const committed = first.commit(put('queued'));
// The queue is handed over in the next turn; its lock is taken in the background then, and this thread is asked to turn.
await new Promise((resolve) => setImmediate(resolve));
const endMs = performance.now() + 200;
while (performance.now() < endMs);
const second = openEmbeddedMetadata({ path, commitsAtOnce: true });
await second.commit(put('at once'));
await committed;
await first.close();
await second.commit(put('after the first is closed'));
console.log((await second.list('')).entries.map(({ key }) => key).join(', '));
await second.close();
