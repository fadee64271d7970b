/** From a captured application to whoever reads the metadata store: nothing is asked of the application but its queries. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ProfileLedger } from '../../../plugin/host/analysis/profile-ledger.ts';
import { ProfilePublisher } from '../../../plugin/host/analysis/profile-publisher.ts';
import { decodeQueryTypes } from '../../../plugin/host/records/query-types-record.ts';
import { capturePrefix, profilePrefix, queryTypesPrefix } from '../../../plugin/host/records/record-keys.ts';
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';
import { captureCluster } from '../../../plugin/redis/index.ts';
import { decodePulse, readClientView } from '../../../plugin/redis/pulse-record.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';
import { keySlot } from '../../../src/routing/key-slot.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('captured applications publish');
const WINDOW_MS = 3_600_000;
const PARTITIONS = 64;

/** As much of an ioredis cluster as capture touches; it answers at once. */
function fakeClient() {
  return {
    isCluster: true,
    defineCommand() {},
    sendCommand: (command: { resolve(value: unknown): unknown }) => command.resolve(Buffer.from('value')),
    ask(name: string, ...args: string[]) {
      return this.sendCommand({ name, args, resolve: () => 'settled', reject: () => 'refused' } as never);
    },
  };
}

const partitionOf = (key: string): number => keySlot(Buffer.from(key), 0, key.length) >> 8;

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; !(await isSo()); attempt++) {
    if (attempt > 200) throw new Error('it did not happen within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('two applications: their loads add up, their pulses tell of them, and stop leaves nothing out', () =>
  withTemporaryFolder(async (path) => {
    const settings = {
      cluster: { name: 'shop', partitionCount: PARTITIONS },
      metadata: { path },
      analyzer: { windowMs: WINDOW_MS },
      node: { logLevel: 'error' },
    };
    const clients = [fakeClient(), fakeClient()];
    const captures = clients.map((client, i) =>
      captureCluster(client, { settings, application: `application-${i}` }),
    );
    for (const { started } of captures) await started;
    const asked = new Float64Array(PARTITIONS);
    for (let i = 0; i < 12_000; i++) {
      const key = `flight:${i % 500}`;
      (clients[i % 2] as ReturnType<typeof fakeClient>).ask(i % 3 ? 'get' : 'set', key, 'x');
      asked[partitionOf(key)]++;
    }
    (clients[0] as ReturnType<typeof fakeClient>).ask('ping');
    const metadata = openEmbeddedMetadata({ path });
    try {
      const view = () =>
        readClientView(metadata, { clusterName: 'shop', nowMs: Date.now(), logger: silentLogger });
      await until(async () => {
        const { processes } = await view();
        return processes.reduce((sum, { capturedCount }) => sum + capturedCount, 0) === 12_000;
      });
      const { processes } = await view();
      check.equal(processes.map(({ application }) => application).sort(), ['application-0', 'application-1']);
      check.is(
        processes.every(({ fault, pid }) => fault === null && pid === process.pid),
        true,
      );

      for (const capture of captures) await capture.stop();
      check.equal(captures[0]?.status(), { isAttached: false, fault: null, keylessCount: 1 });
      const ledger = new ProfileLedger({ windowMs: WINDOW_MS, partitionCount: PARTITIONS, windowsMax: 4 });
      const prefix = profilePrefix('shop');
      const reader = new ProfilePublisher({ metadata, ledger, prefix, logger: silentLogger });
      const endMs = Date.now() + WINDOW_MS;
      await reader.refresh(endMs);
      const { values, windowCount } = ledger.toProfile(endMs);
      const queries = new Float64Array(PARTITIONS);
      for (let w = 0; w < windowCount; w++)
        for (let p = 0; p < PARTITIONS; p++)
          queries[p] += values[(w * PARTITIONS + p) * LOAD_DIMENSION_COUNT] as number;
      check.equal(queries, asked);

      const pulses = (await metadata.list(capturePrefix('shop'))).entries.map(({ key, value }) =>
        decodePulse(key, value),
      );
      check.equal(
        pulses.map(({ capturedCount, droppedCount }) => [capturedCount, droppedCount]),
        [
          [6_000, 0],
          [6_000, 0],
        ],
      );
      const [types] = (await metadata.list(queryTypesPrefix('shop'))).entries.map(({ key, value }) =>
        decodeQueryTypes(key, value),
      );
      check.equal(types?.types.map(({ template }) => template).sort(), ['GET flight:{n}', 'SET flight:{n}']);
    } finally {
      await metadata.close();
    }
  }));

test('a client that is removed is as it was, is not recorded, and what it asked before still counts', () =>
  withTemporaryFolder(async (path) => {
    const [first, second] = [fakeClient(), fakeClient()];
    const bare = second.sendCommand;
    const capture = captureCluster(first, {
      settings: { metadata: { path }, node: { logLevel: 'error' } },
    });
    // Before the capture has begun as well as after.
    capture.add(second);
    capture.remove(second);
    await capture.started;
    check.is(second.sendCommand, bare);
    capture.add(second);
    check.is.not(second.sendCommand, bare);
    second.ask('ping');
    capture.remove(second);
    capture.remove(second);
    check.is(second.sendCommand, bare);
    second.ask('ping');
    first.ask('ping');
    check.is(capture.status().keylessCount, 2);
    await capture.stop();
    check.is(capture.status().keylessCount, 2);
  }));

test('latencies of all processes make one p99, silent processes none', () =>
  withTemporaryFolder(async (path) => {
    const metadata = openEmbeddedMetadata({ path });
    try {
      const client = fakeClient();
      const settings = { metadata: { path }, node: { logLevel: 'error' } };
      const capture = captureCluster(client, { settings });
      await capture.started;
      for (let i = 0; i < 100; i++) client.ask('get', `k${i}`);
      const view = (nowMs: number) =>
        readClientView(metadata, { clusterName: 'main', nowMs, logger: silentLogger });
      await until(async () => (await view(Date.now())).p99Us !== null);
      const { p50Us, p99Us } = await view(Date.now());
      check.ok(p50Us !== null && p99Us !== null && p50Us <= p99Us);
      await capture.stop();
      check.is((await view(Date.now() + 60_000)).processes.length, 0);
    } finally {
      await metadata.close();
    }
  }));

test('a config file that is wrong is told by `started`, and the client goes on', async () => {
  const client = fakeClient();
  let told: unknown;
  const capture = captureCluster(client, {
    config: './no-such-config.yaml',
    onFault: (fault) => (told = fault),
  });
  await capture.started.then(
    () => check.unreachable('it began'),
    (error: Error) => check.match(error.message, /no such file/),
  );
  check.match((told as Error).message, /no such file/);
  check.is(client.ask('get', 'a'), 'settled');
  check.is(capture.status().isAttached, false);
  await capture.stop();
});

test.run();
