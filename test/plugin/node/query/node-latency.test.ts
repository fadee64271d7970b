import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { NodeLatencies } from '../../../../plugin/node/query/node-latency.ts';
import { latencyQuantileMs, latencyTotal } from '../../../../src/migration/reads/read-latency.ts';
import { asNodeId } from '../../../../src/model/ids.ts';

const test = suite('latencies of storage nodes');
const NOBODY = new Set<never>();
const NODE_0 = new Set([asNodeId(0)]);

/** @param perTick answers in each quarter of a second. */
function learnFor(
  latencies: NodeLatencies,
  from: number,
  ticks: number,
  options: { readonly latencyMs: number; readonly perTick: number; readonly isBusy?: boolean },
): number {
  for (let i = 1; i <= ticks; i++) {
    const nowMs = from + i * 250;
    for (let k = 0; k < options.perTick; k++) latencies.answered(0, false, nowMs - options.latencyMs, nowMs);
    latencies.learn(nowMs, options.isBusy ? NODE_0 : NOBODY);
  }
  return from + ticks * 250;
}

test('what is usual is learnt without migrations only, and does not go up with one', () => {
  const latencies = new NodeLatencies(() => 0);
  let nowMs = learnFor(latencies, 0, 400, { latencyMs: 1, perTick: 25 });
  nowMs = learnFor(latencies, nowMs, 400, { latencyMs: 50, perTick: 25, isBusy: true });
  const [meter] = latencies.of(NODE_0);
  check.ok(meter && latencyQuantileMs(meter.calmReads, 0.99) < 2);
  check.ok(latencyQuantileMs(meter.reads, 0.99) > 40, 'what is now is told all the same');
  check.ok(Math.abs(meter.calmPerSecond - 100) < 3, `${meter.calmPerSecond} a second`);
  learnFor(latencies, nowMs, 4, { latencyMs: 50, perTick: 25 });
  check.ok(latencyQuantileMs(meter.calmReads, 0.99) < 2, 'nor just after one');
});

test('the old is forgotten slowly: half of it in two minutes', () => {
  const latencies = new NodeLatencies(() => 0);
  const nowMs = learnFor(latencies, 0, 40, { latencyMs: 1, perTick: 25 });
  const [meter] = latencies.of(NODE_0);
  const before = latencyTotal(meter?.calmReads ?? []);
  learnFor(latencies, nowMs, 480, { latencyMs: 1, perTick: 0 });
  check.ok(Math.abs(latencyTotal(meter?.calmReads ?? []) / before - 0.5) < 0.01);
});

test('only nodes that were asked for and have answered are told of', () => {
  const latencies = new NodeLatencies(() => 7);
  latencies.answered(3, true, 0, 1);
  check.equal(
    latencies.of(new Set([asNodeId(3), asNodeId(4)])).map(({ nodeId, openedAtMs }) => [nodeId, openedAtMs]),
    [[3, 7]],
  );
  check.equal(latencies.of(NODE_0), []);
});

test.run();
