import { parentPort, workerData } from 'node:worker_threads';
import type { RingMemory } from '../plugin/capture/ring.ts';
import { RingSource } from '../plugin/capture/ring-source.ts';
import { termOf } from './capture-sum.ts';

/** The other end of the ring while `capture.ts` measures: drains as the analysis thread does and sums what it saw. */
const source = new RingSource(workerData as RingMemory);
let recordCount = 0;
let droppedCount = 0;
let checksum = 0;

function drain(): void {
  const result = source.drain((record) => {
    const lastKeyByte = record.keyPrefix.charCodeAt(record.keyPrefix.length - 1);
    checksum = (Math.imul(checksum, 31) + termOf({ ...record, lastKeyByte })) | 0;
  });
  recordCount += result.recordCount;
  droppedCount += result.droppedCount;
}

const timer = setInterval(drain, 5);
parentPort?.on('message', () => {
  clearInterval(timer);
  drain();
  parentPort?.postMessage({ recordCount, droppedCount, checksum });
  parentPort?.close();
});
