import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { LmdbEngine } from '../../../../plugin/engines/lmdb/engine.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { nodeArguments } from '../../../support/repository.ts';
import { EngineClient, PARTITION_COUNT } from './support.ts';

const test = suite('lmdb durability');

/** Lets the child write until it has acknowledged so many, then kills it. @returns the last acknowledged of each writer. */
async function writeUntilKilled(path: string, acknowledgedMin: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, nodeArguments('test/plugin/engines/lmdb/durability-child.ts'), {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TEST_STORE: path },
  });
  const acknowledged = new Map<string, number>();
  let count = 0;
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) {
      const [writer, last] = line.split(' ');
      acknowledged.set(writer, Number(last));
      count++;
    }
    if (count >= acknowledgedMin) child.kill('SIGKILL');
  });
  const [exitCode, signal] = await once(child, 'close');
  check.is(signal, 'SIGKILL', `the child ended by itself with ${exitCode}`);
  return acknowledged;
}

test('after kill -9 every acknowledged write is there, and no partition counts what it has not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-kill-'));
  const path = join(folder, 'store');
  try {
    const acknowledged = await writeUntilKilled(path, 2000);
    check.is(acknowledged.size, 8);
    const engine = await LmdbEngine.open({ path, partitionCount: PARTITION_COUNT }, { clock: systemClock() });
    try {
      const client = new EngineClient(engine);
      for (const [writer, last] of acknowledged)
        for (const key of [`writer-${writer}`, `counter-${writer}`]) {
          const [, stored] = (await client.ask('GET', key)).split('\r\n');
          // The write after the last acknowledged one may or may not have been committed.
          check.ok(
            Number(stored) === last || Number(stored) === last + 1,
            `${key}: acknowledged ${last}, found ${stored}`,
          );
        }
      for (let p = 0; p < PARTITION_COUNT; p++) {
        const snapshot = engine.store.openSnapshot(p);
        const { entryCount, sizeBytes } = await snapshot.digest('1');
        snapshot.close();
        check.equal(engine.store.statistics(p), { entryCount, sizeBytes });
      }
    } finally {
      await engine.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
