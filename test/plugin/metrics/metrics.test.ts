import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { METRICS, type MetricShape } from '../../../plugin/metrics/catalogue.ts';
import { CycleBook } from '../../../plugin/metrics/cycle-book.ts';
import { exposition } from '../../../plugin/metrics/exposition.ts';
import { MetricsPage } from '../../../plugin/metrics/metrics-page.ts';
import { migrationReadings } from '../../../plugin/metrics/migration-readings.ts';
import { reading } from '../../../plugin/metrics/reading.ts';
import { NodeLatencies } from '../../../plugin/node/query/node-latency.ts';
import { newQueryCounters } from '../../../plugin/node/query/query-counters.ts';
import { queryNodeReadings } from '../../../plugin/node/query/query-node-readings.ts';
import type { ClusterState, CycleReport } from '../../../src/controller.ts';
import type { ExecutorStatus } from '../../../src/migration/executor.ts';
import type { Forecast } from '../../../src/model/forecast.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { type Family, parsePrometheus } from '../../support/prometheus-text.ts';
import { repositoryFile } from '../../support/repository.ts';

const test = suite('metrics');
const HOUR_MS = 3_600_000;
const NODE_COUNT = 8;
const HORIZON = 3;

const sampleValue = (
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined =>
  families
    .get(name)
    ?.samples.find((sample) =>
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )?.value;

const rounded = (value = Number.NaN): string => value.toPrecision(10);

/** Every partition's load in window w is `load(p, w)` queries. */
function profileOf(partitionCount: number, windowCount: number, load: (p: number, w: number) => number) {
  const values = new Float64Array(windowCount * partitionCount * LOAD_DIMENSION_COUNT);
  for (let w = 0; w < windowCount; w++)
    for (let p = 0; p < partitionCount; p++)
      values[(w * partitionCount + p) * LOAD_DIMENSION_COUNT] = load(p, w);
  const coverage = new Float64Array(windowCount).fill(1);
  return {
    startMs: 0,
    windowMs: HOUR_MS,
    windowCount,
    partitionCount,
    values,
    coverage,
  } satisfies LoadProfile;
}

function forecastOf(partitionCount: number, startMs: number, queries: number): Forecast {
  const filled = (value: number): Float64Array =>
    new Float64Array(HORIZON * partitionCount * LOAD_DIMENSION_COUNT).fill(value);
  return {
    startMs,
    stepMs: HOUR_MS,
    horizonSteps: HORIZON,
    partitionCount,
    level: 0.8,
    point: filled(queries),
    mean: filled(queries),
    lower: filled(queries * 0.5),
    upper: filled(queries * 1.5),
    skill: Float64Array.from({ length: partitionCount }, (_, p) =>
      p === 0 ? Number.NaN : p % 2 ? 0.5 : -0.5,
    ),
    members: [],
  };
}

const stateOf = (partitionCount: number): ClusterState =>
  ({
    map: { partitionCount, ownerOf: Int32Array.from({ length: partitionCount }, (_, p) => p % NODE_COUNT) },
    nodes: Array.from({ length: NODE_COUNT }, (_, nodeId) => ({
      nodeId,
      capacity: new Float64Array(LOAD_DIMENSION_COUNT).fill(7200),
    })),
  }) as unknown as ClusterState;

const reportOf = (forecast: Forecast): CycleReport => ({
  atMs: 1_000,
  outcome: 'planned',
  forecast,
  forecastMs: 250,
  planMs: 500,
  admission: { admittedCount: 0, queuedCount: 0, scheduledCount: 0 },
  proposal: {
    moves: [],
    leftOut: [],
    refusal: 'near-bound',
    costBefore: 2,
    costAfter: 1.5,
    lowerBound: 1.2,
  } as unknown as NonNullable<CycleReport['proposal']>,
});

const settings = {
  ...DEFAULT_SETTINGS,
  affinity: { ...DEFAULT_SETTINGS.affinity, dimensions: [{ dimension: 'queries' as const, weight: 1 }] },
};

/** A forecast of 100 queries for every partition, and a window in which a quarter of them had 200. */
function bookOf(partitionCount: number): CycleBook {
  const book = new CycleBook();
  const state = stateOf(partitionCount);
  book.note({
    report: reportOf(forecastOf(partitionCount, HOUR_MS, 100)),
    profile: profileOf(partitionCount, 1, () => 100),
    state,
    settings,
  });
  book.note({
    report: reportOf(forecastOf(partitionCount, 2 * HOUR_MS, 100)),
    profile: profileOf(partitionCount, 2, (p, w) => (w === 1 && p % 4 === 0 ? 200 : 100)),
    state,
    settings,
  });
  return book;
}

test('forecasts are compared with what came, by cluster and by node, and the plan is told', async () => {
  const families = parsePrometheus(await exposition(bookOf(64).readings()));
  check.is(sampleValue(families, 'foreshard_forecast_judged_total'), 64);
  check.is(sampleValue(families, 'foreshard_forecast_covered_total'), 48);
  check.is(
    rounded(sampleValue(families, 'foreshard_load_predicted', { dimension: 'queries' })),
    rounded((64 * 100) / 3600),
  );
  check.is(
    rounded(sampleValue(families, 'foreshard_load_measured', { dimension: 'queries' })),
    rounded((80 * 100) / 3600),
  );
  check.is(
    rounded(sampleValue(families, 'foreshard_node_load_measured', { storage_node: '4' })),
    rounded((16 * 100) / 3600),
  );
  check.is(
    rounded(sampleValue(families, 'foreshard_node_load_measured', { storage_node: '3' })),
    rounded((8 * 100) / 3600),
  );
  check.is(sampleValue(families, 'foreshard_node_capacity', { storage_node: '3' }), 2);
  check.is(sampleValue(families, 'foreshard_load_window_timestamp_seconds'), 3600);
  check.is(sampleValue(families, 'foreshard_forecast_ignored_partitions'), 31);
  check.is(sampleValue(families, 'foreshard_forecast_skill_ratio', { quantile: '0.9' }), 0.5);
  check.is(sampleValue(families, 'foreshard_plan_gap_ratio'), 1.5 / 1.2 - 1);
  check.is(sampleValue(families, 'foreshard_plan_refusal', { reason: 'near-bound' }), 1);
  check.is(sampleValue(families, 'foreshard_cycles_total', { outcome: 'planned' }), 2);
});

test('nothing is said of what is not known: before the first cycle, or of a window that nobody measured', async () => {
  const before = parsePrometheus(await exposition(new CycleBook().readings()));
  check.is(before.has('foreshard_plan_cost'), false);
  check.is(before.has('foreshard_forecast_load_skill_ratio'), false);
  const book = new CycleBook();
  const profile = profileOf(16, 2, () => 100);
  book.note({ report: reportOf(forecastOf(16, HOUR_MS, 100)), profile: null, state: null, settings });
  profile.coverage[1] = 0;
  book.note({
    report: { ...reportOf(forecastOf(16, HOUR_MS, 100)), forecast: null },
    profile,
    state: null,
    settings,
  });
  check.is(
    sampleValue(parsePrometheus(await exposition(book.readings())), 'foreshard_forecast_judged_total'),
    0,
  );
});

const openIn = (phase: string, partitionId: number) => ({
  ...{ partitionId, phase, migrationId: 1 },
  pace: { bytesPerSecond: 10, limitBytesPerSecond: 100, reason: '', writeRate: null, applyRate: null },
});

const statusOf = (openCount: number): ExecutorStatus =>
  ({
    open: Array.from({ length: openCount }, (_, p) => openIn(p % 2 ? 'COPY' : 'GRACE', p)),
    ...{ queuedMoveCount: 3, scheduledMoveCount: 4, doneCount: 5, abortedCount: 6, copiedBytes: 7 },
    ...{ quarantinedPartitionIds: [1, 2], abortReasons: [] },
  }) as unknown as ExecutorStatus;

test('migrations are told by phase, and only by who is in office', async () => {
  const families = parsePrometheus(await exposition(migrationReadings(true, statusOf(10))));
  check.is(sampleValue(families, 'foreshard_migrations_open', { phase: 'COPY' }), 5);
  check.is(sampleValue(families, 'foreshard_migrations_open', { phase: 'VERIFY' }), 0);
  check.is(sampleValue(families, 'foreshard_migration_copy_limit_bytes_per_second'), 500);
  check.is(sampleValue(families, 'foreshard_moves_waiting', { for: 'hour' }), 4);
  const deposed = parsePrometheus(await exposition(migrationReadings(false, statusOf(10))));
  check.is(sampleValue(deposed, 'foreshard_coordinator'), 0);
  check.is(sampleValue(deposed, 'foreshard_migrations_ended_total', { outcome: 'done' }), 5);
  check.is(deposed.has('foreshard_migrations_open'), false);
});

test('latencies of all storage nodes are one histogram that adds up', async () => {
  const latencies = new NodeLatencies(() => 0);
  for (const node of [0, 1, 2])
    for (const ms of [0.01, 0.5, 3, 40, 5_000]) latencies.answered(node, false, 0, ms);
  const readings = queryNodeReadings({
    counters: { ...newQueryCounters(), commands: 15 },
    ...{ corruptFrames: 0, strangersRefused: 2, partitionsHeld: 0, latencies: latencies.all },
    storageNodes: { known: 3, connected: 2 },
  });
  const families = parsePrometheus(await exposition(readings));
  const bucket = (le: number) =>
    sampleValue(families, 'foreshard_query_duration_seconds', { kind: 'read', le: String(le) });
  check.is(bucket(0.001024), 6);
  check.is(bucket(0.065536), 12);
  check.is(sampleValue(families, 'foreshard_refusals_total', { reason: 'stranger' }), 2);
  check.is(sampleValue(families, 'foreshard_storage_nodes', { state: 'connected' }), 2);
});

test('at 16,384 partitions and as many open migrations there are no more series than at 64', async () => {
  const readingsAt = (partitionCount: number) => [
    ...bookOf(partitionCount).readings(),
    ...migrationReadings(true, statusOf(partitionCount)),
  ];
  const seriesOf = async (partitionCount: number): Promise<string[]> =>
    [...parsePrometheus(await exposition(readingsAt(partitionCount))).values()].flatMap(({ samples }) =>
      samples.map(({ name, labels }) => `${name}${JSON.stringify(labels)}`),
    );
  const large = await seriesOf(16_384);
  check.equal(large, await seriesOf(64));
  check.ok(large.length < 150, `${large.length} series`);
});

test('docs/metrics.md has a row for every metric, as the code has it', () => {
  const page = readFileSync(repositoryFile('docs/metrics.md'), 'utf8');
  const rows = Object.entries<MetricShape>(METRICS).map(
    ([name, { type, labels, help }]) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
  );
  const told = page.split('\n').filter((line) => /^\| `(foreshard_|target_info)/.test(line));
  const missing = rows.filter((row) => !told.includes(row));
  check.equal({ missing, left: told.filter((row) => !rows.includes(row)) }, { missing: [], left: [] });
});

test('names and labels follow the conventions, and nothing is labelled by what there may be any number of', () => {
  for (const [name, { type, labels, help }] of Object.entries<MetricShape>(METRICS)) {
    check.match(name, /^(foreshard_[a-z_]+|target_info)$/);
    check.is(name.endsWith('_total'), type === 'counter', `${name}: counters and only they end in _total`);
    check.not.match(name, /milli|_ms\b|kilo|mega/);
    check.match(help, /^\S.*\.$/, name);
    for (const label of labels) check.not.match(label, /partition|key|template|client|address|migration/);
  }
});

test('a part that does not answer is told to be down, and the others are told', async () => {
  const page = new MetricsPage(
    () => [
      { name: 'stuck', read: () => new Promise(() => {}) },
      { name: 'failing', read: () => Promise.reject(new Error('no')) },
      { name: 'well', read: () => [reading('foreshard_commands_total', 3)] },
    ],
    { timeoutMs: 30 },
  );
  try {
    const [first, second] = await Promise.all([page.text(), page.text()]);
    check.is(first, second);
    const families = parsePrometheus(first);
    const up = (source: string) => sampleValue(families, 'foreshard_scrape_source_up', { source });
    check.equal([up('stuck'), up('failing'), up('well')], [0, 0, 1]);
    check.is(sampleValue(families, 'foreshard_commands_total'), 3);
    check.ok((sampleValue(families, 'process_resident_memory_bytes') ?? 0) > 1e6);
    await delay(60);
    const later = parsePrometheus(await page.text());
    const timers = later
      .get('foreshard_event_loop_delay_seconds')
      ?.samples.find(({ name }) => name.endsWith('_count'))?.value;
    check.ok((timers ?? 0) > 0, 'the event loop was watched');
  } finally {
    page.close();
  }
});

const DASHBOARD = repositoryFile('examples/grafana/foreshard.json');

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
}

test('every query of the Grafana dashboard asks for metrics that are exported, by labels that they have', async () => {
  const page = new MetricsPage(() => []);
  const runtime = parsePrometheus(await page.text());
  page.close();
  const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as { panels: Panel[] };
  const asked = new Set<string>();
  for (const { title, targets = [] } of dashboard.panels)
    for (const { expr } of targets) {
      const names = expr.match(/\b(foreshard|process|nodejs)_[a-z0-9_]+/g) ?? [];
      check.ok(names.length > 0, `${title}: ${expr}`);
      for (const name of names) {
        const family = name.replace(/_(bucket|sum|count)$/, '');
        const shape = (METRICS as Readonly<Record<string, MetricShape>>)[family];
        check.ok(shape !== undefined || runtime.has(family), `${title}: there is no ${name}`);
        asked.add(family);
        const own = new Set([...(shape?.labels ?? []), 'le', 'job', 'instance']);
        for (const [, list = ''] of expr.matchAll(/\bby \(([^)]*)\)/g))
          for (const label of list.split(', ')) check.ok(own.has(label), `${title}: ${name} has no ${label}`);
      }
    }
  for (const name of ['foreshard_forecast_skill_ratio', 'foreshard_capture_dropped_total'])
    check.ok(asked.has(name), name);
});

test('the Grafana dashboard is one that Grafana takes: panels have places of their own, ids and queries', () => {
  const { panels, ...dashboard } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as {
    panels: Panel[];
    uid: string;
    schemaVersion: number;
    templating: { list: { name: string; type: string }[] };
  };
  check.is(dashboard.uid, 'foreshard');
  check.ok(dashboard.schemaVersion >= 36);
  check.equal(
    dashboard.templating.list.map(({ name, type }) => `${name}: ${type}`),
    ['datasource: datasource', 'job: query'],
  );
  check.is(new Set(panels.map(({ id }) => id)).size, panels.length);
  const cells = new Set<string>();
  for (const { title, type, gridPos, targets } of panels) {
    check.ok(type === 'row' || (targets?.length ?? 0) > 0, title);
    check.ok(gridPos.x + gridPos.w <= 24, title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        check.not.ok(cells.has(`${x},${y}`), `${title} lies on another panel`);
        cells.add(`${x},${y}`);
      }
  }
});

test.run();
