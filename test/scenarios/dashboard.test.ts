/**
 * The dashboard in a real browser, on a real cluster: log in, look, approve a move, see it done. Chromium is Debian's.
 * `FORESHARD_SCREENSHOTS=<folder>` keeps pictures of it.
 */
import { createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Browser, Page } from 'playwright-core';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { RpcStorageEngine } from '../../plugin/engines/migration-agent/rpc-storage-engine.ts';
import { encodeWindow } from '../../plugin/host/analysis/profile-publisher.ts';
import { profilePrefix } from '../../plugin/host/records/record-keys.ts';
import { clusterKeys } from '../../plugin/metadata/cluster-keys.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { QUERY_NODE_ID_MIN } from '../../plugin/node/node-options.ts';
import { openDashboard } from '../../plugin/operator/dashboard/run-dashboard.ts';
import type { RunningDashboard } from '../../plugin/operator/dashboard/server.ts';
import { Sessions } from '../../plugin/operator/dashboard/sessions.ts';
import { withNodes } from '../../plugin/operator/operator-transport.ts';
import { systemClock } from '../../src/base/clock.ts';
import { LOAD_DIMENSION_COUNT } from '../../src/model/load-profile.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../src/settings.ts';
import {
  CHROMIUM,
  DASHBOARD_TOKEN,
  launchChromium,
  openDashboardPage,
  picture,
  seriousViolations,
  textOf,
} from '../support/dashboard-page.ts';
import { requireOrSkip } from '../support/require.ts';
import { runHere } from '../support/run-here.ts';
import { CLUSTER, until } from '../support/scenario.ts';

const HOUR_MS = 3_600_000;
const NODE_COUNT = 3;
const PARTITION_COUNT = 64;
const HISTORY_DAYS = 14;
const HISTORY_START_MS = Date.UTC(2026, 0, 5);
const NOW_MS = HISTORY_START_MS + HISTORY_DAYS * 24 * HOUR_MS;
/** The first two thirds of node 0's partitions are hot in the afternoon. */
const HOT_PARTITIONS = 14;
const CAPACITY = 1_100;

const test = suite('dashboard in a browser');
const isAvailable = requireOrSkip('chromium', existsSync(CHROMIUM));

function queriesOf(partition: number, hour: number): number {
  const afternoon = 1 + 0.6 * Math.sin((2 * Math.PI * (hour - 8)) / 24);
  const own = 1 + 0.3 * Math.sin(partition);
  return Math.round((partition < HOT_PARTITIONS ? 90 : 18) * own * afternoon);
}

const hours = Array.from({ length: HISTORY_DAYS * 24 }, (_, hour) => hour);
const loadIn = (hour: number): number[] =>
  Array.from({ length: PARTITION_COUNT }, (_, partition) => queriesOf(partition, hour));

let cluster: LocalCluster;
let metadata: MetadataStore;
let finish: () => void = () => {};
let served: Promise<void> | undefined;
let dashboard: RunningDashboard;
let browser: Browser;
let client: Redis;

const KEY_COUNT = 8_000;
const textOfKey = (key: number): string => String(key).padEnd(1_000, '.');

async function wrongKeys(): Promise<number[]> {
  const keys = Array.from({ length: KEY_COUNT }, (_, key) => key);
  const values = await client.mget(keys.map((key) => `key:${key}`));
  return keys.filter((key) => values[key] !== textOfKey(key));
}

let folder: string;
const health = (): string => `unix:${join(folder, 'health.sock')}`;
const SECRET = 'a-secret-for-this-test-only';
/** What somebody who is to be told of things has been sent. */
const delivered: { readonly headers: IncomingHttpHeaders; readonly body: string }[] = [];
const receiver = createServer(async (request, response) => {
  let body = '';
  for await (const piece of request.setEncoding('utf8')) body += piece;
  delivered.push({ headers: request.headers, body });
  response.end();
});

test.before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'foreshard-dashboard-'));
  writeFileSync(join(folder, 'secret'), SECRET, { mode: 0o600 });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', () => resolve()));
  const { port } = receiver.address() as AddressInfo;
  cluster = await LocalCluster.start({
    storageNodeCount: NODE_COUNT,
    partitionCount: PARTITION_COUNT,
    settings: {
      plugin: { mode: 'propose' },
      webhooks: { url: `http://127.0.0.1:${port}/`, secretFile: join(folder, 'secret') },
      cluster: { nodeCapacity: { queries: CAPACITY / 3600 } },
      affinity: { iterations: 20_000 },
      migration: {
        residenceMs: 0,
        readWeightSteps: [0.5, 1],
        readWeightHoldMs: 10,
        graceMs: 500,
        freeBytesReserve: 0,
      },
      controller: { seed: '7' },
    },
    environmentOf: (nodeId) =>
      nodeId === QUERY_NODE_ID_MIN ? { FORESHARD_NODE_HEALTH_LISTEN: health() } : {},
  });
  metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
  await publishHistory();
  await cluster.control({ operation: 'setClock', nowMs: NOW_MS });
  const shape = { startMs: HISTORY_START_MS, windowMs: HOUR_MS, windowCount: hours.length };
  const queries = Float64Array.from(hours.flatMap(loadIn));
  await cluster.control({
    operation: 'loadHistory',
    history: { ...shape, partitionCount: PARTITION_COUNT, queries },
  });
  const report = await cluster.control({ operation: 'advance', toMs: NOW_MS });
  check.ok((report.cycle?.proposedCount ?? 0) > 0, 'there is something to approve');
  client = new Redis({ host: cluster.host, port: cluster.port });
  for (let first = 0; first < KEY_COUNT; first += 1_000) {
    const batch = client.pipeline();
    for (let key = first; key < first + 1_000; key++) batch.set(`key:${key}`, textOfKey(key));
    await batch.exec();
  }
  dashboard = await serve();
  browser = await launchChromium();
});

test.after(async () => {
  client?.disconnect();
  await browser?.close();
  await dashboard?.close();
  finish();
  await served;
  await metadata?.close();
  await cluster?.stop();
  receiver.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** As a query node publishes what it has measured; a history that is loaded stays in its memory. */
async function publishHistory(): Promise<void> {
  for (const hour of hours) {
    const values = new Float64Array(PARTITION_COUNT * LOAD_DIMENSION_COUNT);
    loadIn(hour).forEach((queries, partition) => {
      values[partition * LOAD_DIMENSION_COUNT] = queries;
    });
    const startMs = HISTORY_START_MS + hour * HOUR_MS;
    const counts = { capturedCount: 1, droppedCount: 0 };
    const window = { startMs, queryNodeId: QUERY_NODE_ID_MIN, values, ...counts };
    const [value] = encodeWindow(window) as [Uint8Array];
    const key = `${profilePrefix(CLUSTER)}${startMs}/${QUERY_NODE_ID_MIN}/00`;
    await metadata.commit({ conditions: [], writes: [{ kind: 'put', key, value }] });
  }
}

/** Resolves once it listens; the way to the nodes stays open until `finish` is called. */
function serve(): Promise<RunningDashboard> {
  const settings: Settings = {
    ...DEFAULT_SETTINGS,
    plugin: { ...DEFAULT_SETTINGS.plugin, mode: 'propose' },
    cluster: {
      ...DEFAULT_SETTINGS.cluster,
      name: CLUSTER,
      partitionCount: PARTITION_COUNT,
      storageNodeCount: NODE_COUNT,
    },
  };
  const sessions = new Sessions([{ token: DASHBOARD_TOKEN, right: 'operate' }], systemClock());
  return new Promise((resolve, reject) => {
    served = withNodes(settings, metadata, async (transport) => {
      const engine = new RpcStorageEngine(transport);
      const components = { settings, metadata, engine, sessions, nowMs: () => NOW_MS };
      resolve(await openDashboard({ host: '127.0.0.1', port: 0 }, components));
      await new Promise<void>((end) => {
        finish = end;
      });
    }).catch(reject);
  });
}

const openPage = (colorScheme: 'light' | 'dark' = 'light') =>
  openDashboardPage(browser, dashboard.port, colorScheme);

/** Approves the first move of the proposal on the page. */
async function approveFirst(page: Page, reason: string) {
  const open = page
    .locator('section[aria-label=proposal] tbody tr')
    .filter({ has: page.getByRole('checkbox') });
  const row = open.first();
  const partitionId = Number(await textOf(row.locator('td').nth(1)));
  const [, target] = (await textOf(row.locator('td').nth(2))).split(' → ').map(Number);
  await row.getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Approve chosen' }).click();
  await giveReason(page, reason);
  return { partitionId, target };
}

async function giveReason(page: Page, reason: string): Promise<void> {
  await page.getByLabel('Why, for the audit').fill(reason);
  await page.getByRole('button', { name: 'Do it' }).click();
}

const ownerOf = async (partitionId: number) =>
  (await cluster.control({ operation: 'ownership' })).ownerOf[partitionId];

test('a proposed move is approved, carried out to its end and told', async () => {
  const { context, page, faults } = await openPage();
  check.is(new URL(page.url()).hash, '', 'the token does not stay in the address');
  await picture(page, 'light');
  const { partitionId, target } = await approveFirst(page, 'the test says so');
  // Told without a reload: the server says that the map has changed.
  const ended = page
    .locator('section[aria-label=migrations] tbody tr')
    .filter({ hasText: new RegExp(`^${partitionId}0 → ${target}done`) });
  await until(async () => (await ended.count()) === 1, 'the page shows it as done');
  check.is(await ownerOf(partitionId), target);
  check.equal(await wrongKeys(), [], 'nothing is lost on the way');
  check.match(await textOf(ended), /1\d\d kB|0\.1 MB/, 'it was not empty');
  check.match(await textOf(page.locator('section[aria-label=migrations]')), /None open\./);
  check.match(
    await textOf(page.locator('section[aria-label=audit]')),
    /approve partition \d+.*the test says so/,
  );
  const card = page.locator('section[aria-label=scorecard] tbody tr').first();
  await until(async () => (await textOf(card)).startsWith(`${partitionId}0 → ${target}`), 'its scorecard');
  const proposed = page
    .locator('section[aria-label=proposal] tbody tr')
    .filter({ hasText: `${partitionId}0 → ${target}` });
  await until(async () => /done/.test(await textOf(proposed)), 'and among what was proposed');
  check.is(await proposed.getByRole('checkbox').count(), 0, 'nothing is left to approve of it');
  const history = await metadata.list(clusterKeys(CLUSTER).historyPrefix);
  check.ok(history.entries.length > 0, 'it stands in the history');
  await picture(page, 'finished', 'section[aria-label=proposal]');
  check.equal(faults, []);
  await context.close();
});

const configFile = (): string => join(cluster.folder, 'foreshard.config.json');

/** As an operator does it: the file is edited, the node is told. */
async function reload(migration: Readonly<Record<string, unknown>>): Promise<void> {
  const file = configFile();
  const config = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...config, migration: { ...config.migration, ...migration } }));
  const { exitCode, stdout, stderr } = await runHere(
    'config',
    'reload',
    '--config',
    file,
    '--socket',
    health(),
  );
  check.is(exitCode, 0, stderr);
  check.is(stdout, 'query node 10000: in force now: migration.graceMs\n');
}

test('what a cycle has proposed is delivered to whom the settings name, signed', async () => {
  const told = (type: string) => delivered.find(({ body }) => JSON.parse(body).type === type);
  await until(async () => told('proposal.made') !== undefined, 'the proposal is delivered');
  const { headers, body } = told('proposal.made') as (typeof delivered)[number];
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const signature = createHmac('sha256', SECRET).update(signed).digest('base64');
  check.is(headers['webhook-signature'], `v1,${signature}`);
  const { data } = JSON.parse(body);
  check.is(data.cluster, CLUSTER);
  const { stdout } = await runHere('proposal', '--json', '--config', configFile());
  const proposal = JSON.parse(stdout) as { moves: { partitionId: number; targetNodeId: number }[] };
  check.equal(
    data.moves.map(({ partitionId, targetNodeId }: { partitionId: number; targetNodeId: number }) => [
      partitionId,
      targetNodeId,
    ]),
    proposal.moves.map(({ partitionId, targetNodeId }) => [partitionId, targetNodeId]),
    'it tells the moves of the proposal',
  );
});

test('a move that has been made is rolled back from the page', async () => {
  await reload({ graceMs: 60_000 });
  const { context, page, faults } = await openPage();
  const { partitionId, target } = await approveFirst(page, 'there');
  const migration = page.locator('section[aria-label=migrations] tbody tr').first();
  await until(async () => /GRACE/.test(await textOf(migration)), 'the page shows it in its grace');
  check.is(await ownerOf(partitionId), target);
  await migration.getByRole('button', { name: 'Roll back' }).click();
  await giveReason(page, 'and back');
  await until(async () => (await ownerOf(partitionId)) === 0, 'the partition is back');
  check.equal(faults, []);
  await context.close();
});

test('the heat map zooms by keyboard and by hand, and tells of a partition', async () => {
  const { context, page, faults } = await openPage('dark');
  await picture(page, 'dark');
  const range = page.locator('#range');
  check.match(await textOf(range), /partitions 0 to 63/);
  const canvas = page.locator('.heat canvas');
  await canvas.focus();
  await page.keyboard.press('+');
  await until(async () => !/partitions 0 to 63/.test(await textOf(range)), 'it is zoomed');
  await page.keyboard.press('Escape');
  await until(async () => /partitions 0 to 63/.test(await textOf(range)), 'it is whole again');
  const box = (await canvas.boundingBox()) as { x: number; y: number; width: number; height: number };
  await page.mouse.move(box.x + 20, box.y + 5);
  await page.mouse.down();
  await page.mouse.move(box.x + 300, box.y + box.height / 4);
  await page.mouse.up();
  await until(async () => /partitions 0 to 1\d/.test(await textOf(range)), 'it shows what was framed');
  await canvas.click({ position: { x: 40, y: 10 } });
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  check.match(
    await textOf(dialog),
    /Partition \d+.*On node 0.*load of the last \d+ windows, and forecast of \d+/,
  );
  await picture(page, 'partition');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  check.equal(faults, []);
  await context.close();
});

test('hover and keyboard tell of a cell: time, partition, load, planned moves, who asks for what', async () => {
  const { context, page, faults } = await openPage();
  const canvas = page.locator('.heat canvas');
  await canvas.hover({ position: { x: 40, y: 10 } });
  const readout = page.locator('#readout');
  await until(
    async () => /partition 1: \d+ queries, measured/.test(await textOf(readout)),
    'it tells of partition 1',
  );
  const mix = page.locator('#mix');
  await until(async () => /^Asked for: /.test(await textOf(mix)), 'and of what it is asked for');
  await canvas.focus();
  for (let i = 0; i < PARTITION_COUNT; i++) await page.keyboard.press('Shift+ArrowUp');
  await until(async () => /partition 0: /.test(await textOf(readout)), 'the first row by keyboard');
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  check.match(await textOf(dialog), /^Partition 0On node/);
  await page.keyboard.press('Escape');
  check.match(await textOf(page.locator('section[aria-label=scorecard]')), /Scorecard/);
  check.equal(faults, []);
  await context.close();
});

test('nothing serious is found by axe, in light and dark', async () => {
  for (const scheme of ['light', 'dark'] as const) {
    const { context, page } = await openPage(scheme);
    check.equal(await seriousViolations(page), [], scheme);
    await context.close();
  }
});

if (isAvailable) test.run();
