import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ForeshardError } from '../../../src/base/errors.ts';
import { readKernelBytes, sourceNewerThan } from '../../../src/kernels/bytes.ts';
import { instantiateKernels, loadKernels, MEMORY_PAGES } from '../../../src/kernels/instance.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('kernels/instance');

test('both builds load and agree with the host on the layout', () => {
  for (const build of ['debug', 'release'] as const) {
    const kernels = loadKernels({ build });
    assert.is(kernels.build, build);
    assert.match(kernels.hash, /^[0-9a-f]{16}$/);
    assert.is(kernels.memory.buffer.byteLength, MEMORY_PAGES * 65536);
  }
});

test('a second instance works on the same memory', () => {
  const kernels = loadKernels();
  const block = kernels.arena.f64(4);
  block.view.fill(3);
  const second = instantiateKernels(kernels.module, kernels.memory);
  assert.is(second.memory, kernels.memory);
  assert.equal([...block.view], [3, 3, 3, 3]);
});

test('a build that is older than one of its sources is noticed, an installed package without sources is not asked', async () => {
  await withTemporaryFolder((folder) => {
    const build = join(folder, 'kernels.wasm');
    const sources = join(folder, 'assembly');
    writeFileSync(build, '');
    assert.is(sourceNewerThan(build, sources), undefined);
    mkdirSync(sources);
    for (const name of ['old.ts', 'new.ts', 'tsconfig.json']) writeFileSync(join(sources, name), '');
    utimesSync(join(sources, 'old.ts'), 1_000, 1_000);
    utimesSync(build, 2_000, 2_000);
    utimesSync(join(sources, 'new.ts'), 2_000, 2_000);
    assert.is(sourceNewerThan(build, sources), undefined);
    utimesSync(join(sources, 'new.ts'), 3_000, 3_000);
    assert.is(sourceNewerThan(build, sources), 'new.ts');
    utimesSync(join(sources, 'new.ts'), 1_000, 1_000);
    mkdirSync(join(sources, 'search'));
    writeFileSync(join(sources, 'search', 'loop.ts'), '');
    assert.is(sourceNewerThan(build, sources), 'search/loop.ts');
  });
});

test('an unknown build name is refused with the allowed ones', () => {
  const before = process.env.FORESHARD_KERNELS;
  process.env.FORESHARD_KERNELS = 'fast';
  try {
    readKernelBytes();
    assert.unreachable();
  } catch (error) {
    assert.instance(error, ForeshardError);
    assert.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
    assert.match((error as Error).message, 'debug or release');
  } finally {
    if (before === undefined) delete process.env.FORESHARD_KERNELS;
    else process.env.FORESHARD_KERNELS = before;
  }
});

test.run();
