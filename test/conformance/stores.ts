/** The stores that the conformance suite of engines is run over: LMDB on disk, and the one in memory of the simulator. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LmdbEngine } from '../../plugin/engines/lmdb/engine.ts';
import { STATUS_OK } from '../../plugin/rpc/data.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { ClientReply, ClientRequest, OpenEngine } from '../../src/conformance/index.ts';
import { EngineClient, partitionOfKey, type Reply } from '../plugin/engines/lmdb/support.ts';
import { type MemoryDisk, MemoryPartitionStore, newDisk } from '../support/memory-partition-store.ts';
import { AGENT_PARTITION_COUNT, type OpenStore, openAgents } from './local-agents.ts';

/** Of a key: the engine keeps entries by their slots, so that every partition has keys of its own. */
const tags = Array.from({ length: AGENT_PARTITION_COUNT }, (_, partitionId) => tagOf(partitionId));
const physicalKey = (partitionId: number, key: string): string => `${tags[partitionId]}:${key}`;

function tagOf(partitionId: number): string {
  for (let i = 0; ; i++) if (partitionOfKey(`{t${i}}`) === partitionId) return `{t${i}}`;
}

const REFUSED: ClientReply = { isServed: false };

/** The engine of this project: real LMDB stores, group commit, the data path that query nodes speak. */
export const openLmdbEngine: OpenEngine = async (map) => {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-conformance-'));
  const agents = await openAgents(map, (nodeId) => openLmdbStore(join(folder, `node-${nodeId}`)));
  return {
    ...agents,
    async close() {
      await agents.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

async function openLmdbStore(path: string): Promise<OpenStore> {
  const engine = await LmdbEngine.open(
    { path, partitionCount: AGENT_PARTITION_COUNT, reserveBytes: 0, mapSizeBytes: 1 << 30 },
    { clock: systemClock() },
  );
  const client = new EngineClient(engine);
  return {
    store: engine.store,
    async write({ partitionId, epoch, key, value }) {
      const stored = physicalKey(partitionId, key);
      const words = value === null ? ['DEL', stored] : ['SET', stored, value];
      const reply = await client.call(words, { partitionId, epoch });
      return reply.status === STATUS_OK ? { isServed: true, lsn: reply.lsn, value: null } : REFUSED;
    },
    async read({ partitionId, epoch, key, copyOf }) {
      const copy = copyOf && { isCopyRead: true, minLsn: copyOf.minLsn, migrationId: copyOf.migrationId };
      const reply = await client.call(['GET', physicalKey(partitionId, key)], {
        partitionId,
        epoch,
        ...copy,
      });
      return reply.status === STATUS_OK ? { isServed: true, lsn: reply.lsn, value: bulkOf(reply) } : REFUSED;
    },
    close: () => engine.close(),
  };
}

/** Of a RESP bulk string; null for that of no key. */
const bulkOf = ({ text }: Reply): string | null =>
  text.startsWith('$-1') ? null : text.slice(text.indexOf('\r\n') + 2, -2);

/** The agents over a store in memory: a disk is what outlives a restart. */
export const openMemoryStores: OpenEngine = (map) => {
  const disks = [0, 1].map((nodeId) => newDisk(`store-${nodeId}`));
  return openAgents(map, async (nodeId) => openMemoryStore(disks[nodeId] as MemoryDisk));
};

function openMemoryStore(disk: MemoryDisk): OpenStore {
  const store = new MemoryPartitionStore(disk);
  const isOwner = ({ partitionId, epoch }: ClientRequest): boolean => {
    const { role, epoch: own } = store.meta(partitionId);
    return role === 'OWNER' && own === epoch;
  };
  return {
    store,
    async write(request) {
      if (!isOwner(request)) return REFUSED;
      const { partitionId, key, value } = request;
      const lsn = store.change(partitionId, key, value === null ? null : Buffer.from(value, 'latin1'));
      return { isServed: true, lsn, value: null };
    },
    async read({ copyOf, ...request }) {
      const { partitionId, key } = request;
      const { role, lsn, migrationId } = store.meta(partitionId);
      const isCopy =
        copyOf !== undefined &&
        role === 'STAGING' &&
        migrationId === copyOf.migrationId &&
        store.isServingCopyReads(partitionId) &&
        lsn >= copyOf.minLsn;
      if (!isCopy && !isOwner(request)) return REFUSED;
      const value = store.get(partitionId, key);
      return { isServed: true, lsn, value: value ? Buffer.from(value).toString('latin1') : null };
    },
    close: async () => {},
  };
}
