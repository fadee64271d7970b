/**
 * The victim of the kill -9 test: owns every partition of the store in TEST_STORE, writes as fast as it is answered, several
 * requests at a time, and says on stdout what has been acknowledged.
 */
import { writeSync } from 'node:fs';
import { LmdbEngine } from '../../../../plugin/engines/lmdb/engine.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { EngineClient, ownAll, PARTITION_COUNT } from './support.ts';

const WRITERS = 8;

async function write(client: EngineClient, writer: number): Promise<never> {
  for (let i = 1; ; i++) {
    const reply = client.call(['SET', `writer-${writer}`, String(i)]);
    const counter = client.call(['INCR', `counter-${writer}`]);
    if ((await reply).text !== '+OK\r\n' || (await counter).text !== `:${i}\r\n`) process.exit(3);
    // Synchronous: what the parent reads was acknowledged before this process died.
    writeSync(1, `${writer} ${i}\n`);
  }
}

async function run(path: string): Promise<void> {
  const engine = await LmdbEngine.open(
    { path, partitionCount: PARTITION_COUNT, reserveBytes: 0 },
    { clock: systemClock() },
  );
  await ownAll(engine);
  const client = new EngineClient(engine);
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(client, writer)));
}

// A test runner with a wide pattern loads this file too: without a store it does nothing.
const path = process.env.TEST_STORE;
if (path !== undefined) await run(path);
