import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { buildInstance } from '../../../src/affinity/instance.ts';
import { placePrices } from '../../../src/affinity/optimisers/place-prices.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { atOnce } from '../../../src/base/slices.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { orderingBySize, unfilledPlacementBlock } from '../../../src/kernels/placement-block.ts';
import { randomInputs } from '../../support/placement.ts';

const test = suite('kernels/search block');

const instance = buildInstance(
  randomInputs(seededRandom(7n), { partitionCount: 900, nodeCount: 6, horizonSteps: 48 }),
  DEFAULT_AFFINITY_SETTINGS,
);
const numbers = { ...instance, placePrice: placePrices(instance) };
const order = atOnce(orderingBySize(numbers));

/** The bytes of a block in memory that was full of `dirt`, and how many of them changed between two rests at most. */
function filledOver(dirt: number): { bytes: Uint8Array; changedMax: number } {
  const { arena, memory } = loadKernels();
  const before = arena.uncleared(8_000_000);
  before.view.fill(dirt);
  arena.free(before);
  const block = unfilledPlacementBlock(arena, numbers, { start: instance.home, seed: [1, 2, 3, 4], order });
  const view = new Uint8Array(memory.buffer, block.pointer, arena.usedBytes);
  let bytes = view.slice();
  let changedMax = 0;
  for (const _ of block.filling()) {
    let changed = 0;
    for (let at = 0; at < view.length; at++) if (view[at] !== bytes[at]) changed++;
    changedMax = Math.max(changedMax, changed);
    bytes = view.slice();
  }
  return { bytes, changedMax };
}

test('a block is the same whoever had its memory before', () => {
  const clean = filledOver(0);
  check.ok(clean.bytes.length > 400_000 && clean.bytes.length < 8_000_000, `${clean.bytes.length} bytes`);
  check.ok(Buffer.compare(filledOver(0xab).bytes, clean.bytes) === 0);
});

test('clearing and filling it rest after every 128 KiB', () => {
  const { changedMax } = filledOver(0xab);
  check.ok(changedMax > 0 && changedMax <= 128 << 10, `${changedMax} bytes between two rests`);
});

test.run();
