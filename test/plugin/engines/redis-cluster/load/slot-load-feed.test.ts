/** Load that the servers tell by slot, as the agent publishes it: against a server that answers as documented. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { WatchedMaster } from '../../../../../plugin/engines/redis-cluster/load/master-watch.ts';
import {
  SlotLoadFeed,
  type SlotLook,
} from '../../../../../plugin/engines/redis-cluster/load/slot-load-feed.ts';
import type { RedisReply } from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import type { ClusterTopology } from '../../../../../plugin/engines/redis-cluster/topology/topology.ts';
import type { WindowLoad } from '../../../../../plugin/host/analysis/profile-ledger.ts';
import { VirtualClock } from '../../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../../src/base/errors.ts';
import { LOAD_DIMENSION_COUNT } from '../../../../../src/model/load-profile.ts';

const test = suite('redis-cluster: load by slot from the servers');
const WINDOW_MS = 3_600_000;
const PARTITIONS = 16;
const START_MS = 100 * WINDOW_MS;

/** One master with all slots; slots 0 and 1 are of partition 0, slot 1024 of partition 1. */
function start({ isMeasuring = true, counts = 'operations' as 'operations' | 'milliseconds' } = {}) {
  const clock = new VirtualClock(START_MS);
  const counters = new Map<number, { cpuUs: number; bytesIn: number; bytesOut: number }>();
  for (const slot of [0, 1, 1024]) counters.set(slot, { cpuUs: 0, bytesIn: 0, bytesOut: 0 });
  const server = { commands: 1_000, runId: 'a' };
  const published: WindowLoad[] = [];
  const looks: SlotLook[] = [];
  const store = { isAway: false };
  const feed = new SlotLoadFeed(
    { windowMs: WINDOW_MS, partitionCount: PARTITIONS },
    {
      clock,
      onLook: (look) => looks.push(look),
      feedId: 10_001,
      counts,
      publisher: {
        publish: async (windows) => {
          if (store.isAway) throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the store is away');
          published.push(...windows.map((window) => ({ ...window, values: window.values.slice() })));
        },
      },
      nodes: {
        node: () => ({
          close: () => undefined,
          pipeline: async () => [
            [...counters].map(([slot, { cpuUs, bytesIn, bytesOut }]): RedisReply => {
              const measured = [
                'cpu-usec',
                cpuUs,
                'network-bytes-in',
                bytesIn,
                'network-bytes-out',
                bytesOut,
              ];
              const pairs = ['key-count', 5, ...(isMeasuring ? measured : [])];
              return [
                slot,
                pairs.map((word) => (typeof word === 'string' ? Buffer.from(word) : word)) as RedisReply[],
              ];
            }),
          ],
        }),
      },
    },
  );
  const topology = {
    masters: [{ nodeId: 'm' }],
    ownerOf: new Int16Array(16_384),
  } as unknown as ClusterTopology;
  const poll = async (afterMs: number) => {
    clock.advanceTo(clock.nowMs() + afterMs);
    const watched = new Map([['m', { counters: { ...server }, rates: null } as unknown as WatchedMaster]]);
    return feed.poll(topology, watched);
  };
  const at = (window: WindowLoad | undefined, partition: number): number[] => [
    ...(window?.values.slice(partition * LOAD_DIMENSION_COUNT, (partition + 1) * LOAD_DIMENSION_COUNT) ?? []),
  ];
  return { feed, poll, counters, server, published, at, store, clock, looks };
}

/** A slot was asked for something. */
function ask(
  counters: Map<number, { cpuUs: number; bytesIn: number; bytesOut: number }>,
  slot: number,
  cpuUs: number,
): void {
  const slotCounters = counters.get(slot);
  if (slotCounters === undefined) throw new Error(`slot ${slot} is not measured`);
  slotCounters.cpuUs += cpuUs;
  slotCounters.bytesIn += 10;
  slotCounters.bytesOut += 100;
}

test('what slots were asked since the last poll is added up by partition, operations by CPU time', async () => {
  const { poll, counters, server, published, at } = start();
  ask(counters, 0, 5_000_000);
  check.is(await poll(0), 'load', 'what was before the first poll belongs to nobody');
  ask(counters, 0, 1_000_000);
  ask(counters, 1, 1_000_000);
  ask(counters, 1024, 2_000_000);
  server.commands += 400;
  await poll(70_000);
  const window = published.at(-1);
  check.is(window?.startMs, START_MS);
  check.is(window?.queryNodeId, 10_001);
  check.equal(at(window, 0), [200, 2, 200, 20]);
  check.equal(at(window, 1), [200, 2, 100, 10]);
  check.is(window?.capturedCount, 400);
});

test('a window is published as it grows and once more when it is over', async () => {
  const { poll, counters, published, at } = start();
  await poll(0);
  ask(counters, 0, 1_000_000);
  await poll(WINDOW_MS - 1_000);
  ask(counters, 0, 1_000_000);
  await poll(2_000);
  const [first, second] = [START_MS, START_MS + WINDOW_MS].map((startMs) =>
    published.filter((window) => window.startMs === startMs).at(-1),
  );
  check.is(at(first, 0)[1], 1);
  check.is(second === undefined ? 1 : at(second, 0)[1], 1);
});

test('while another agent leads, or clients are captured, nothing is counted', async () => {
  const { feed, poll, counters, server, published, at } = start();
  await poll(0);
  await feed.pause();
  ask(counters, 0, 9_000_000);
  server.commands += 900;
  await poll(70_000);
  ask(counters, 0, 1_000_000);
  server.commands += 100;
  await poll(70_000);
  check.equal(at(published.at(-1), 0), [100, 1, 100, 10]);
});

test('what was counted while the store was away is told when it is back, of each window', async () => {
  const { poll, counters, published, at, store } = start();
  await poll(0);
  store.isAway = true;
  for (const afterMs of [WINDOW_MS - 120_000, 90_000, 60_000]) {
    ask(counters, 0, 1_000_000);
    await poll(afterMs).catch(() => undefined);
  }
  store.isAway = false;
  ask(counters, 0, 1_000_000);
  await poll(60_000);
  const cpuOf = (startMs: number) =>
    at(published.filter((window) => window.startMs === startMs).at(-1), 0)[1];
  check.is(cpuOf(START_MS), 2);
  check.is(cpuOf(START_MS + WINDOW_MS), 2);
});

test('a window is not told again when its parts may have been added up, as after an office of long ago', async () => {
  const { feed, poll, counters, published, at, store, clock } = start();
  await poll(0);
  ask(counters, 0, 1_000_000);
  await poll(10_000);
  await feed.pause();
  check.is(at(published.at(-1), 0)[1], 1, 'who leaves the office tells what it has counted');
  const { length } = published;
  await poll(3 * WINDOW_MS);
  check.is(published.slice(length).filter(({ startMs }) => startMs === START_MS).length, 0);
  store.isAway = true;
  ask(counters, 0, 1_000_000);
  await poll(10_000).catch(() => undefined);
  await feed.pause().catch(() => undefined);
  clock.advanceTo(clock.nowMs() + 3 * WINDOW_MS);
  store.isAway = false;
  const told = published.length;
  await feed.pause();
  check.is(published.length, told, 'not even for the first time');
});

test('a server that was restarted counts from 0 again, and a server that measures nothing is told', async () => {
  const { poll, counters, server, published, at } = start();
  await poll(0);
  for (const slot of counters.keys()) counters.set(slot, { cpuUs: 0, bytesIn: 0, bytesOut: 0 });
  server.commands = 3;
  server.runId = 'b';
  await poll(70_000);
  check.equal(at(published.at(-1), 0), [0, 0, 0, 0]);
  check.is(await start({ isMeasuring: false }).poll(0), 'keys');
});

test('beside captured clients its windows say how long of them was measured', async () => {
  const { feed, poll, counters, published, at } = start({ counts: 'milliseconds' });
  await poll(0);
  ask(counters, 1024, 30_000);
  await poll(5_000);
  await poll(5_000);
  await feed.pause();
  const window = published.at(-1);
  check.is(window?.capturedCount, 10_000);
  check.is(at(window, 1)[1], 0.03);
});

test('whoever watches is told rates of the time between two polls, and which masters counted all the time', async () => {
  const { poll, counters, server, looks } = start();
  await poll(0);
  check.is(looks.length, 0, 'of what was before the first poll no rate is known');
  ask(counters, 0, 1_000_000);
  ask(counters, 1024, 3_000_000);
  server.commands += 400;
  await poll(10_000);
  ask(counters, 0, 2_000_000);
  server.runId = 'b';
  await poll(20_000);
  check.equal(
    looks.map(({ durationMs, masterIds, perSecond }) => [durationMs, masterIds, ...perSecond.slice(0, 8)]),
    [
      [10_000, ['m'], 10, 0.1, 10, 1, 30, 0.3, 10, 1],
      [20_000, [], 0, 0.1, 5, 0.5, 0, 0, 0, 0],
    ],
  );
});

test.run();
