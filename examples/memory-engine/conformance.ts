/** `node --import tsx examples/memory-engine/conformance.ts`: what the suite says of the engine beside it. */
import { judgeStorageEngine, type OpenEngine } from '../../src/conformance/index.ts';
import { Disk } from './disk.ts';
import { MemoryEngine } from './memory-engine.ts';

/** All that the suite asks of the author of an engine. */
export const openMemoryEngine: OpenEngine = async () => {
  const disks = [new Disk('store-0'), new Disk('store-1')];
  const engine = new MemoryEngine(disks);
  const diskOf = (nodeId: number): Disk => disks[nodeId] as Disk;
  return {
    engine,
    storeIdOf: (nodeId) => diskOf(nodeId).storeId,
    async own({ ownerNodeId, partitionId, epoch }) {
      diskOf(ownerNodeId).change(partitionId, { role: 'OWNER', epoch, epochMax: epoch });
    },
    async write({ nodeId, partitionId, epoch, key, value }) {
      const lsn = diskOf(nodeId).write(partitionId, epoch, key, value);
      return lsn === null ? { isServed: false } : { isServed: true, lsn, value: null };
    },
    async read({ nodeId, partitionId, epoch, key }) {
      const { role, epoch: own, lsn, entries } = diskOf(nodeId).of(partitionId);
      if (role !== 'OWNER' || own !== epoch) return { isServed: false };
      return { isServed: true, lsn, value: entries.get(key) ?? null };
    },
    restart: async (nodeId) => engine.forget(nodeId),
    close: async () => disks.forEach((_, nodeId) => void engine.forget(nodeId as never)),
  };
};

if (import.meta.url === new URL(process.argv[1] ?? '', 'file:').href) {
  const { passed, skipped, failed } = await judgeStorageEngine(openMemoryEngine);
  for (const { name, why } of skipped) console.log(`skipped: ${name}: ${why}`);
  for (const { name, why } of failed) console.log(`FAILED: ${name}: ${why}`);
  console.log(`${passed.length} passed, ${skipped.length} skipped, ${failed.length} failed`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}
