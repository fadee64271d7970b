/** Child process of the embedded store's test: adds 1 to a shared counter `rounds` times by compare-and-swap. */
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';

const [path, key, rounds] = process.argv.slice(2) as [string, string, string];
const store = openEmbeddedMetadata({ path });
let conflicts = 0;
for (let done = 0; done < Number(rounds); ) {
  const entry = await store.get(key);
  const next = Number(entry ? new TextDecoder().decode(entry.value) : 0) + 1;
  const result = await store.commit({
    conditions: [{ key, revisionIs: entry?.revision ?? 0 }],
    writes: [{ kind: 'put', key, value: new TextEncoder().encode(String(next)) }],
  });
  if (result.isCommitted) done++;
  else conflicts++;
}
await store.close();
process.stdout.write(JSON.stringify({ conflicts }));
