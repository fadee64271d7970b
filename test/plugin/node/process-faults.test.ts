import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { LocalCluster } from '../../../plugin/node/local/local-cluster.ts';
import { QUERY_NODE_ID_MIN } from '../../../plugin/node/node-options.ts';
import { loaderFlags, moduleUrl } from '../../support/repository.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('faults that reach the process');

/** Plugins of others: how each fails, on the node it fails on. */
const FAULTY: Readonly<Record<string, { readonly source: string; readonly nodeId: number }>> = {
  'throws-in-timer': {
    nodeId: QUERY_NODE_ID_MIN,
    source: `attachQueryNode() {
      setInterval(() => { throw new Error('from a timer'); }, 50);
      return { hooks: {}, detach() {} };
    }`,
  },
  'rejects-in-hook': {
    nodeId: QUERY_NODE_ID_MIN,
    source: `attachQueryNode: () => ({
      hooks: { onQueryCompleted() { Promise.reject(new TypeError('from a rejection')); } },
      detach() {},
    })`,
  },
  'async-hook': {
    nodeId: QUERY_NODE_ID_MIN,
    source: `attachQueryNode: () => ({
      hooks: { async onQueryCompleted() { throw new RangeError('from an async hook'); } },
      detach() {},
    })`,
  },
  'misuses-the-node': {
    nodeId: QUERY_NODE_ID_MIN,
    source: `attachQueryNode({ metadata }) {
      setTimeout(() => metadata.commit(undefined), 50);
      return { hooks: {}, detach() {} };
    }`,
  },
  'throws-at-once': {
    nodeId: 0,
    source: `attachStorageNode() {
      setTimeout(() => { throw new Error('while it attaches'); }, 0);
      return new Promise(() => {});
    }`,
  },
  'async-storage-hook': {
    nodeId: 0,
    source: `attachStorageNode: () => ({
      hooks: { async onWriteCommitted() { throw new TypeError('from a write'); } },
      detach() {},
    })`,
  },
};

function writePlugins(folder: string, sources: Readonly<Record<string, string>>): string[] {
  return Object.entries(sources).map(([name, source]) => {
    const file = join(folder, `${name}.mjs`);
    writeFileSync(file, `export default { name: '${name}', ${source} };\n`);
    return file;
  });
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (isSo()) return;
    await delay(25);
  }
  throw new Error(`not within 5 s: ${what}`);
}

const hasEnded = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

test('whatever a plugin of others does, it is detached, said once with its stack, and clients are served on', async () => {
  await withTemporaryFolder(async (folder) => {
    const sources = Object.fromEntries(Object.entries(FAULTY).map(([name, { source }]) => [name, source]));
    const modules = writePlugins(folder, sources);
    const cluster = await LocalCluster.start({
      storageNodeCount: 1,
      partitionCount: 16,
      settings: { plugin: { modules: ['foreshard', ...modules] } },
    });
    const client = new Redis({ host: cluster.host, port: cluster.port });
    try {
      const pids = [0, QUERY_NODE_ID_MIN].map((nodeId) => cluster.pid(nodeId));
      const detached = (name: string, nodeId: number) =>
        cluster
          .log(nodeId)
          .split('\n')
          .filter((line) => line.includes(`"plugin":"${name}"`) && line.includes('detached after a fault'));
      await client.set('a', '1');
      for (const [name, { nodeId }] of Object.entries(FAULTY))
        await until(`${name} is detached`, () => detached(name, nodeId).length > 0);
      await delay(150); // Time for the timers that go on failing.
      check.is(await client.get('a'), '1');
      check.is(await client.set('a', '2'), 'OK');
      for (const [name, { nodeId }] of Object.entries(FAULTY)) {
        check.is(detached(name, nodeId).length, 1, name);
        check.match(detached(name, nodeId)[0] ?? '', new RegExp(`${name}\\.mjs:\\d+`));
      }
      check.not.match(cluster.log(0) + cluster.log(QUERY_NODE_ID_MIN), /"plugin":"foreshard"/);
      check.match(await cluster.control({ operation: 'captureStatus' }).then(JSON.stringify), /\{/);
      check.equal(pids.map(hasEnded), [false, false]);
    } finally {
      client.disconnect();
      await cluster.stop();
    }
  });
});

test('a storage engine whose state is broken ends its process at once, with a line that says why', async () => {
  await withTemporaryFolder(async (folder) => {
    const modules = writePlugins(folder, {
      saboteur: `attachStorageNode: ({ store }) => ({
        hooks: { onWriteCommitted() { store.states.fill(null); } },
        detach() {},
      })`,
    });
    const cluster = await LocalCluster.start({
      storageNodeCount: 1,
      partitionCount: 16,
      settings: { plugin: { modules } },
    });
    const client = new Redis({ host: cluster.host, port: cluster.port, maxRetriesPerRequest: 0 });
    client.on('error', () => undefined);
    try {
      const pid = cluster.pid(0);
      await client.set('a', '1');
      void client.get('a').catch(() => undefined);
      await until('the storage node has ended', () => hasEnded(pid));
      // Whoever of the engine looks first: the request, or what expires keys ten times a second.
      check.match(cluster.log(0), /TypeError.*plugin\/engines\/.*a fault of the node itself/s);
    } finally {
      client.disconnect();
      await cluster.stop();
    }
  });
});

test('without a plugin to answer for it a fault ends the process with exit code 1', () => {
  const module = moduleUrl('plugin/node/process-faults.ts').href;
  const logger = `{ error: (fields, message) => console.error(message + ': ' + fields.fault) }`;
  for (const [fault, expected] of [
    [`throw new Error('own')`, /the process ends: own/],
    [`Promise.reject(new TypeError('own'))`, /the process ends: own/],
    [`throw Object.create(null)`, /the process ends: /],
  ] as const) {
    const script = `import { surviveFaults } from ${JSON.stringify(module)};
      surviveFaults(${logger});
      setTimeout(() => { ${fault}; }, 1);
      setTimeout(() => undefined, 5_000);`;
    const { status, stderr } = spawnSync(
      process.execPath,
      [...loaderFlags, '--input-type=module', '-e', script],
      { encoding: 'utf8', timeout: 20_000 },
    );
    check.is(status, 1, stderr);
    check.match(stderr, expected);
  }
});

test.run();
