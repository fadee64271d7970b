import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { etsMember } from '../../../../src/analyzer/members/ets.ts';
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

test('parameters are judged by the second half of the history alone', async () => {
  const random = seededRandom(seed);
  const wild = Array.from({ length: FOUR_WEEKS / 4 }, () => Math.expm1(5 + random.nextFloat()));
  const { rows } = await fitted((_, w) => wild[w] ?? 200);
  assert.ok(
    rows[0]!.every((value) => Math.abs(value - Math.log1p(200)) < 1e-6),
    `three weeks of stillness go on: ${rows[0]}`,
  );
});

test.run();
