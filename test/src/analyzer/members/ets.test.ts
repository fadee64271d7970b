import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { etsMember } from '../../../../src/analyzer/members/ets.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { type Load, memberComponents, predictAll } from '../../../support/member-history.ts';
import { testSeed } from '../../../support/seed.ts';
import { weeklyLoad } from '../../../support/synthetic-load.ts';

const test = suite('analyzer/members/ets');
const seed = testSeed('analyzer/members/ets');
const HORIZON = 48;
const FOUR_WEEKS = 672;

async function fitted(load: Load, options: { partitionCount?: number; windowCount?: number } = {}) {
  const { partitionCount = 1, windowCount = FOUR_WEEKS } = options;
  const components = memberComponents({ partitionCount, windowCount, horizon: HORIZON, load });
  const member = etsMember(components);
  await member.fit({ first: 0, count: partitionCount });
  return { member, components, rows: await predictAll(member, components) };
}

const meanSquare = (row: readonly number[], truth: (step: number) => number): number =>
  row.reduce((sum, value, step) => sum + (value - truth(step)) ** 2, 0) / row.length;

test('a day and a week with noise are forecast with an error of hardly more than the noise', async () => {
  const noise = 0.1;
  const noisy = weeklyLoad(seed, { noise });
  const clean = weeklyLoad(seed, { noise: 0 });
  const { rows } = await fitted(noisy, { partitionCount: 8 });
  const naive = Array.from({ length: HORIZON }, (_, h) => FOUR_WEEKS - 168 + h);
  rows.forEach((row, p) => {
    // At night the load is so low that log1p bends; by day one error is one error.
    const mse = meanSquare(row, (h) => Math.log1p(clean(p, FOUR_WEEKS + h)));
    const naiveMse = meanSquare(
      naive.map((window) => Math.log1p(noisy(p, window))),
      (h) => Math.log1p(clean(p, FOUR_WEEKS + h)),
    );
    assert.ok(mse < 0.75 * naiveMse, `partition ${p}: ${mse} against the naive ${naiveMse} (SEED=${seed})`);
  });
});

test('a load that grows every day beats both seasonal naives', async () => {
  const load: Load = (_, w) => 100 * Math.exp(0.001 * w) * (2 + Math.sin((2 * Math.PI * w) / 24));
  const { rows } = await fitted(load);
  const truth = (h: number): number => Math.log1p(load(0, FOUR_WEEKS + h));
  const naive = rows[0]!.map((_, h) => Math.log1p(load(0, FOUR_WEEKS - 24 + (h % 24))));
  assert.ok(meanSquare(rows[0]!, truth) < 0.25 * meanSquare(naive, truth));
});

test('a level that walks and nothing else is forecast without a season', async () => {
  const random = seededRandom(seed);
  let level = 6;
  const walk = Array.from({ length: FOUR_WEEKS }, () => {
    level += (random.nextFloat() - 0.5) * 0.2;
    return Math.expm1(level);
  });
  const { rows } = await fitted((_, w) => walk[w]!);
  // The best forecast of a random walk is where it is; a season in it would show as a range over the day.
  assert.ok(Math.abs(rows[0]![0]! - level) < 0.15, `${rows[0]![0]} after ${level} (SEED=${seed})`);
  assert.ok(Math.max(...rows[0]!) - Math.min(...rows[0]!) < 0.2, `SEED=${seed}`);
});

test('silent, constant, spiked, wild and sparse partitions get finite forecasts near what they have shown', async () => {
  const random = seededRandom(seed);
  const loads: readonly ((w: number) => number)[] = [
    () => 0,
    () => 1234.5,
    (w) => (w === FOUR_WEEKS - 2 ? 1e6 : 10),
    () => 10 ** (random.nextFloat() * 9),
    (w) => (w % 97 === 0 ? 1 : 0),
    (w) => (w < FOUR_WEEKS / 2 ? 0 : 1e9),
    () => 1e15,
    (w) => (w % 2) * 1e12,
    (w) => 5 + (w % 24),
  ];
  const table = loads.map((load) => Array.from({ length: FOUR_WEEKS }, (_, w) => load(w)));
  const { rows } = await fitted((p, w) => table[p]![w]!, { partitionCount: loads.length });
  rows.forEach((row, p) => {
    const high = Math.log1p(Math.max(...table[p]!));
    assert.ok(
      row.every((value) => value >= -3 && value <= high + 3),
      `partition ${p}: ${row}`,
    );
  });
  assert.equal(rows[0], new Array(HORIZON).fill(0), 'silence stays silent');
  assert.ok(
    rows[1]!.every((value) => Math.abs(value - Math.log1p(1234.5)) < 1e-9),
    'a constant stays constant',
  );
  assert.ok(
    rows[2]!.slice(1).every((value) => value < Math.log1p(10) + 3),
    'one spike is not taken for the level',
  );
});

test('two days are enough to begin with, and weeks are taken in as they come', async () => {
  for (const windowCount of [48, 60, 167, 168, 200, 336, 500, 900, 1700]) {
    const { rows } = await fitted(weeklyLoad(seed, { noise: 0.2 }), { partitionCount: 3, windowCount });
    assert.ok(
      rows.flat().every((value) => value > -1 && value < 12),
      `${windowCount} windows`,
    );
  }
});

test('a saved state predicts what the member did, also windows later; one of other partitions is refused', async () => {
  const load = weeklyLoad(seed, { noise: 0.2 });
  const { member, components, rows } = await fitted(load, { partitionCount: 11 });
  const again = etsMember(components);
  again.load(structuredClone(member.save()));
  assert.equal(await predictAll(again, components), rows);
  components.append(5);
  assert.equal(await predictAll(again, components), await predictAll(member, components));
  assert.throws(
    () => again.load({ fits: new Float64Array(3) }),
    (error: unknown) => error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT',
  );
});

test('each partition is forecast by itself: its neighbours and the split into ranges change nothing', async () => {
  const load = weeklyLoad(seed, { noise: 0.2 });
  const { components, rows } = await fitted(load, { partitionCount: 11 });
  const split = etsMember(components);
  await split.fit({ first: 0, count: 3 });
  await split.fit({ first: 3, count: 8 });
  assert.equal(await predictAll(split, components), rows);
});

test('a partition that was never fitted says what the week before said', async () => {
  const load = weeklyLoad(seed, { noise: 0.2 });
  const components = memberComponents({ partitionCount: 2, windowCount: 400, horizon: HORIZON, load });
  const rows = await predictAll(etsMember(components), components);
  rows.forEach((row, p) => {
    row.forEach((value, h) => {
      assert.is(value, Math.log1p(load(p, 400 - 168 + h)));
    });
  });
});

test.run();
