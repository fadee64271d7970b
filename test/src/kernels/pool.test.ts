import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { Piscina } from 'piscina';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { InvariantError } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner, KernelPool } from '../../../src/kernels/pool.ts';
import { moduleUrl } from '../../support/repository.ts';

const test = suite('kernels/pool');

/** Of each thread of this process, the main one first: proc(5), the nineteenth field of stat. */
const nicenessOfThreads = (): number[] =>
  readdirSync('/proc/self/task').map((thread) =>
    Number(readFileSync(`/proc/self/task/${thread}/stat`, 'latin1').split(') ')[1]?.split(' ')[16]),
  );

test('jobs run on worker threads, several at once, and on this thread with the same result', async () => {
  const kernels = loadKernels();
  const pool = new KernelPool({ threads: 2 }, { kernels, logger: silentLogger });
  try {
    const results = await Promise.all([5, 6, 7].map((steps) => pool.run('count', { steps })));
    assert.equal(results, [{ counted: 5 }, { counted: 6 }, { counted: 7 }]);
    assert.equal(await inlineRunner(kernels).run('count', { steps: 5 }), { counted: 5 });
  } finally {
    await pool.close();
  }
});

test('a cancelled job resolves early with what it has, and its progress can be watched', async () => {
  const kernels = loadKernels();
  const pool = new KernelPool({ threads: 1 }, { kernels, logger: silentLogger });
  try {
    const job = pool.start('count', { steps: 2_000_000_000 });
    while (job.progress() === 0) await new Promise((resolve) => setImmediate(resolve));
    job.cancel();
    const { counted } = await job.result;
    assert.ok(counted > 0 && counted < 2_000_000_000);
    assert.is(job.progress(), counted);
    job.cancel(); // too late: must not touch words that belong to somebody else by now
    assert.equal(await pool.run('count', { steps: 3 }), { counted: 3 });
  } finally {
    await pool.close();
  }
});

test('a job that fails rejects with our own error class', async () => {
  const kernels = loadKernels();
  const pool = new KernelPool({ threads: 1 }, { kernels, logger: silentLogger });
  try {
    // @ts-expect-error: a job of this name does not exist
    await pool.run('nonsense', {});
    assert.unreachable();
  } catch (error) {
    assert.instance(error, InvariantError);
    assert.match((error as Error).message, 'nonsense');
  } finally {
    await pool.close();
  }
});

test('its threads, and no others, stand back for what serves queries', async () => {
  if (process.platform !== 'linux') return console.log('SKIP niceness of threads: Linux tells it by thread');
  const before = nicenessOfThreads();
  const pool = new KernelPool({ threads: 2, niceness: 17 }, { kernels: loadKernels(), logger: silentLogger });
  try {
    await Promise.all([1, 2].map(() => pool.run('count', { steps: 1_000_000 })));
    const nice = nicenessOfThreads().filter((niceness) => niceness === 17);
    assert.is(nice.length, 2 + before.filter((niceness) => niceness === 17).length);
    assert.is(getPriority(), before[0], 'this thread as before');
  } finally {
    await pool.close();
  }
});

test('closing gives the memory back', async () => {
  const kernels = loadKernels();
  const before = kernels.arena.usedBytes;
  const pool = new KernelPool({ threads: 2 }, { kernels, logger: silentLogger });
  await pool.run('count', { steps: 1 });
  await pool.close();
  assert.is(kernels.arena.usedBytes, before);
});

test('a pool works inside a worker thread', async () => {
  // The outer thread is a Piscina worker too, since that is what tsx can translate a worker file for.
  const outer = new Piscina({
    filename: moduleUrl('test/src/kernels/pool-in-worker.ts').href,
    maxThreads: 1,
  });
  try {
    assert.equal(await outer.run({ steps: 4 }), { counted: 4 });
  } finally {
    await outer.destroy();
  }
});

test.run();
