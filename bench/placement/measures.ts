import { createHash } from 'node:crypto';
import { PlacementState } from '../../src/affinity/cost-model.ts';
import type { PlacementInstance } from '../../src/affinity/instance.ts';

/** Processor time of this process so far, milliseconds. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export const costOf = (instance: PlacementInstance, ownerOf: Int32Array): number =>
  new PlacementState(instance, ownerOf).cost();

export const movedCount = ({ home }: PlacementInstance, ownerOf: Int32Array): number =>
  ownerOf.reduce((count, n, p) => count + (n === home[p] ? 0 : 1), 0);

export const hashOf = (ownerOf: Int32Array): string =>
  createHash('sha256')
    .update(new Uint8Array(ownerOf.buffer, ownerOf.byteOffset, ownerOf.byteLength))
    .digest('hex')
    .slice(0, 8);

/** f64[partition]: mean over the slots of the first resource. */
export function meanLoad({ partitionCount, depth, slotCount, load }: PlacementInstance): Float64Array {
  return Float64Array.from({ length: partitionCount }, (_, p) => {
    let sum = 0;
    for (let t = 0; t < slotCount; t++) sum += load[p * depth + t] as number;
    return sum / slotCount;
  });
}
