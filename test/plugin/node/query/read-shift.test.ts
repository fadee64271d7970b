/** Reads while a partition moves: sessions, guards, mirrored reads, over real stores and real query nodes in one process. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { CLUSTER } from '../../../../bench/migration-cluster.ts';
import { COMMANDS } from '../../../../plugin/commands/table.ts';
import { encodedKey } from '../../../../plugin/engines/lmdb/physical-key.ts';
import { gatherReport, reportLines } from '../../../../plugin/operator/migration/migrations-report.ts';
import { quarantineOf } from '../../../../src/migration/queue/quarantine.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';
import type { StorageEngine } from '../../../../src/ports/storage-engine.ts';
import { RespClient, RespError } from '../../../support/resp-client.ts';
import {
  SHIFT_PARTITION,
  SHIFT_SETTINGS,
  ShiftCluster,
  SOURCE,
  shiftKey,
  TARGET,
} from '../../../support/shift-cluster.ts';

const test = suite<{ cluster: ShiftCluster | null }>('reads while a partition moves');

test.before.each((context) => {
  context.cluster = null;
});
test.after.each(async (context) => {
  await context.cluster?.close();
});

type Settings = typeof SHIFT_SETTINGS;

const hasMoved = ({ migration, ownerNodeId }: PartitionRecord): boolean =>
  migration === null && ownerNodeId === TARGET;

async function open(
  context: { cluster: ShiftCluster | null },
  options: {
    settings?: Partial<Settings>;
    readGuard?: Partial<Settings['readGuard']>;
    queryNodeCount?: number;
    copyReads?: Parameters<typeof ShiftCluster.open>[1] extends infer O
      ? O extends { copyReads?: infer C }
        ? C
        : never
      : never;
  } = {},
): Promise<ShiftCluster> {
  const settings = {
    ...SHIFT_SETTINGS,
    ...options.settings,
    readGuard: { ...SHIFT_SETTINGS.readGuard, ...options.readGuard },
  };
  const cluster = await ShiftCluster.open(settings, {
    ...(options.queryNodeCount !== undefined && { queryNodeCount: options.queryNodeCount }),
    ...(options.copyReads !== undefined && { copyReads: options.copyReads }),
  });
  context.cluster = cluster;
  return cluster;
}

/** Clients that read and write their own keys until told to stop; each may come back through another query node. */
class Sessions {
  readonly faults: string[] = [];
  operationCount = 0;
  #isEnding = false;
  readonly #running: Promise<void>[];

  constructor(cluster: ShiftCluster, options: { readonly count: number; readonly readsPerWrite: number }) {
    this.#running = Array.from({ length: options.count }, (_, i) =>
      this.#run(cluster, i, options.readsPerWrite),
    );
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#running);
  }

  async #run(cluster: ShiftCluster, id: number, readsPerWrite: number): Promise<void> {
    const key = shiftKey(`session-${id}`);
    let written = 0;
    for (let life = id; !this.#isEnding; life++) {
      const { port } = cluster.queries[life % cluster.queries.length] as { port: number };
      const client = await RespClient.connect(port);
      for (let round = 0; round < 20 && !this.#isEnding; round++) {
        for (let read = 0; read < readsPerWrite; read++) {
          this.#check(id, written, await client.call('GET', key));
          // So that others have their turn: one process does all of this.
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        const reply = await client.call('SET', key, String(++written));
        if (reply !== 'OK') this.faults.push(`session ${id}: SET answered ${JSON.stringify(reply)}`);
      }
      client.close();
    }
  }

  #check(id: number, written: number, reply: unknown): void {
    this.operationCount++;
    const isRight = written === 0 ? reply === null : reply === String(written);
    if (isRight) return;
    const got = reply instanceof RespError ? reply.text : JSON.stringify(reply);
    this.faults.push(`session ${id} wrote ${written} and read ${got}`);
  }
}

test('every session reads what it wrote, at every weight, over the switch, and through another query node', async (context) => {
  const cluster = await open(context, {
    settings: { readWeightHoldMs: 600 },
    queryNodeCount: 2,
    copyReads: { shadowShare: 0.2 },
  });
  cluster.delayLog(20);
  const sessions = new Sessions(cluster, { count: 8, readsPerWrite: 3 });
  await cluster.start();
  await cluster.until(hasMoved, 'it has moved', 60_000);
  await sessions.end();
  check.equal(sessions.faults, []);
  check.is((await cluster.record()).ownerNodeId, TARGET);
  for (const { counters } of cluster.queries) {
    check.ok(counters.copyReads > 0, 'reads at the copy');
    check.is(counters.shadowReadsUnequal, 0);
  }
});

test('writes stay with the source at weight 1, and every query is told of once', async (context) => {
  const cluster = await open(context, {
    // Longer than the test looks: it ends in SHIFT.
    settings: { readWeightSteps: [1], readWeightHoldMs: 120_000, shadowReadShare: 0 },
    copyReads: { shadowShare: 1 },
  });
  const told: { command: string; nodeId: number }[] = [];
  cluster.hooks.onQueryCompleted = (command, _partition, nodeId) => {
    told.push({ command: COMMANDS[command]?.name as string, nodeId });
  };
  const client = await RespClient.connect((cluster.queries[0] as { port: number }).port);
  for (let i = 0; i < 30; i++)
    await client.call('SET', shiftKey(i), 'v', ...(i % 3 === 0 ? ['EX', '1000'] : []));
  await cluster.start();
  await cluster.until(({ migration }) => migration?.readWeight === 1, 'weight 1');
  told.length = 0;
  let asked = 0;
  while (asked < 40) {
    await client.call('GET', shiftKey(asked % 30));
    await client.call('APPEND', shiftKey(`more-${asked % 5}`), 'w');
    asked++;
    // What is being copied is nobody's twice.
    if (asked % 10 === 0) {
      const keys: string[] = [];
      let cursor = '0';
      do {
        const [next, page] = (await client.call('SCAN', cursor, 'COUNT', '100')) as [string, string[]];
        keys.push(...page);
        cursor = next;
      } while (cursor !== '0');
      check.is(keys.length, new Set(keys).size);
      check.is(await client.call('DBSIZE'), keys.length);
    }
  }
  client.close();
  const reads = told.filter(({ command }) => command === 'GET');
  const writes = told.filter(({ command }) => command === 'APPEND');
  check.is(reads.length, asked, 'mirrored reads and probes are not in the query log');
  check.is(writes.length, asked);
  check.ok(reads.some(({ nodeId }) => nodeId === TARGET));
  check.ok(
    writes.every(({ nodeId }) => nodeId === SOURCE),
    'a weight moves no write',
  );
});

test('a target that becomes slow loses its reads, is tried again, and no client sees an error', async (context) => {
  const cluster = await open(context, {
    // The weight is held for longer than the test looks: it ends when reads have come back. Half of the sessions stay at the
    // source: what is slow is judged by reads of both sides.
    settings: { readWeightSteps: [0.5], readWeightHoldMs: 120_000, shadowReadShare: 0 },
    readGuard: { latencyMsMin: 40, latencyRatioMax: 1.5, redsMax: 5, badWindowsMin: 1 },
    // Nobody gives a slow read up before it is answered: on a busy machine the source's reads are slow as well.
    copyReads: { lateMs: 5_000 },
  });
  const sessions = new Sessions(cluster, { count: 12, readsPerWrite: 5 });
  await new Promise((resolve) => setTimeout(resolve, 200));
  await cluster.start();
  await cluster.until(({ migration }) => migration?.readWeight === 0.5, 'reads are at the target');
  const readsBefore = cluster.queries[0]?.counters.copyReads ?? 0;
  while ((cluster.queries[0]?.counters.copyReads ?? 0) < readsBefore + 10)
    await new Promise((resolve) => setTimeout(resolve, 5));
  cluster.copyReadFault = () => ({ delayMs: 1_000 });
  const { migration } = await cluster.until(
    (record) => record.migration?.guardReds === 1,
    'the guard has taken the reads back',
  );
  check.is(migration?.readWeight, 0);
  check.match(migration?.guardReason as string, /^p99 of reads is .* ms at the target/);
  const open_ = cluster.migration.executor.status().open[0];
  check.match(open_?.reads?.redReason as string, /^p99/);
  check.match(
    await toldOf(cluster),
    /SHIFT for .*, reads taken back 1 time \(p99 of reads is .*\), \d+ reads at the target with a p99 of /,
  );
  cluster.copyReadFault = null;
  await cluster.until((record) => record.migration?.readWeight === 0.5, 'it is tried again');
  await sessions.end();
  check.equal(sessions.faults, []);
});

for (const fault of ['fail', 'swallow'] as const)
  test(`a target whose reads ${fault === 'fail' ? 'fail' : 'are never answered'} is given up, and no client sees an error`, async (context) => {
    const cluster = await open(context, {
      settings: { readWeightSteps: [1], readWeightHoldMs: 60_000, shadowReadShare: 0 },
      readGuard: { errorShareMax: 0.05, redsMax: 2, holdMs: 100 },
      copyReads: { lateMs: 20 },
    });
    const sessions = new Sessions(cluster, { count: 4, readsPerWrite: 5 });
    cluster.copyReadFault = () => fault;
    await cluster.start();
    const deadlineMs = performance.now() + 30_000;
    while (cluster.migration.executor.status().abortedCount === 0 && performance.now() < deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 10));
    await sessions.end();
    check.equal(sessions.faults, []);
    check.is((await cluster.record()).ownerNodeId, SOURCE);
  });

test('a copy that answers otherwise than the source is found by mirrored reads, aborted and left alone', async (context) => {
  const cluster = await open(context, {
    settings: { readWeightHoldMs: 5_000 },
    copyReads: { shadowShare: 1 },
  });
  const client = await RespClient.connect((cluster.queries[0] as { port: number }).port);
  const key = shiftKey('rotten');
  await client.call('SET', key, 'sound');
  await client.call('SET', shiftKey('passing'), 'v', 'EX', '1000');
  await cluster.start();
  await cluster.until(({ migration }) => migration?.phase === 'SHIFT', 'verified');
  rot(cluster, 'sound', 'rotted');
  const deadlineMs = performance.now() + 20_000;
  while (cluster.migration.executor.status().abortedCount === 0 && performance.now() < deadlineMs) {
    check.is(await client.call('GET', key), 'sound', 'weight 0: clients read at the source');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  client.close();
  const record = await cluster.record();
  check.is(record.ownerNodeId, SOURCE);
  check.match(
    quarantineOf(record, Date.now())?.reason as string,
    /mirrored reads were answered differently .*: GET at lsn 2/,
  );
});

/** What `foreshard migrations` says of the open migration. */
async function toldOf(cluster: ShiftCluster): Promise<string> {
  const silent = async () => Promise.reject(new Error('not asked'));
  const report = await gatherReport(
    cluster.migration.metadata,
    { status: silent, nodeStatistics: silent } as unknown as StorageEngine,
    { clusterName: CLUSTER, settings: SHIFT_SETTINGS, partitionId: null, nowMs: Date.now() },
  );
  return reportLines(report, 0).join('\n');
}

/** As a disk does: the bytes of a value change, and nothing else. */
function rot(cluster: ShiftCluster, from: string, to: string): void {
  const store = cluster.migration.storeOf(TARGET);
  const { start, end } = store.rangeOf(SHIFT_PARTITION);
  const { data } = store.environment;
  store.environment.write(() => {
    for (const { key, value } of [...data.getRange({ start, end })]) {
      const bytes = Buffer.from(value as Uint8Array);
      const at = bytes.indexOf(from);
      if (at < 0) continue;
      bytes.write(to.padEnd(from.length).slice(0, from.length), at);
      data.put(encodedKey(key as Uint8Array), bytes);
    }
  });
}

test.run();
