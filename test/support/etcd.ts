/** What tests of the store in etcd share: real members, and short words for what is done to them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type EtcdMetadataOptions, openEtcdMetadata } from '../../plugin/metadata/etcd/etcd-metadata.ts';
import { LocalEtcd } from '../../plugin/node/local/local-etcd.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { CommitResult, MetadataStore } from '../../src/ports/metadata-store.ts';

export const put = (key: string, value: string | Uint8Array) =>
  ({ kind: 'put', key, value: Buffer.from(value as string) }) as const;
export const write = (store: MetadataStore, key: string, value: string): Promise<CommitResult> =>
  store.commit({ conditions: [], writes: [put(key, value)] });

/** After a restart the first request may meet the old connection: a write's outcome is not known then, and it is repeated. */
export async function writeUntilKnown(store: MetadataStore, key: string, value: string): Promise<void> {
  while ((await codeOf(write(store, key, value))) === 'FORESHARD_UNKNOWN_OUTCOME') await sleep(10);
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    return error instanceof ForeshardError ? error.code : String(error);
  }
}

export async function eventually(claim: () => boolean, what: string): Promise<number> {
  const startedMs = performance.now();
  while (!claim()) {
    if (performance.now() - startedMs > 5000) throw new Error(`not within 5 s: ${what}`);
    await sleep(2);
  }
  return performance.now() - startedMs;
}

/** Runs with a server of its own, and what was opened on it closed. */
export async function withEtcd(
  options: Parameters<typeof LocalEtcd.start>[0],
  body: (server: LocalEtcd, open: (more?: Partial<EtcdMetadataOptions>) => MetadataStore) => Promise<void>,
): Promise<void> {
  const server = await LocalEtcd.start(options);
  const stores: MetadataStore[] = [];
  try {
    await body(server, (more = {}) => {
      const quick = { endpoints: server.endpoints, requestTimeoutMs: 500, checkMs: 200 };
      const store = openEtcdMetadata({ ...quick, ...more });
      stores.push(store);
      return store;
    });
  } finally {
    for (const store of stores) await store.close();
    await server.close();
  }
}
