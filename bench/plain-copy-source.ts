/**
 * The other end of the plain copy that migrations are measured against, a process of its own: entries in LMDB, given out piece
 * by piece over the same frames and sockets. No map, no log, no digest, no checks.
 *
 *   plain-copy-source FOLDER ENTRY_COUNT VALUE_BYTES
 */
import { open } from 'lmdb';
import { PhysicalKey } from '../plugin/engines/lmdb/physical-key.ts';
import { encodeEntries } from '../plugin/engines/migration-agent/migration-messages.ts';
import { RpcServer } from '../plugin/rpc/server.ts';
import type { PhysicalEntry } from '../src/ports/partition-store.ts';

const [, , folder = '', entryCount = '0', valueBytes = '0'] = process.argv;
const RECORD_HEADER_BYTES = 9;

const source = open<Buffer, Buffer>({ path: folder, encoding: 'binary', keyEncoding: 'binary' });
source.transactionSync(() => {
  const physical = new PhysicalKey();
  for (let i = 0; i < Number(entryCount); i++) {
    const key = Buffer.from(`{plain}:${i}`);
    physical.setKey(key, 0, key.length);
    const stored = Buffer.from(physical.bytes.subarray(0, physical.length));
    source.putSync(stored, Buffer.alloc(RECORD_HEADER_BYTES + Number(valueBytes), i));
  }
});

function readPiece(cursor: Uint8Array | null, bytesMax: number): PhysicalEntry[] {
  const entries: PhysicalEntry[] = [];
  let sizeBytes = 0;
  const after = cursor === null ? {} : { start: Buffer.concat([cursor, Buffer.of(0)]) };
  for (const { key, value } of source.getRange(after)) {
    sizeBytes += key.length + value.length;
    if (entries.length > 0 && sizeBytes > bytesMax) break;
    entries.push({ key, value });
  }
  return entries;
}

const server = new RpcServer(
  { identity: { clusterId: 'plain', nodeId: 0, role: 'storage' }, port: 0 },
  {
    onControl: async (_operation, { cursor, bytesMax }) => {
      const entries = readPiece(cursor as Uint8Array | null, bytesMax as number);
      return { body: {}, bulk: encodeEntries(entries) };
    },
  },
);
process.send?.({ port: await server.listen() });
process.once('disconnect', () => process.exit(0));
