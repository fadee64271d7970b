import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Member } from '../../../../src/analyzer/members/member.ts';
import { pooledRidgeMember } from '../../../../src/analyzer/members/pooled-ridge.ts';
import { FORECAST_DEFAULTS, type RidgeSettings } from '../../../../src/analyzer/settings.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { type Load, memberComponents, predictAll } from '../../../support/member-history.ts';
import { testSeed } from '../../../support/seed.ts';
import { normal } from '../../../support/series.ts';
import { weeklyLoad } from '../../../support/synthetic-load.ts';

const test = suite('analyzer/members/pooled-ridge');
const seed = testSeed('analyzer/members/pooled-ridge');

type Components = ReturnType<typeof memberComponents>;

const ridgeOf = (components: Components, settings: Partial<RidgeSettings> = {}): Member =>
  pooledRidgeMember(components, {
    ridge: { ...FORECAST_DEFAULTS.ridge, clusterCount: 1, clusterSeeds: 1, ...settings },
  });

interface SavedModel {
  readonly weights: Float64Array;
  readonly solvedAt: number;
}
const modelsOf = (member: Member): readonly SavedModel[] =>
  (member.save() as unknown as { models: readonly SavedModel[] }).models;

const meanError = (rows: readonly number[][], truth: (p: number, h: number) => number): number => {
  const errors = rows.flatMap((row, p) => row.map((value, h) => Math.abs(value - truth(p, h))));
  return errors.reduce((sum, error) => sum + error, 0) / errors.length;
};

/**
 * Deviations from a day that persist or turn their sign from window to window, by their coefficient: rules that no one
 * model can serve together.
 */
function deviating(partitionCount: number, coefficientOf: (p: number, w: number) => number): Load {
  const random = seededRandom(seed);
  const rows = Array.from({ length: partitionCount }, () => [0]);
  return (p, w) => {
    const row = rows[p]!;
    while (row.length <= w) row.push(coefficientOf(p, row.length) * row.at(-1)! + 0.1 * normal(random));
    return Math.expm1(6 + row[w]! + 0.3 * Math.sin((2 * Math.PI * (w + 12 * (p % 2))) / 24));
  };
}

/** Of all partitions over some windows: the error of the next window over that of the day without its deviation. */
async function nextError(member: Member, components: Components, load: Load): Promise<number> {
  let mine = 0;
  let flat = 0;
  for (let round = 0; round < 20; round++) {
    const rows = await predictAll(member, components);
    const window = components.history.length;
    rows.forEach((row, p) => {
      const actual = Math.log1p(load(p, window));
      const day = 6 + 0.3 * Math.sin((2 * Math.PI * (window + 12 * (p % 2))) / 24);
      mine += Math.abs(row[0]! - actual);
      flat += Math.abs(day - actual);
    });
    components.append(1);
  }
  return mine / flat;
}

test('once partitions wake from silence or stillness, they are forecast within days', async () => {
  const partitionCount = 8;
  const living: Load = (p, w) => 100 * (1.2 + Math.sin((2 * Math.PI * (w + p)) / 24));
  for (const still of [0, 42]) {
    const load: Load = (p, w) => (w < 500 ? still : living(p, w));
    const components = memberComponents({ partitionCount, windowCount: 500, horizon: 24, load });
    const member = ridgeOf(components);
    for (const days of [2, 5, 7]) {
      components.append(24 * days);
      await member.advance!();
      await member.fit({ first: 0, count: partitionCount });
      const end = components.history.length;
      const error = meanError(await predictAll(member, components), (p, h) => Math.log1p(living(p, end + h)));
      assert.ok(error < 0.4, `${error} after ${end - 500} windows, before which all was ${still}`);
    }
  }
});

test('what held long ago is forgotten, also when sums are scaled back', async () => {
  const partitionCount = 12;
  // Half the weight in 50 windows: after 20 such, at window 1050, sums are scaled back.
  const load = deviating(partitionCount, (_, w) => (w < 1000 ? 0.9 : -0.9));
  const components = memberComponents({ partitionCount, windowCount: 300, horizon: 4, load });
  const member = ridgeOf(components, { halfLifeWindows: 50 });
  while (components.history.length < 1250) {
    components.append(50);
    await member.advance!();
  }
  await member.fit({ first: 0, count: partitionCount });
  const error = await nextError(member, components, load);
  assert.ok(error < 0.8, `${error}`);
});

test('clusters with rules of their own have models of their own, and share them as far as they are told to', async () => {
  const partitionCount = 12;
  const load = deviating(partitionCount, (p) => (p % 2 === 0 ? 0.9 : -0.9));
  const errorWith = async (poolingShare: number): Promise<number> => {
    const components = memberComponents({ partitionCount, windowCount: 1000, horizon: 4, load });
    const member = ridgeOf(components, { clusterCount: 2, poolingShare });
    await member.advance!();
    await member.fit({ first: 0, count: partitionCount });
    return await nextError(member, components, load);
  };
  const own = await errorWith(0.1);
  const shared = await errorWith(1);
  assert.ok(own < 0.9 * shared, `${own} with models of their own, ${shared} with one for all`);
});

test('the windows of an outage are no targets', async () => {
  const living = weeklyLoad(seed, { noise: 0.2 });
  const taught = async (imputed: number): Promise<Float64Array> => {
    const components = memberComponents({
      partitionCount: 3,
      windowCount: 400,
      horizon: 8,
      load: living,
      isOutage: (window) => window >= 376,
    });
    const { history, runner } = components;
    for (let p = 0; p < 3; p++)
      new Float64Array(
        runner.kernels.memory.buffer,
        history.pointer + (p * history.stride + 376) * 8,
        24,
      ).fill(imputed);
    const member = ridgeOf(components);
    await member.advance!();
    await member.fit({ first: 0, count: 3 });
    return modelsOf(member)[0]!.weights;
  };
  const spoilt = await taught(14);
  // Not assert.equal: what differs in so many numbers takes minutes to print.
  assert.ok((await taught(0)).every((weight, i) => weight === spoilt[i]));
});

test('where all was flat at first, every model is solved as soon as there is something to learn', async () => {
  const partitionCount = 6;
  const living = weeklyLoad(seed, { noise: 0.2 });
  const load: Load = (p, w) => (w < 300 ? 7 : living(p, w));
  const components = memberComponents({ partitionCount, windowCount: 290, horizon: 8, load });
  const member = ridgeOf(components, { clusterCount: 2, clusterSeeds: 2 });
  await member.advance!();
  await member.fit({ first: 0, count: partitionCount });
  assert.equal(await predictAll(member, components), new Array(6).fill(new Array(8).fill(Math.log1p(7))));
  while (modelsOf(member).every(({ solvedAt }) => solvedAt === 0)) {
    components.append(1);
    assert.ok(components.history.length < 700, 'there are rows at last');
    await member.advance!();
  }
  assert.ok(modelsOf(member).every(({ solvedAt }) => solvedAt === components.history.length));
});

test.run();
