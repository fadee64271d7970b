import assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { LmdbEngine } from '../../../../plugin/engines/lmdb/engine.ts';
import { RequestCosts, TIMED_ONE_IN } from '../../../../plugin/engines/lmdb/request-costs.ts';
import { PROFILE_DEFAULTS } from '../../../../src/analyzer/profile.ts';
import { systemClock, VirtualClock } from '../../../../src/base/clock.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { EngineBench, EngineClient, ownAll, PARTITION_COUNT, partitionOfKey } from './support.ts';

const test = suite('what requests cost, by partition');

test('a dear kind of request in a steady rhythm is found among cheap ones', () => {
  const clock = new VirtualClock(1_000);
  const costs = new RequestCosts(2, { clock, random: seededRandom(9n) });
  // As pipelines do: fifteen cheap ones, then a dear one, for ever.
  for (let i = 0; i < 160_000; i++) {
    const isDear = i % 16 === 15;
    const startedMs = costs.begin(isDear ? 1 : 0, isDear);
    clock.advanceTo(clock.nowMs() + (isDear ? 1 : 0.01));
    costs.end(isDear ? 1 : 0, startedMs, 512);
  }
  assert.deepEqual([...costs.requests], [150_000, 10_000]);
  assert.deepEqual([...costs.writes], [0, 10_000]);
  const near = (found: number | undefined, truth: number, share: number): void =>
    assert.ok(Math.abs((found ?? 0) / truth - 1) < share, `${found} in place of ${truth}`);
  near(costs.timedSeconds[0], 1.5, 0.1);
  near(costs.timedSeconds[1], 10, 0.1);
  near(costs.kibibytes[0], 75_000, 0.1);
});

test('one request in so many is timed', () => {
  let readings = 0;
  const clock = { ...systemClock(), monotonicMs: () => readings++ };
  const costs = new RequestCosts(1, { clock, random: seededRandom(2n) });
  for (let i = 0; i < 16_000; i++) costs.end(0, costs.begin(0, false), 1);
  const perRequest = readings / 2 / 16_000;
  assert.ok(Math.abs(perRequest * TIMED_ONE_IN - 1) < 0.1, `${perRequest}`);
});

test('scans that find nothing cost their partition more than reads of as many bytes: a price by bytes does not see it', async () => {
  const bench = new EngineBench();
  try {
    const engine: LmdbEngine = await bench.open({ clock: systemClock() });
    await ownAll(engine);
    const client = new EngineClient(engine);
    const [scanned, read] = ['{a}key', '{b}text'];
    assert.notEqual(partitionOfKey(scanned), partitionOfKey(read));
    for (let i = 0; i < 1_000; i++) void client.request(['SET', `${scanned}-${i}`, 'x']);
    client.send();
    await client.ask('SET', read, 'x'.repeat(20));
    const { costs } = engine.requests;
    const round = async (): Promise<readonly number[]> => {
      const before = costs.timedSeconds.slice();
      for (let turn = 0; turn < 20; turn++) {
        const replies = Array.from({ length: 20 }, () => [
          client.request(['SCANPART', '0', 'COUNT', '1000', 'MATCH', 'nothing*'], {
            partitionId: partitionOfKey(scanned),
          }),
          client.request(['GET', read]),
        ]).flat();
        client.send();
        await Promise.all(replies);
      }
      return [scanned, read]
        .map(partitionOfKey)
        .map((p) => (costs.timedSeconds[p] as number) - (before[p] as number));
    };
    // A machine with other work takes ten milliseconds out of a read now and then: the least of five rounds, which that only adds to.
    const rounds = [await round(), await round(), await round(), await round(), await round()];
    const [ofScans, ofReads] = [0, 1].map((i) => Math.min(...rounds.map((seconds) => seconds[i] as number)));
    assert.ok((ofScans as number) > 5 * (ofReads as number), `${ofScans} s beside ${ofReads} s`);
    // What they were priced at: requests of some twenty bytes each.
    const { usPerQuery, usPerKibibyte } = PROFILE_DEFAULTS.cpu;
    const price = (bytes: number): number => usPerQuery + (usPerKibibyte * bytes) / 1024;
    assert.ok(price(100) / price(40) < 1.1);
    assert.equal(costs.requests.length, PARTITION_COUNT);
  } finally {
    await bench.close();
  }
});

test.run();
