import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { getPriority } from 'node:os';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { yieldToOthers } from '../../../src/kernels/niceness.ts';

const test = suite('niceness');

/** In a process of its own: nobody but a privileged user takes niceness back. */
async function nicenessAfter(...asked: readonly number[]): Promise<number> {
  const source = `
    const { yieldToOthers } = await import(${JSON.stringify(new URL('../../../src/kernels/niceness.js', import.meta.url))});
    for (const niceness of ${JSON.stringify(asked)}) yieldToOthers(niceness);
    process.stdin.resume();
    process.stdout.write('done');`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const niceness = getPriority(child.pid);
  child.stdin.end();
  await once(child, 'exit');
  return niceness;
}

test('a process stands back as far as it is told, seen from outside', async () => {
  check.is(await nicenessAfter(10), Math.max(10, getPriority()));
});

test('0 leaves it as it was, and nothing makes it less nice than it is', async () => {
  check.is(await nicenessAfter(0), getPriority());
  check.is(await nicenessAfter(17, 3), Math.max(17, getPriority()));
});

test('a refusal is told, and no fault', () => {
  // No such niceness: the call throws, as it does where a sandbox forbids it.
  check.match(yieldToOthers(1e9)?.message ?? '', /priority/);
});

test.run();
