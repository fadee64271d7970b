import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { getPriority } from 'node:os';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { yieldToOthers } from '../../../../plugin/engines/redis-cluster/niceness.ts';
import { type Logger, silentLogger } from '../../../../src/base/logger.ts';

const test = suite('niceness of the agent');

/** In a process of its own: nobody but a privileged user takes niceness back. */
async function nicenessAfter(...asked: readonly number[]): Promise<number> {
  const source = `
    const { yieldToOthers } = await import(${JSON.stringify(new URL('../../../../plugin/engines/redis-cluster/niceness.js', import.meta.url))});
    const logger = { warn: (fields, text) => process.stderr.write(text) };
    for (const niceness of ${JSON.stringify(asked)}) yieldToOthers(niceness, logger);
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

test('it stands back as far as it is told, seen from outside', async () => {
  check.is(await nicenessAfter(10), 10);
});

test('0 leaves the process as it was, and nothing makes it less nice than it is', async () => {
  check.is(await nicenessAfter(0), getPriority());
  check.is(await nicenessAfter(7, 3), 7);
});

test('a machine that refuses is told of, and the agent goes on', () => {
  const told: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => told.push(message) };
  // No such niceness: the call throws, as it does where a sandbox refuses it.
  yieldToOthers(1e9, logger);
  check.equal(told, ['the agent competes with its neighbours for processors']);
});

test.run();
