import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { EventEffects } from '../../../../plugin/host/analysis/event-effects.ts';
import type { AdvanceReport, ControlBody, ControlReplies } from '../../../../plugin/host/control-messages.ts';
import { QueryNodeHost } from '../../../../plugin/host/host.ts';
import type { QueryNodeAttachment } from '../../../../plugin/host/plugin.ts';
import { attachAnalysis } from '../../../../plugin/host/query-node-plugin.ts';
import { decodeHotKeys } from '../../../../plugin/host/records/hot-keys-record.ts';
import {
  decodeQueryHours,
  type PublishedHours,
  unpackHours,
} from '../../../../plugin/host/records/query-hours-record.ts';
import { decodeQueryTypes } from '../../../../plugin/host/records/query-types-record.ts';
import {
  eventEffectsPrefix,
  hotKeysPrefix,
  queryHoursPrefix,
  queryTypesPrefix,
} from '../../../../plugin/host/records/record-keys.ts';
import { openEmbeddedMetadata } from '../../../../plugin/metadata/embedded.ts';
import { bootstrapCluster } from '../../../../plugin/metadata/form-cluster.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { type Logger, silentLogger } from '../../../../src/base/logger.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../src/settings.ts';
import { until } from '../../../support/scenario.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('analysis thread');
const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2001, 0, 1);
const PARTITION_COUNT = 16;

interface Attached {
  readonly settings: Settings;
  readonly attachment: QueryNodeAttachment;
  readonly faults: unknown[];
  ask<Operation extends ControlBody['operation']>(
    body: Extract<ControlBody, { operation: Operation }>,
  ): Promise<ControlReplies[Operation]>;
  query(partitionId: number): void;
}

async function withAnalysis(
  use: (attached: Attached) => Promise<void>,
  options: { readonly calendar?: string } = {},
): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const calendar = options.calendar === undefined ? null : join(folder, 'days.yaml');
    if (calendar !== null) writeFileSync(calendar, options.calendar as string);
    const settings: Settings = {
      ...DEFAULT_SETTINGS,
      cluster: { ...DEFAULT_SETTINGS.cluster, partitionCount: PARTITION_COUNT, storageNodeCount: 1 },
      // Plans need storage nodes, which these tests have none of: silence is asked for, errors are checked by answers.
      node: { ...DEFAULT_SETTINGS.node, logLevel: 'error' },
      metadata: { ...DEFAULT_SETTINGS.metadata, path: folder },
      analyzer: { ...DEFAULT_SETTINGS.analyzer, stateDir: join(folder, 'analyzer') },
      forecast: { ...DEFAULT_SETTINGS.forecast, calendar },
    };
    const metadata = openEmbeddedMetadata({ path: folder });
    await bootstrapCluster(metadata, 'main', {
      partitionCount: PARTITION_COUNT,
      nodes: [{ nodeId: 0, storeId: 'store' }],
    });
    const faults: unknown[] = [];
    const attachment = await attachAnalysis({
      settings,
      nodeId: 10_000,
      clock: systemClock(),
      logger: silentLogger,
      metadata,
      reportFault: (error) => faults.push(error),
    });
    try {
      await use({
        settings,
        attachment,
        faults,
        ask: (body) => attachment.control?.(body) as Promise<never>,
        query: (partitionId) =>
          attachment.hooks.onQueryCompleted?.(
            12,
            partitionId,
            0,
            1,
            Buffer.from('key'),
            0,
            3,
            100,
            10,
            20,
            0,
          ),
      });
    } finally {
      await attachment.detach();
      await metadata.close();
    }
  });
}

test('a calendar that cannot be read ends the start, and says what to do', async () => {
  await withTemporaryFolder(async (folder) => {
    const calendar = join(folder, 'days.ics');
    const attaching = attachAnalysis({
      settings: {
        ...DEFAULT_SETTINGS,
        node: { ...DEFAULT_SETTINGS.node, logLevel: 'error' },
        metadata: { ...DEFAULT_SETTINGS.metadata, path: folder },
        forecast: { ...DEFAULT_SETTINGS.forecast, calendar },
      },
      nodeId: 10_000,
      clock: systemClock(),
      logger: silentLogger,
      metadata: {} as MetadataStore, // the thread opens its own
      reportFault: () => undefined,
    });
    const error = await attaching.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    check.instance(error, ForeshardError);
    check.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
    check.match((error as ForeshardError).message, /days\.ics: no such file: check forecast\.calendar/);
  });
});

test('a cycle learns from the events of the calendar, and leaves what it learnt to the next coordinator', async () => {
  const calendar = 'events:\n- {name: Batch, start: 2001-01-05, repeat: FREQ=DAILY;INTERVAL=10;COUNT=3}\n';
  await withAnalysis(
    async ({ settings, ask }) => {
      const windowCount = 28 * 24;
      const endMs = START_MS + windowCount * HOUR_MS;
      const isBatch = (window: number): boolean => [4, 14, 24].includes(Math.floor(window / 24));
      const queries = Float64Array.from({ length: windowCount * PARTITION_COUNT }, (_, i) => {
        const window = Math.floor(i / PARTITION_COUNT);
        return (100 + (window % 24)) * (isBatch(window) ? 4 : 1);
      });
      await ask({ operation: 'setClock', nowMs: endMs });
      const shape = { startMs: START_MS, windowMs: HOUR_MS, windowCount, partitionCount: PARTITION_COUNT };
      await ask({ operation: 'loadHistory', history: { ...shape, queries } });
      // There are no storage nodes to plan for: what comes after the forecast fails.
      await ask({ operation: 'advance', toMs: endMs + HOUR_MS }).catch(() => undefined);

      const metadata = openEmbeddedMetadata({ path: settings.metadata.path });
      const memory = new EventEffects({ metadata, prefix: eventEffectsPrefix('main'), logger: silentLogger });
      const effects = await memory.load();
      await metadata.close();
      check.equal(
        effects.map(({ startMs }) => (startMs - START_MS) / HOUR_MS / 24),
        [4, 14, 24],
      );
      for (const { byPhase } of effects)
        for (const log of byPhase) check.ok(Math.abs(Math.exp(log) - 4) < 0.05, `factor ${Math.exp(log)}`);
    },
    { calendar },
  );
});

test('a replay’s queries come back as the measured load of their trace hours', async () => {
  await withAnalysis(async ({ ask, query }) => {
    const advance = (toMs: number): Promise<AdvanceReport> =>
      ask({ operation: 'advance', toMs, isCycleSkipped: true });
    await ask({ operation: 'setClock', nowMs: START_MS });
    for (let i = 0; i < 100; i++) query(3);
    const nextMs = START_MS + HOUR_MS;
    // The clock stands at the next hour before its first query; the hour before is closed while they already come.
    await ask({ operation: 'setClock', nowMs: nextMs });
    const closing = advance(nextMs);
    for (let i = 0; i < 50; i++) query(4);
    check.is((await closing).closedWindowCount, 1);
    const report = await advance(nextMs + HOUR_MS);
    check.equal(report.capture, { capturedCount: 150, droppedCount: 0, isAttached: true });
    const profile = await ask({ operation: 'profile' });
    check.is(profile.startMs, START_MS);
    check.is(profile.windowCount, 2);
    check.is(profile.queries[3], 100);
    check.is(profile.queries[PARTITION_COUNT + 4], 50);
    check.is(profile.readBytes[3], 2_000);
    check.equal([...profile.coverage], [1, 1]);
  });
});

test('settings change while queries come: nothing measured is lost, and another coordinator thread has the office', async () => {
  await withAnalysis(async ({ settings, attachment, ask, query, faults }) => {
    await ask({ operation: 'setClock', nowMs: START_MS });
    for (let i = 0; i < 100; i++) query(3);
    const next: Settings = { ...settings, migration: { ...settings.migration, graceMs: 1 } };
    await attachment.reload?.(next);
    for (let i = 0; i < 50; i++) query(3);
    // A coordinator thread cannot start with these: the ones before are in force again.
    const timetable = { ...next.affinity.timetable, windows: ['never on sunday'] };
    const wrong = { ...next, affinity: { ...next.affinity, timetable } };
    const error = await attachment.reload?.(wrong).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    check.instance(error, Error);
    for (let i = 0; i < 5; i++) query(3);
    const report = await ask({ operation: 'advance', toMs: START_MS + HOUR_MS, isCycleSkipped: true });
    check.is(report.capture.capturedCount, 155);
    check.is((await ask({ operation: 'profile' })).queries[3], 155);
    check.is((await ask({ operation: 'migrationStatus' })).open.length, 0);
    const elected = async (): Promise<boolean> => {
      const readings = (await Promise.all((attachment.metricSources ?? []).map(({ read }) => read()))).flat();
      return readings.find(({ name }) => name === 'foreshard_coordinator')?.value === 1;
    };
    await until(elected, 'the office is held again');
    check.equal(faults, []);
  });
});

test('the queries of closed windows are known by template, partition, node and client, and published', async () => {
  await withAnalysis(async ({ settings, ask, query }) => {
    query(9); // before the replay: bears the machine's time
    await ask({ operation: 'setClock', nowMs: START_MS });
    for (let i = 0; i < 30; i++) query(3);
    for (let i = 0; i < 10; i++) query(4);
    await ask({ operation: 'advance', toMs: START_MS + HOUR_MS, isCycleSkipped: true });
    query(5); // its window is still open
    const report = await ask({ operation: 'queryTypes' });
    check.is(report.totalCount, 40);
    check.is(report.droppedCount, 0);
    check.is(report.types.length, 1);
    const [type] = report.types;
    check.match(type?.template ?? '', / key$/);
    check.equal(type?.partitions, [
      { partitionId: 3, recentCount: 30 },
      { partitionId: 4, recentCount: 10 },
    ]);
    check.equal(type?.storageNodes, [{ nodeId: 0, recentCount: 40 }]);
    check.equal(type?.clients, [{ client: 'query-10000/1', recentCount: 40 }]);

    const metadata = openEmbeddedMetadata({ path: settings.metadata.path });
    const key = `${queryTypesPrefix('main')}10000`;
    const record = decodeQueryTypes(key, (await metadata.get(key))?.value ?? new Uint8Array());
    const hoursKey = `${queryHoursPrefix('main')}0/10000`;
    const hours = decodeQueryHours(hoursKey, (await metadata.get(hoursKey))?.value ?? new Uint8Array());
    await metadata.close();
    // 2001-01-01 was a Monday.
    check.is(hours.watched, `1${'0'.repeat(167)}`);
    check.equal([...unpackHours(hours.types[0] as PublishedHours)].slice(0, 2), [40, 0]);
    check.is(record.atMs, START_MS + HOUR_MS);
    check.is(record.totalCount, 40);
    check.equal(record.types[0]?.partitions, [
      [3, 30],
      [4, 10],
    ]);
  });
});

test('a key that makes most of its partition is published as hot', async () => {
  await withAnalysis(async ({ settings, ask, query }) => {
    await ask({ operation: 'setClock', nowMs: START_MS });
    for (let i = 0; i < 150; i++) query(3);
    await ask({ operation: 'advance', toMs: START_MS + HOUR_MS, isCycleSkipped: true });
    const metadata = openEmbeddedMetadata({ path: settings.metadata.path });
    const key = `${hotKeysPrefix('main')}10000`;
    const { hotKeys } = decodeHotKeys(key, (await metadata.get(key))?.value ?? new Uint8Array());
    await metadata.close();
    check.is(hotKeys.length, 1);
    check.is(hotKeys[0]?.partitionId, 3);
    check.is(hotKeys[0]?.keyPrefix, 'key');
    check.is(hotKeys[0]?.shareMin, 1);
  });
});

test('history that is loaded and load that is measured make one profile, and both are published', async () => {
  await withAnalysis(async ({ ask, query }) => {
    const queries = Float64Array.from({ length: 3 * PARTITION_COUNT }, (_, i) => i);
    const endMs = START_MS + 3 * HOUR_MS;
    await ask({ operation: 'setClock', nowMs: endMs });
    const history = {
      startMs: START_MS,
      windowMs: HOUR_MS,
      windowCount: 3,
      partitionCount: PARTITION_COUNT,
      queries,
    };
    check.equal(await ask({ operation: 'loadHistory', history }), { windowCount: 3 });
    query(0);
    await ask({ operation: 'advance', toMs: endMs + HOUR_MS, isCycleSkipped: true });
    const profile = await ask({ operation: 'profile' });
    check.equal([...profile.queries.subarray(0, 48)], [...queries]);
    check.equal([...profile.queries.subarray(48)], [1, ...new Array(15).fill(0)]);
  });
});

test('what does not fit is refused with its reason, and the thread goes on', async () => {
  await withAnalysis(async ({ ask, faults }) => {
    const messageOf = (asked: Promise<unknown>): Promise<string> =>
      asked.then(
        () => 'it was accepted',
        (error: Error) => error.message,
      );
    const history = { startMs: START_MS, windowMs: HOUR_MS, windowCount: 2, partitionCount: PARTITION_COUNT };
    const short = { ...history, queries: new Float64Array(5) };
    check.match(await messageOf(ask({ operation: 'loadHistory', history: short })), /queries holds 5 values/);
    const other = { ...history, partitionCount: 32, queries: new Float64Array(64) };
    check.match(await messageOf(ask({ operation: 'loadHistory', history: other })), /partitionCount is 32/);
    await ask({ operation: 'setClock', nowMs: START_MS });
    check.match(await messageOf(ask({ operation: 'setClock', nowMs: START_MS - 1 })), /does not go back/);
    check.is((await ask({ operation: 'ownership' })).ownerOf.length, PARTITION_COUNT);
    check.is(faults.length, 0);
  });
});

test('too little history is an answer, not a failure', async () => {
  await withAnalysis(async ({ ask }) => {
    await ask({ operation: 'setClock', nowMs: START_MS });
    const report = await ask({ operation: 'advance', toMs: START_MS + HOUR_MS });
    check.is(report.isCoordinator, true);
    check.is(report.cycle?.outcome, 'too-little-history');
  });
});

for (const doomed of ['analysis', 'coordinator'])
  test(`the ${doomed} thread that dies detaches the plugin, with one log line; queries go on`, async () => {
    await withAnalysis(async ({ settings }) => {
      const lines: Record<string, unknown>[] = [];
      const logger: Logger = {
        ...silentLogger,
        error: (fields) => lines.push(fields),
        child: () => logger,
      };
      const host = new QueryNodeHost(logger);
      const metadata = openEmbeddedMetadata({ path: settings.metadata.path });
      const context = { settings, nodeId: 10_001, clock: systemClock(), logger, metadata };
      let killThread: () => void = () => undefined;
      const plugin = {
        name: 'foreshard',
        attachQueryNode: (given: Parameters<typeof attachAnalysis>[0]) =>
          attachAnalysis(given, {
            onThread: (thread, name) => {
              if (name === doomed) killThread = () => void thread.terminate();
            },
          }),
      };
      await host.attachAll([plugin], context);
      const hook = host.hooks.onQueryCompleted;
      check.type(hook, 'function');
      const pending = host.control({ operation: 'captureStatus' });
      await pending;
      killThread();
      for (let i = 0; i < 200 && host.faultCount === 0; i++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      check.is(host.faultCount, 1);
      check.is(host.hooks.onQueryCompleted, null);
      check.is(lines.length, 1);
      check.match(String(lines[0]?.fault), new RegExp(`the ${doomed} thread ended by itself`));
      // A query under way may still hold the old hook.
      hook?.(12, 1, 0, 1, Buffer.from('key'), 0, 3, 100, 10, 20, 0);
      await host.close();
      await metadata.close();
    });
  });

test.run();
