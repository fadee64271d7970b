/** Process of the store environment's test: two handles of a store, one of which commits until the disk is full. */
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';

const path = process.argv[2] as string;
const put = (key: string, sizeBytes: number) => ({
  conditions: [],
  writes: [{ kind: 'put', key, value: new Uint8Array(sizeBytes) } as const],
});
const tell = async (what: string, work: Promise<unknown>): Promise<void> =>
  console.log(
    what,
    await work.then(
      () => 'ok',
      (error) => error.code,
    ),
  );
const failing = openEmbeddedMetadata({ path });
const beside = openEmbeddedMetadata({ path });
let isFull = false;
for (let i = 0; !isFull; i++)
  await failing.commit(put(`k${i}`, 100_000)).catch((error) => {
    isFull = error.code === 'FORESHARD_UNKNOWN_OUTCOME';
  });
await tell('failing', failing.get('k0'));
await tell('beside', beside.get('k0'));
const later = openEmbeddedMetadata({ path });
await tell('later', later.get('k0'));
await failing.close();
await beside.close();
await tell('later, alone', later.commit({ conditions: [], writes: [{ kind: 'delete', key: 'k0' }] }));
await later.close();
