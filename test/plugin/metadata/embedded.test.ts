import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';
import { startThread } from '../../../plugin/threads/thread.ts';
import { metadataStoreConformance } from '../../../src/conformance/index.ts';
import { conformanceSuite } from '../../support/conformance-suite.ts';
import { nodeArguments } from '../../support/repository.ts';

const makeFolder = (): string => mkdtempSync(join(tmpdir(), 'foreshard-metadata-'));

/** Commits that a watch may be behind. */
const CHANGE_LIST = 8;

for (const commitsAtOnce of [false, true])
  conformanceSuite(
    `metadata store conformance: embedded${commitsAtOnce ? ', commits at once' : ''}`,
    metadataStoreConformance(async () => {
      const path = makeFolder();
      return {
        connect: async () =>
          openEmbeddedMetadata({ path, pollMs: 5, commitsAtOnce, changeListMax: CHANGE_LIST }),
        prefix: '/t/',
        ttlMsMin: 500,
        async compact(store) {
          for (let i = 0; i <= CHANGE_LIST; i++)
            await store.commit({
              conditions: [],
              writes: [{ kind: 'put', key: 'elsewhere', value: new Uint8Array(1) }],
            });
        },
        close: async () => rmSync(path, { recursive: true, force: true }),
      };
    }),
  );

const test = suite('embedded metadata store');

function runWorker(path: string, key: string, rounds: number): Promise<{ conflicts: number }> {
  const child = spawn(
    process.execPath,
    nodeArguments('test/plugin/metadata/race-worker.ts', path, key, String(rounds)),
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  return new Promise((resolve, reject) =>
    child.on('close', (exitCode) =>
      exitCode === 0 ? resolve(JSON.parse(output)) : reject(new Error(`worker ended with ${exitCode}`)),
    ),
  );
}

test('two processes that race on one key lose no update', async () => {
  const path = makeFolder();
  const rounds = 60;
  const store = openEmbeddedMetadata({ path, pollMs: 5 });
  let hints = 0;
  store.watch('counter', () => hints++);
  await Promise.all([runWorker(path, 'counter', rounds), runWorker(path, 'counter', rounds)]);
  const entry = await store.get('counter');
  check.is(new TextDecoder().decode(entry?.value), String(2 * rounds));
  check.ok(hints > 0, 'commits of other processes hint watchers of this one');
  await store.close();
  rmSync(path, { recursive: true, force: true });
});

test('a thread that opens a store twice does not wait for itself', async () => {
  const path = makeFolder();
  const child = spawn(process.execPath, nodeArguments('test/plugin/metadata/second-handle.ts', path), {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  const [exitCode, signal] = await once(child, 'close');
  check.equal([exitCode, signal], [0, null], 'it ends by itself');
  check.is(output.trim(), 'after the first is closed, at once, opened, queued');
  rmSync(path, { recursive: true, force: true });
});

test('what was committed is there when the store is opened again', async () => {
  const path = makeFolder();
  const first = openEmbeddedMetadata({ path });
  const value = new Uint8Array([0, 1, 255]);
  const result = await first.commit({ conditions: [], writes: [{ kind: 'put', key: 'k', value }] });
  await first.close();
  const second = openEmbeddedMetadata({ path });
  const entry = await second.get('k');
  check.equal(entry?.value, value);
  check.ok(result.isCommitted && entry?.revision === result.revision);
  await second.close();
  rmSync(path, { recursive: true, force: true });
});

test('a watcher that fell behind the change list is hinted all the same', async () => {
  const path = makeFolder();
  const writer = openEmbeddedMetadata({ path, changeListMax: 2 });
  const reader = openEmbeddedMetadata({ path, changeListMax: 2, pollMs: 60 });
  let hints = 0;
  reader.watch('nothing-here', () => hints++);
  for (let i = 0; i < 5; i++)
    await writer.commit({
      conditions: [],
      writes: [{ kind: 'put', key: 'other', value: new Uint8Array([i]) }],
    });
  for (let waited = 0; hints === 0 && waited < 200; waited++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  check.ok(hints > 0);
  await writer.close();
  await reader.close();
  rmSync(path, { recursive: true, force: true });
});

test('a thread that commits and then computes holds nobody else up, if its commits are made at once', async () => {
  const path = makeFolder();
  const store = openEmbeddedMetadata({ path, pollMs: 5 });
  const computeMs = 1_500;
  const thread = startThread(new URL('./busy-committer.ts', import.meta.url), {
    workerData: { path, computeMs },
  });
  const ended = once(thread, 'exit');
  await once(thread, 'message');
  thread.postMessage('go');
  const startedMs = performance.now();
  let slowestMs = 0;
  while (performance.now() - startedMs < computeMs) {
    const askedMs = performance.now();
    const value = new Uint8Array([2]);
    await store.commit({ conditions: [], writes: [{ kind: 'put', key: 'own', value }] });
    slowestMs = Math.max(slowestMs, performance.now() - askedMs);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await ended;
  check.ok(await store.get('busy'), 'the busy thread has committed');
  check.ok(slowestMs < computeMs / 2, `${slowestMs.toFixed(0)} ms`);
  await store.close();
  rmSync(path, { recursive: true, force: true });
});

test.run();
