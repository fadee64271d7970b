/** CPU by partition as storage nodes tell it, against nodes that answer as real ones do. */
import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { NodeCpuFeed } from '../../../../plugin/host/analysis/node-cpu-feed.ts';
import { ProfileLedger, type WindowLoad } from '../../../../plugin/host/analysis/profile-ledger.ts';
import type { LoadLook } from '../../../../src/affinity/relief/stress-watch.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { LOAD_DIMENSION_COUNT } from '../../../../src/model/load-profile.ts';

const test = suite('CPU of storage nodes by partition');
const PARTITIONS = 4;
const WINDOW_MS = 600_000;
const START_MS = 100 * WINDOW_MS;

/** A node that owns two partitions; queries of the second one cost it fifty times as much as those of the first. */
class Node {
  isAway = false;
  cpuSeconds = 5;
  startedMs: number;
  readonly #clock: VirtualClock;
  readonly #partitions: readonly [number, number];
  readonly counts = new Float64Array(4 * PARTITIONS);

  constructor(clock: VirtualClock, partitions: readonly [number, number]) {
    this.#clock = clock;
    this.startedMs = clock.nowMs() - 1_000;
    this.#partitions = partitions;
  }

  work(requests: number): void {
    this.#partitions.forEach((p, i) => {
      const timed = requests * (i === 0 ? 4e-6 : 200e-6);
      this.counts[p]! += requests;
      this.counts[2 * PARTITIONS + p]! += timed;
      this.counts[3 * PARTITIONS + p]! += requests;
      this.cpuSeconds += timed + requests * 10e-6;
    });
  }

  restart(): void {
    this.cpuSeconds = 0;
    this.counts.fill(0);
    this.startedMs = this.#clock.nowMs();
  }

  answer() {
    if (this.isAway) throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'away');
    const bulk = new Uint8Array(this.counts.slice().buffer);
    return { body: { atMs: this.#clock.nowMs() - this.startedMs, cpuSeconds: this.cpuSeconds }, bulk };
  }
}

function start() {
  const clock = new VirtualClock(START_MS);
  const nodes = [new Node(clock, [0, 1]), new Node(clock, [2, 3])] as const;
  const grid = { windowMs: WINDOW_MS, partitionCount: PARTITIONS };
  const ledger = new ProfileLedger({ ...grid, windowsMax: 100 });
  const kept: { file: unknown } = { file: undefined };
  const looks: LoadLook[] = [];
  const newFeed = (feedId: number) =>
    new NodeCpuFeed(grid, {
      ...{ clock, logger: silentLogger, ledger, feedId },
      file: {
        read: async () => kept.file,
        write: async (state) => {
          kept.file = structuredClone(state);
        },
      },
      transport: { request: async (nodeId) => (nodes[nodeId] as Node).answer() },
      nodeIds: async () => [0, 1],
      onLook: (look) => looks.push(look),
      publisher: {
        publish: async (windows: readonly WindowLoad[]) => {
          for (const window of windows) ledger.add({ ...window, values: window.values.slice() });
        },
        refresh: async () => undefined,
      },
    });
  const feed = newFeed(10_001);
  /** Half a minute of work, then a look. */
  const pass = async (looks: number, by: NodeCpuFeed = feed) => {
    for (let i = 0; i < looks; i++) {
      clock.advanceTo(clock.nowMs() + 30_000);
      for (const node of nodes) node.work(10_000 + 3_000 * (i % 3));
      await by.poll();
    }
  };
  const measuredAt = async (startMs: number) => (await feed.measured(clock.nowMs()))(startMs);
  return { clock, nodes, feed, newFeed, pass, measuredAt, kept, looks };
}

test('a partition of dear queries has nearly all of its node’s CPU, and shares add up to the process’s', async () => {
  const { nodes, feed, pass, measuredAt } = start();
  await feed.poll();
  const before = nodes[0].cpuSeconds + nodes[1].cpuSeconds;
  await pass(19);
  await feed.pause();
  const { seconds, share } = (await measuredAt(START_MS)) ?? { seconds: new Float64Array(4), share: 0 };
  const [cheap, dear] = seconds as unknown as [number, number];
  assert.ok(dear / cheap > 10, `${dear} s beside ${cheap} s of as many queries`);
  const spent = nodes[0].cpuSeconds + nodes[1].cpuSeconds - before;
  const sum = seconds.reduce((total, own) => total + own, 0);
  assert.ok(sum > 0.9 * spent && sum <= spent * 1.000001, `${sum} of ${spent}`);
  assert.ok(Math.abs(share - (19 * 30) / 600) < 0.01, `${share}`);
});

test('a node that was started anew, or did not answer, takes nothing from the others and nothing is counted twice', async () => {
  const { nodes, feed, pass, measuredAt } = start();
  await feed.poll();
  await pass(2);
  nodes[0].restart();
  await pass(1);
  nodes[1].isAway = true;
  await pass(2);
  nodes[1].isAway = false;
  await pass(1);
  await feed.pause();
  const { seconds } = (await measuredAt(START_MS)) ?? { seconds: new Float64Array(4) };
  const ofNode = [0, 2].map((p) => (seconds[p] as number) + (seconds[p + 1] as number));
  // Six looks of the second node, though two came at once; of the first all but the one around its start.
  const whole = nodes[1].cpuSeconds - 5;
  assert.ok(
    (ofNode[1] as number) > 0.9 * whole && (ofNode[1] as number) <= whole,
    `${ofNode[1]} of ${whole}`,
  );
  assert.ok((ofNode[0] as number) < whole && (ofNode[0] as number) > 0.7 * whole, `${ofNode[0]} of ${whole}`);
});

test('who leads no more leaves the time after to the next, and both parts make one window', async () => {
  const { clock, feed, newFeed, pass, measuredAt } = start();
  await feed.poll();
  await pass(6);
  await feed.pause();
  const next = newFeed(10_002);
  await next.poll();
  await pass(6, next);
  await next.pause();
  // The first one leads again much later: what came between was told by the other.
  clock.advanceTo(clock.nowMs() + 30_000);
  await feed.poll();
  await feed.pause();
  const { share } = (await measuredAt(START_MS)) ?? { share: 0 };
  assert.ok(Math.abs(share - (12 * 30) / 600) < 0.01, `${share}`);
});

test('a process that slept leaves the time to whoever led meanwhile', async () => {
  const { clock, nodes, feed, pass, measuredAt } = start();
  await feed.poll();
  await pass(18);
  clock.advanceTo(START_MS + 2 * WINDOW_MS);
  for (const node of nodes) node.work(1e6);
  await feed.poll();
  await pass(6);
  await feed.pause();
  const { seconds, share } = (await measuredAt(START_MS + 2 * WINDOW_MS)) ?? { seconds: [9], share: 0 };
  assert.ok(Math.abs(share - (6 * 30) / 600) < 0.01, `${share}`);
  assert.ok((seconds[1] as number) < 30, `${seconds[1]} s of CPU`);
});

test('windows close at the clock, each with what was spent in it', async () => {
  const { feed, pass, measuredAt } = start();
  await feed.poll();
  await pass(30);
  await feed.pause();
  const [first, second] = [await measuredAt(START_MS), await measuredAt(START_MS + WINDOW_MS)];
  assert.ok((first?.share ?? 0) > 0.9 && (second?.share ?? 0) > 0.5);
  const ratio = (second?.seconds[1] as number) / (first?.seconds[1] as number);
  assert.ok(ratio > 0.45 && ratio < 0.65, `${ratio}`);
});

test('a node that did not answer for an hour brings none of the hour into the window in which it is back', async () => {
  const { nodes, feed, pass, measuredAt } = start();
  await feed.poll();
  await pass(20);
  nodes[1].isAway = true;
  await pass(110);
  nodes[1].isAway = false;
  await pass(18);
  await feed.pause();
  const usual = await measuredAt(START_MS);
  const back = await measuredAt(START_MS + 6 * WINDOW_MS);
  const [own, other] = [3, 1].map((p) => (back?.seconds[p] as number) / (usual?.seconds[p] as number));
  assert.ok((own as number) < 1.1 * (other as number), `${own} times as much, the other node ${other}`);
});

test('a node that was started anew and has done more of some kind since is not told of by what is left over', async () => {
  const { nodes, feed, measuredAt } = start();
  await feed.poll();
  nodes[0].restart();
  nodes[0].startedMs -= 100_000;
  nodes[0].cpuSeconds = 6;
  // As many requests as before and more, of which fewer happened to be timed.
  nodes[0].counts.set([5, 5], 0);
  nodes[0].counts.set([0.5, 0.5], 2 * PARTITIONS);
  await feed.poll();
  nodes[0].counts.set([9, 9], 0);
  nodes[0].counts.set([0.1, 5], 2 * PARTITIONS);
  nodes[0].startedMs -= 30_000;
  nodes[0].cpuSeconds = 12;
  await feed.poll();
  await feed.pause();
  const { seconds } = (await measuredAt(START_MS)) ?? { seconds: new Float64Array() };
  assert.ok(seconds.length > 0 && seconds.every((own) => own >= 0 && own < 8), `${seconds}`);
});

test('counts that are no numbers are refused, and the other nodes’ are taken', async () => {
  const { nodes, feed, pass, measuredAt } = start();
  await feed.poll();
  await pass(2);
  nodes[0].counts[1] = Number.NaN;
  await pass(2);
  await feed.pause();
  const { seconds } = (await measuredAt(START_MS)) ?? { seconds: new Float64Array() };
  assert.ok(seconds.length > 0 && seconds.every((own) => own > 0 && Number.isFinite(own)), `${seconds}`);
});

/** Of one look: how many times as much the dear partition of the first node took as its cheap one. */
async function firstLook({ newFeed, pass, measuredAt, clock }: ReturnType<typeof start>): Promise<number> {
  const next = newFeed(10_002);
  clock.advanceTo(START_MS + 4 * WINDOW_MS);
  await next.poll();
  await pass(1, next);
  await next.pause();
  const { seconds } = (await measuredAt(START_MS + 4 * WINDOW_MS)) ?? { seconds: new Float64Array(4) };
  return (seconds[1] as number) / (seconds[0] as number);
}

test('what the process before has learnt of prices is known to the next one from its first look on', async () => {
  const learnt = start();
  const anew = start();
  for (const { feed, pass } of [learnt, anew]) {
    await feed.poll();
    await pass(60);
    await feed.close();
  }
  anew.kept.file = undefined;
  // Requests of the dear partition take 210 µs, of the cheap one 14: 15 times. What is believed beforehand says otherwise.
  const [known, believed] = [await firstLook(learnt), await firstLook(anew)];
  assert.ok(Math.abs(known / 15 - 1) < 0.1, `${known} times`);
  assert.ok(Math.abs(known / believed - 1) > 0.02, `${believed} times without`);
});

test('prices are kept every ten minutes, since a process may be killed; of another version they are learnt anew', async () => {
  const started = start();
  const { feed, pass, kept } = started;
  await feed.poll();
  await pass(19);
  assert.equal(kept.file, undefined);
  await pass(2);
  assert.ok(kept.file !== undefined);
  kept.file = { ...(kept.file as object), version: 99 };
  const times = await firstLook(started);
  assert.ok(times > 5 && times < 40, `${times} times`);
});

test('whoever watches is told queries and CPU a second of the time between two looks, and which nodes told', async () => {
  const { nodes, feed, pass, looks } = start();
  await feed.poll();
  assert.equal(looks.length, 0);
  await pass(1);
  nodes[1].isAway = true;
  await pass(1);
  nodes[1].isAway = false;
  await pass(1);
  const queries = looks.map(({ perSecond }) =>
    Array.from({ length: PARTITIONS }, (_, p) => Math.round(perSecond[p * LOAD_DIMENSION_COUNT] as number)),
  );
  // 10,000 requests in half a minute; then of a node that was away the mean of a minute.
  assert.deepEqual(queries, [
    [333, 333, 333, 333],
    [333, 333, 0, 0],
    [333, 333, 333, 333],
  ]);
  assert.deepEqual(
    looks.map(({ durationMs, nodeIds }) => [durationMs, ...nodeIds]),
    [
      [30_000, 0, 1],
      [30_000, 0],
      [30_000, 0, 1],
    ],
  );
  const cpu = (looks[0]?.perSecond ?? []).reduce(
    (sum, own, i) => sum + (i % LOAD_DIMENSION_COUNT === 1 ? own : 0),
    0,
  );
  const spent = (nodes[0].cpuSeconds - 5) / 90 + (nodes[1].cpuSeconds - 5) / 90;
  assert.ok(Math.abs(cpu / spent - 1) < 0.1, `${cpu} beside ${spent}`);
});

test.run();
