import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { etsCase } from '../../bench/native/ets-case.ts';
import { compareWithC, kernelsAgainstC } from '../../bench/native.ts';

const test = suite('bench/native');

/** Runs with the commands of another folder, or none. */
async function withPath<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  const before = process.env.PATH;
  process.env.PATH = path;
  try {
    return await work();
  } finally {
    process.env.PATH = before;
  }
}

test('without a compiler every comparison is skipped, with a reason that says what to install', async () => {
  const { results, skipped } = await withPath('/nonexistent', () => kernelsAgainstC({ isSmall: true }));
  assert.equal(results, []);
  assert.is(skipped.length, 1);
  assert.match(skipped[0]!.why, process.arch === 'x64' ? /gcc/ : /x86-64/);
});

test('a kernel that computes something else than C is an error, however fast it is', async () => {
  const honest = etsCase({ isSmall: true });
  let message = '';
  try {
    await compareWithC({ ...honest, runKernel: () => honest.runKernel() * 1.001 }, { isSmall: true });
  } catch (error) {
    message = error instanceof Error ? error.message : String(error);
  }
  if (message.includes('does not compile')) console.log('SKIP bench/native: no compiler here');
  else assert.match(message, /ets: the kernel computes .*, ets\.c /);
});

test.run();
