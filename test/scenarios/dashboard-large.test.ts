/**
 * The dashboard of the largest cluster there may be: 16,384 partitions on 64 nodes, a week measured and a week forecast. The bars
 * of the page are of a quiet machine: here they are printed; of the first paint only what is far from its bar fails.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { encodeWindow } from '../../plugin/host/analysis/profile-publisher.ts';
import { encodeForecast } from '../../plugin/host/records/forecast-record.ts';
import { encodeProposal } from '../../plugin/host/records/proposal-record.ts';
import { forecastPrefix, profilePrefix, proposalKey } from '../../plugin/host/records/record-keys.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { recordCodec } from '../../plugin/metadata/record-codec.ts';
import { QUERY_NODE_ID_MIN } from '../../plugin/node/node-options.ts';
import { openDashboard } from '../../plugin/operator/dashboard/run-dashboard.ts';
import type { RunningDashboard } from '../../plugin/operator/dashboard/server.ts';
import { Sessions } from '../../plugin/operator/dashboard/sessions.ts';
import { systemClock } from '../../src/base/clock.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../src/model/ids.ts';
import { LOAD_DIMENSION_COUNT } from '../../src/model/load-profile.ts';
import { contiguousMap } from '../../src/model/partition-map.ts';
import type { Proposal } from '../../src/model/proposal.ts';
import {
  type MetadataStore,
  type MetadataWrite,
  TRANSACTION_OPERATIONS_MAX,
} from '../../src/ports/metadata-store.ts';
import type { StorageEngine } from '../../src/ports/storage-engine.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../src/settings.ts';
import {
  CHROMIUM,
  DASHBOARD_TOKEN,
  launchChromium,
  openDashboardPage,
  picture,
  seriousViolations,
  textOf,
  timesOf,
} from '../support/dashboard-page.ts';
import { requireOrSkip } from '../support/require.ts';
import { CLUSTER, until } from '../support/scenario.ts';

const HOUR_MS = 3_600_000;
const PARTITION_COUNT = 16_384;
const NODE_COUNT = 64;
const HOUR_COUNT = 168;
const MOVE_COUNT = 200;
const START_MS = Date.UTC(2026, 0, 5);
const NOW_MS = START_MS + HOUR_COUNT * HOUR_MS;

const test = suite('dashboard of 16,384 partitions');
const isAvailable = requireOrSkip('chromium', existsSync(CHROMIUM));
const map = contiguousMap(PARTITION_COUNT, NODE_COUNT);

let folder: string;
let metadata: MetadataStore;
let dashboard: RunningDashboard;
let browser: Browser;

const put = (key: string, value: Uint8Array): MetadataWrite => ({ kind: 'put', key, value });
const commit = (writes: readonly MetadataWrite[]) => metadata.commit({ conditions: [], writes });

/** Spread as the keys of a real application are: a few partitions are hundreds of times as hot as most. */
const heatOf = Float64Array.from(
  { length: PARTITION_COUNT },
  (_, partition) => 20 + 40_000 / (1 + ((partition * 2_654_435_761) % PARTITION_COUNT)),
);
const queriesOf = (partition: number, hour: number): number =>
  Math.round(
    (heatOf[partition] as number) * (1 + 0.6 * Math.sin((2 * Math.PI * (hour + (partition % 24))) / 24)),
  );

test.before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'foreshard-test-'));
  metadata = openEmbeddedMetadata({ path: join(folder, 'metadata') });
  await writeMap();
  await writeLoad();
  await commit([put(proposalKey(CLUSTER), proposalOf(MOVE_COUNT))]);
  const settings: Settings = {
    ...DEFAULT_SETTINGS,
    cluster: {
      ...DEFAULT_SETTINGS.cluster,
      name: CLUSTER,
      partitionCount: PARTITION_COUNT,
      storageNodeCount: NODE_COUNT,
    },
  };
  const sessions = new Sessions([{ token: DASHBOARD_TOKEN, right: 'operate' }], systemClock());
  // Nothing is being moved, so that no storage node is asked.
  const engine = {} as StorageEngine;
  const components = { settings, metadata, engine, sessions, nowMs: () => NOW_MS };
  dashboard = await openDashboard({ host: '127.0.0.1', port: 0 }, components);
  browser = await launchChromium();
});

test.after(async () => {
  await browser?.close();
  await dashboard?.close();
  await metadata?.close();
  if (folder) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

async function writeMap(): Promise<void> {
  const { encodePartition, keys } = recordCodec(CLUSTER);
  const writes = Array.from(map.ownerOf, (owner, partition) =>
    put(
      keys.map(partition),
      encodePartition({
        partitionId: asPartitionId(partition),
        ownerNodeId: asNodeId(owner),
        ownerStoreId: `store-${owner}`,
        epoch: asEpoch(1),
        ownedSinceMs: 0,
        migrationSeq: 0,
        migration: null,
      }),
    ),
  );
  writes.push(put(keys.cluster, Buffer.from(JSON.stringify({ v: 1, partitionCount: PARTITION_COUNT }))));
  while (writes.length > 0) await commit(writes.splice(0, TRANSACTION_OPERATIONS_MAX));
}

async function writeLoad(): Promise<void> {
  for (let hour = 0; hour < HOUR_COUNT; hour++) {
    const values = new Float64Array(PARTITION_COUNT * LOAD_DIMENSION_COUNT);
    for (let p = 0; p < PARTITION_COUNT; p++) values[p * LOAD_DIMENSION_COUNT] = queriesOf(p, hour);
    const startMs = START_MS + hour * HOUR_MS;
    const chunks = encodeWindow({
      startMs,
      queryNodeId: QUERY_NODE_ID_MIN,
      values,
      capturedCount: 1,
      droppedCount: 0,
    });
    const prefix = `${profilePrefix(CLUSTER)}${startMs}/${QUERY_NODE_ID_MIN}/`;
    await commit(chunks.map((chunk, i) => put(`${prefix}${String(i).padStart(2, '0')}`, chunk)));
  }
  const mean = new Float64Array(HOUR_COUNT * PARTITION_COUNT * LOAD_DIMENSION_COUNT);
  for (let hour = 0; hour < HOUR_COUNT; hour++)
    for (let p = 0; p < PARTITION_COUNT; p++)
      mean[(hour * PARTITION_COUNT + p) * LOAD_DIMENSION_COUNT] = queriesOf(p, hour);
  const shape = {
    startMs: NOW_MS,
    stepMs: HOUR_MS,
    horizonSteps: HOUR_COUNT,
    partitionCount: PARTITION_COUNT,
  };
  for (const [i, chunk] of encodeForecast({ ...shape, mean }).entries())
    await commit([put(`${forecastPrefix(CLUSTER)}${String(i).padStart(2, '0')}`, chunk)]);
}

/** Spread over all partitions and the whole week. */
function proposalOf(moveCount: number): Uint8Array {
  const moves = Array.from({ length: moveCount }, (_, i) => {
    const partitionId = asPartitionId(Math.floor((i * PARTITION_COUNT) / moveCount));
    const startMs = NOW_MS + Math.floor((i * HOUR_COUNT) / moveCount) * HOUR_MS;
    const sourceNodeId = asNodeId(map.ownerOf[partitionId] as number);
    return {
      partitionId,
      sourceNodeId,
      targetNodeId: asNodeId((sourceNodeId + 1) % NODE_COUNT),
      sizeBytes: 2 ** 20,
      gain: 1,
      cost: 0.1,
      reason: `relieves node ${sourceNodeId} in queries, most at 2026-01-19 14:00 UTC: about 211.5 % -> 194.5 %`,
      schedule: {
        startMs,
        ...{ endMs: startMs + 30_000, seconds: 30, bytesPerSecond: 2 ** 20, price: 0.1, gain: 1 },
      },
    };
  });
  const proposal: Proposal = {
    baseOwnerOf: Int32Array.from(map.ownerOf),
    baseEpochOf: new Uint32Array(PARTITION_COUNT).fill(1),
    targetOwnerOf: Int32Array.from(map.ownerOf),
    moves,
    leftOut: [],
    growth: [],
    ...{ costBefore: 2, costAfter: 1, costOverTime: 1, lowerBound: 1 },
    algorithm: 'annealing',
    seed: 1n,
    iterations: 1,
  };
  return encodeProposal(proposal, {
    ...{ atMs: NOW_MS, expiresAtMs: NOW_MS + HOUR_MS, wayBackMs: HOUR_MS },
    ...{ inputsHash: null, kernelHash: '', ignoredForecasts: [], evidence: null },
  });
}

/** From a press of a key until the next picture stands, asked of the browser's own clock. */
const zoomMs = (page: Page): Promise<number> =>
  page.evaluate(`new Promise((resolve) => {
    const heat = document.querySelector('[data-draw-ms]');
    const range = document.getElementById('range');
    const before = range.textContent;
    const startedMs = performance.now();
    new MutationObserver((_, observer) => {
      if (range.textContent === before) return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - startedMs)));
    }).observe(range, { childList: true, characterData: true, subtree: true });
    heat.querySelector('canvas').dispatchEvent(new KeyboardEvent('keydown', { key: '+', bubbles: true }));
  })`);

test('a week measured and a week forecast of all partitions are drawn, zoomed and told at once', async () => {
  const { context, page, faults, sizes } = await openDashboardPage(browser, dashboard.port);
  const { paintMs, drawMs } = await timesOf(page);
  check.match(await textOf(page.locator('#range')), /partitions 0 to 16383, 2026-01-05 .* to 2026-01-19/);
  await picture(page, 'large');
  const zoomedMs = [await zoomMs(page), await zoomMs(page), await zoomMs(page)].sort(
    (a, b) => a - b,
  )[1] as number;
  const { drawMs: drawnAgainMs } = await timesOf(page);
  const largest = [...sizes].sort(([, a], [, b]) => b - a)[0] as [string, number];
  console.log(
    `dashboard, ${PARTITION_COUNT} partitions x ${HOUR_COUNT} hours: first paint after ${paintMs.toFixed(0)} ms (bar 1000), ` +
      `drawn in ${drawMs} ms, again in ${drawnAgainMs} ms (bar 100), a zoom stands after ${zoomedMs.toFixed(0)} ms, ` +
      `largest answer ${(largest[1] / 1024).toFixed(0)} KiB, ${largest[0]} (bar 1024)`,
  );
  // The better of two drawings: what else the machine does is none of the page's time.
  check.ok(Math.min(drawMs, drawnAgainMs) < 100, `drawn in ${drawMs} and ${drawnAgainMs} ms`);
  check.ok(paintMs < 5_000, `first paint after ${paintMs} ms`);
  check.equal(faults, []);
  await context.close();
});

test('nothing is lost where rows stand for many partitions: the hottest is found by zooming', async () => {
  const { context, page, faults } = await openDashboardPage(browser, dashboard.port);
  const hottest = heatOf.indexOf(Math.max(...heatOf));
  const canvas = page.locator('.heat canvas');
  const box = (await canvas.boundingBox()) as { width: number; height: number };
  const y = ((hottest + 0.5) / PARTITION_COUNT) * box.height;
  await canvas.hover({ position: { x: 40, y } });
  const readout = page.locator('#readout');
  const rows = PARTITION_COUNT / 512;
  const first = Math.floor(hottest / rows) * rows;
  await until(
    async () =>
      new RegExp(`partitions ${first}-${first + rows - 1}, the hottest: `).test(await textOf(readout)),
    'a row tells of all its partitions',
  );
  check.equal(await seriousViolations(page), []);
  check.equal(faults, []);
  await context.close();
});

if (isAvailable) test.run();
