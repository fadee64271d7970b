import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { LmdbEngine } from '../../../../plugin/engines/lmdb/engine.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { requireOrSkip } from '../../../support/require.ts';
import { mountSmallDisk, type SmallDisk } from '../../../support/small-disk.ts';
import { EngineClient, ownAll, PARTITION_COUNT, type Reply } from './support.ts';

/** On a file system of its own that really is full: a small tmpfs, which only root may mount. */
const test = suite('lmdb on a full disk');

const open = (disk: SmallDisk, reserveBytes: number): Promise<LmdbEngine> =>
  LmdbEngine.open(
    { path: join(disk.path, 'store'), partitionCount: PARTITION_COUNT, reserveBytes, mapSizeBytes: 1 << 30 },
    { clock: systemClock() },
  );

const textOf = (i: number): string => String(i).padEnd(20_000, '.');

/** Writes until refused. @returns how many were acknowledged, and the refusal. */
async function fill(client: EngineClient): Promise<{ acknowledged: number; refusal: Reply }> {
  for (let i = 0; ; i++) {
    const reply = await client.call(['SET', `{t}${i}`, textOf(i)]);
    if (reply.text !== '+OK\r\n') return { acknowledged: i, refusal: reply };
    check.ok(i < 1000, 'the disk is small');
  }
}

async function checkAllThere(client: EngineClient, count: number): Promise<void> {
  for (let i = 0; i < count; i++)
    check.is(await client.ask('GET', `{t}${i}`), `$20000\r\n${textOf(i)}\r\n`, `key ${i} of ${count}`);
}

async function withSmallDisk(body: (disk: SmallDisk) => Promise<void>): Promise<void> {
  const disk = mountSmallDisk('4m');
  if (!requireOrSkip('tmpfs', disk !== null) || disk === null) return;
  try {
    await body(disk);
  } finally {
    disk.unmount();
  }
}

test('a commit that meets a full disk fails; reads go on, nothing acknowledged is lost, a restart with room heals', () =>
  withSmallDisk(async (disk) => {
    const filler = join(disk.path, 'filler');
    writeFileSync(filler, Buffer.alloc(1_500_000));
    const engine = await open(disk, 0);
    let acknowledged = 0;
    try {
      await ownAll(engine);
      const client = new EngineClient(engine);
      const filled = await fill(client);
      acknowledged = filled.acknowledged;
      check.ok(acknowledged > 20);
      check.is(filled.refusal.status, 4);
      check.match(filled.refusal.text, /^-(MISCONF|OOM) /);
      check.is((await client.call(['SET', 'x', textOf(1)])).status, 4);
      await checkAllThere(client, acknowledged);
    } finally {
      await engine.close();
    }
    rmSync(filler);
    const again = await open(disk, 0);
    try {
      const client = new EngineClient(again);
      await checkAllThere(client, acknowledged);
      check.is(await client.ask('GET', `{t}${acknowledged}`), '$-1\r\n', 'the refused write is not there');
      check.is(await client.ask('SET', 'x', textOf(1)), '+OK\r\n');
    } finally {
      await again.close();
    }
  }));

test('with a reserve the store refuses in time: reads and deletes go on, and what they free is used without a restart', () =>
  withSmallDisk(async (disk) => {
    const engine = await open(disk, 1_000_000);
    try {
      await ownAll(engine);
      const client = new EngineClient(engine);
      const { acknowledged, refusal } = await fill(client);
      check.match(refusal.text, /^-OOM .*the reserve is 1000000/);
      check.is(engine.environment.failure, null, 'no commit has failed');
      await checkAllThere(client, acknowledged);
      const half = Math.floor(acknowledged / 2);
      for (let i = 0; i < half; i++) check.is(await client.ask('DEL', `{t}${i}`), ':1\r\n');
      await new Promise((resolve) => setTimeout(resolve, 30)); // the guard looks every 20 ms
      check.is(await client.ask('SET', '{t}0', textOf(0)), '+OK\r\n');
    } finally {
      await engine.close();
    }
  }));

test.run();
