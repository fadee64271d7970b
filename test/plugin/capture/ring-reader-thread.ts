import { parentPort, workerData } from 'node:worker_threads';
import type { RingMemory } from '../../../plugin/capture/ring.ts';
import { RingSource } from '../../../plugin/capture/ring-source.ts';

/** Drains without pause until told that the producer has finished, then reports what it saw. */
const { memory, stop } = workerData as { memory: RingMemory; stop: SharedArrayBuffer };
const isStopped = new Int32Array(stop);
const source = new RingSource(memory);
let recordCount = 0;
let droppedCount = 0;
let disorderCount = 0;
let mismatchCount = 0;
let previous = -1;

function drain(): void {
  const result = source.drain((record) => {
    if (record.latencyUs <= previous) disorderCount++;
    previous = record.latencyUs;
    // Every field is a function of the sequence number, so a torn slot shows.
    const isWhole =
      record.clientId === record.latencyUs * 3 &&
      record.partitionId === record.latencyUs % 256 &&
      record.keyPrefix === `key:${record.latencyUs}`;
    if (!isWhole) mismatchCount++;
  });
  recordCount += result.recordCount;
  droppedCount += result.droppedCount;
}

parentPort?.postMessage('started');
while (Atomics.load(isStopped, 0) === 0) drain();
drain();
parentPort?.postMessage({ recordCount, droppedCount, disorderCount, mismatchCount });
