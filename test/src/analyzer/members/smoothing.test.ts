import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { etsMember } from '../../../../src/analyzer/members/ets.ts';
import { mstlMember } from '../../../../src/analyzer/members/mstl.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { type Load, memberComponents, predictAll } from '../../../support/member-history.ts';
import { testSeed } from '../../../support/seed.ts';
import { weeklyLoad } from '../../../support/synthetic-load.ts';

const test = suite('analyzer/members/smoothing');
const seed = testSeed('analyzer/members/smoothing');
const HORIZON = 48;
const FOUR_WEEKS = 672;

for (const [name, newMember] of [
  ['ets', etsMember],
  ['mstl', mstlMember],
] as const) {
  const fitted = async (load: Load, options: { partitionCount?: number; windowCount?: number } = {}) => {
    const { partitionCount = 1, windowCount = FOUR_WEEKS } = options;
    const components = memberComponents({ partitionCount, windowCount, horizon: HORIZON, load });
    const member = newMember(components);
    await member.fit({ first: 0, count: partitionCount });
    return { member, components, rows: await predictAll(member, components) };
  };

  test(`${name}: silent, constant, spiked, wild and sparse partitions get finite forecasts near what they have shown`, async () => {
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
        row.every((value) => value >= 0 && value <= high + 3),
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

  test(`${name}: two days are enough to begin with, and weeks are taken in as they come`, async () => {
    for (const windowCount of [48, 60, 167, 168, 200, 336, 500, 900, 1700]) {
      const { rows } = await fitted(weeklyLoad(seed, { noise: 0.2 }), { partitionCount: 3, windowCount });
      assert.ok(
        rows.flat().every((value) => value > -1 && value < 12),
        `${windowCount} windows`,
      );
    }
  });

  test(`${name}: windows of a minute, of a quarter of an hour and of a day are forecast, too`, async () => {
    for (const [dayWindows, windowCount] of [
      [1440, 3000],
      [96, 1500],
      [1, 100],
      [1, 8],
    ] as const) {
      const load: Load = (p, w) =>
        100 * (p + 2 + Math.sin((2 * Math.PI * w) / (dayWindows === 1 ? 7 : dayWindows)));
      const components = memberComponents({
        partitionCount: 2,
        windowCount,
        horizon: HORIZON,
        load,
        dayWindows,
      });
      const member = newMember(components);
      assert.ok(member.windowsMin <= windowCount);
      await member.fit({ first: 0, count: 2 });
      const rows = await predictAll(member, components);
      rows.forEach((row, p) => {
        const worst = Math.max(
          ...row.map((value, h) => Math.abs(value - Math.log1p(load(p, windowCount + h)))),
        );
        // Eight days hold no week twice: there it is finite, and near what was seen.
        assert.ok(
          worst < (windowCount === 8 ? 2 : 0.1),
          `${dayWindows} windows a day, partition ${p}: off by ${worst}`,
        );
      });
    }
  });

  test(`${name}: a saved state predicts what the member did, also windows later; one of other partitions is refused`, async () => {
    const load = weeklyLoad(seed, { noise: 0.2 });
    const { member, components, rows } = await fitted(load, { partitionCount: 11 });
    const again = newMember(components);
    again.load(structuredClone(member.save()));
    assert.equal(await predictAll(again, components), rows);
    components.append(5);
    assert.equal(await predictAll(again, components), await predictAll(member, components));
    assert.throws(
      () => again.load({ fits: new Float64Array(3) }),
      (error: unknown) => error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT',
    );
  });

  test(`${name}: each partition is forecast by itself: its neighbours and the split into ranges change nothing`, async () => {
    const load = weeklyLoad(seed, { noise: 0.2 });
    const { components, rows } = await fitted(load, { partitionCount: 11 });
    const split = newMember(components);
    await split.fit({ first: 0, count: 3 });
    await split.fit({ first: 3, count: 8 });
    assert.equal(await predictAll(split, components), rows);
  });

  test(`${name}: a filter that runs away is not a forecast: the week before is`, async () => {
    const load = weeklyLoad(seed, { noise: 0.2 });
    const components = memberComponents({ partitionCount: 1, windowCount: 400, horizon: HORIZON, load });
    const member = newMember(components);
    // No season, a trend that grows by a half with each window.
    const [alpha, beta, phi] = [0.5, 0.5, 1.5];
    member.load({ fits: Float64Array.of(0, alpha, beta, phi, 0, 0, 1) });
    const [row] = await predictAll(member, components);
    assert.equal(
      row,
      Array.from({ length: HORIZON }, (_, h) => Math.log1p(load(0, 400 - 168 + h))),
    );
  });

  test(`${name}: a partition that was never fitted says what the week before said`, async () => {
    const load = weeklyLoad(seed, { noise: 0.2 });
    const components = memberComponents({ partitionCount: 2, windowCount: 400, horizon: HORIZON, load });
    const rows = await predictAll(newMember(components), components);
    rows.forEach((row, p) => {
      row.forEach((value, h) => {
        assert.is(value, Math.log1p(load(p, 400 - 168 + h)));
      });
    });
  });
}

test('mstl: chance does not come again as a season', async () => {
  const random = seededRandom(seed);
  const noise = Array.from({ length: FOUR_WEEKS }, () => Math.expm1(5 + random.nextFloat()));
  const components = memberComponents({
    partitionCount: 1,
    windowCount: FOUR_WEEKS,
    horizon: HORIZON,
    load: (_, w) => noise[w]!,
  });
  const member = mstlMember(components);
  await member.fit({ first: 0, count: 1 });
  const [row] = await predictAll(member, components);
  const range = Math.max(...row!) - Math.min(...row!);
  assert.ok(range < 0.35, `noise with a range of 1 is forecast with one of ${range} (SEED=${seed})`);
});

test.run();
