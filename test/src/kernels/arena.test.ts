import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ForeshardError } from '../../../src/base/errors.ts';
import { Arena } from '../../../src/kernels/arena.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';

const test = suite('kernels/arena');
const PAGE_BYTES = 65536;
const newArena = (heapBase = 100) =>
  new Arena(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }), heapBase);

test('blocks are aligned, above the constants and disjoint', () => {
  const arena = newArena(100);
  const first = arena.alloc(1);
  const second = arena.f64(3);
  assert.is(first.pointer, 112);
  assert.is(second.pointer % 16, 0);
  assert.ok(second.pointer >= first.pointer + 16);
});

test('a block comes back zeroed after somebody else has written to it', () => {
  const arena = newArena();
  const first = arena.f64(8);
  first.view.fill(7);
  arena.free(first);
  const second = arena.f64(8);
  assert.is(second.pointer, first.pointer);
  assert.equal([...second.view], new Array(8).fill(0));
});

test('the kernels clear a block and nothing beside it', () => {
  const { arena, exports } = loadKernels();
  const [before, block, after] = [arena.f64(2), arena.f64(6), arena.f64(2)];
  for (const { view } of [before, block, after]) view.fill(7);
  arena.free(block);
  const again = arena.f64(5);
  assert.is(again.pointer, block.pointer);
  assert.equal([...again.view], new Array(5).fill(0));
  assert.equal([...before.view, ...after.view], new Array(4).fill(7));
  exports.clear(after.pointer, 8);
  assert.equal([...after.view], [0, 7]);
});

test('freed neighbours merge whatever the order they are freed in', () => {
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [0, 2, 1],
    [1, 0, 2],
  ]) {
    const arena = newArena(0);
    const blocks = [arena.alloc(1600), arena.alloc(1600), arena.alloc(1600)];
    for (const index of order) arena.free(blocks[index]!);
    assert.is(arena.alloc(PAGE_BYTES).pointer, 0);
  }
});

test('a full memory is an error that names what to raise, and leaves the arena usable', () => {
  const arena = newArena();
  try {
    arena.alloc(PAGE_BYTES);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, ForeshardError);
    assert.is((error as ForeshardError).code, 'FORESHARD_LIMIT');
    assert.match((error as ForeshardError).message, 'MEMORY_PAGES');
  }
  assert.ok(arena.alloc(1024).pointer > 0);
});

test('freeing twice is our bug', () => {
  const arena = newArena();
  const block = arena.alloc(16);
  arena.free(block);
  assert.throws(() => arena.free(block), /freed once/);
});

test.run();
