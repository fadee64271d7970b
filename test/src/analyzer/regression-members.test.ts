import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { History } from '../../../src/analyzer/history.ts';
import { autoregressionMember } from '../../../src/analyzer/members/autoregression.ts';
import { cardMember } from '../../../src/analyzer/members/card.ts';
import {
  analogueMember,
  KernelRegression,
  qbKernelMember,
} from '../../../src/analyzer/members/kernel-regression.ts';
import type { Member, MemberComponents } from '../../../src/analyzer/members/member.ts';
import { qbLinearMember } from '../../../src/analyzer/members/qb-linear.ts';
import { ridgeMember } from '../../../src/analyzer/members/ridge.ts';
import { sparseCountsMember } from '../../../src/analyzer/members/sparse-counts.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('analyzer/members/regressions');
const seed = testSeed('analyzer/members/regressions');
// The tests run with a day of six windows: small on the debug build, and no place where 24 could hide.
const DAY = 6;
const WEEK = 7 * DAY;

const members: Record<string, (components: MemberComponents) => Member> = {
  autoregression: autoregressionMember,
  card: cardMember,
  ridge: ridgeMember,
  'qb-linear': qbLinearMember,
  'qb-kernel': qbKernelMember,
  analogue: analogueMember,
  'sparse-counts': sparseCountsMember,
};

/** A load of each partition at each window. */
type Loads = readonly ((window: number, random: Random) => number)[];

function world(loads: Loads, options: { windows: number; horizon: number; day?: number }) {
  const { day = DAY } = options;
  const runner = inlineRunner(loadKernels());
  const history = new History(
    {
      partitionCount: loads.length,
      windowMs: 3_600_000,
      startMs: 0,
      driver: 'queries',
      windowsMax: 1000 * Math.ceil(day / DAY / 24),
      dayWindows: day,
      weekWindows: 7 * day,
    },
    runner.kernels.arena,
  );
  const random = seededRandom(seed);
  const rows = loads.map((load) =>
    Float64Array.from({ length: 100 * DAY * Math.ceil(day / DAY / 24) }, (_, w) => load(w, random)),
  );
  const grow = (end: number): void => {
    while (history.length < end) history.append(profileOf(rows, history.length), 0);
  };
  grow(options.windows);
  const { horizon } = options;
  const components = { history, runner, random, logger: silentLogger, horizon };
  const all = { first: 0, count: loads.length };
  const predict = async (member: Member): Promise<Float64Array> => {
    const out = runner.kernels.arena.f64(loads.length * horizon);
    await member.predict(all, out.pointer);
    const values = out.view.slice();
    runner.kernels.arena.free(out);
    return values;
  };
  return { history, components, all, predict, grow, rows, arena: runner.kernels.arena };
}

function profileOf(rows: readonly Float64Array[], window: number): LoadProfile {
  const values = new Float64Array(rows.length * LOAD_DIMENSION_COUNT);
  rows.forEach((row, p) => {
    values[p * LOAD_DIMENSION_COUNT] = row[window]!;
  });
  return {
    startMs: window * 3_600_000,
    windowMs: 3_600_000,
    windowCount: 1,
    partitionCount: rows.length,
    values,
    coverage: Float64Array.of(1),
  };
}

const logs = (row: Float64Array, first: number, count: number): number[] =>
  [...row.subarray(first, first + count)].map(Math.log1p);

function meanError(forecast: ArrayLike<number>, actual: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < actual.length; i++) sum += Math.abs(forecast[i]! - actual[i]!);
  return sum / actual.length;
}

const cycle: Loads[number] = (w) => 100 + 80 * Math.sin((2 * Math.PI * w) / DAY) + (w % WEEK < DAY ? 60 : 0);

for (const [name, factory] of Object.entries(members)) {
  test(`${name}: awkward series get a finite forecast; a flat one goes on as it was`, async () => {
    const loads: Loads = [
      () => 0,
      () => 42,
      (w) => (w === 300 ? 1e9 : 1),
      (w) => (w > 330 ? 0 : 500),
      (w) => 2 ** (w / 20),
      (_w, random) => (random.nextFloat() < 0.02 ? 3 : 0),
      cycle,
    ];
    for (const windows of [0, 360]) {
      const { components, all, predict, grow, arena } = world(loads, { windows: 0, horizon: 11 });
      const before = arena.usedBytes;
      const member = factory(components);
      grow(Math.max(windows, member.windowsMin));
      assert.ok(member.windowsMin <= 360, 'a few weeks are enough');
      const unfitted = await predict(member);
      assert.ok(unfitted.every(Number.isFinite), 'before a fit');
      await member.fit(all);
      const forecast = await predict(member);
      assert.ok(forecast.every((value) => Number.isFinite(value) && value >= 0));
      for (let h = 0; h < 11; h++) {
        assert.is(forecast[h], 0, 'silence');
        assert.ok(Math.abs(forecast[11 + h]! - Math.log1p(42)) < 1e-9, 'constant');
      }
      member.close();
      assert.is(arena.usedBytes, before, 'all memory is given back');
    }
  });

  test(`${name}: with windows of a minute the work stays bounded, and it speaks from its first window on`, async () => {
    const day = 1440;
    const daily: Loads[number] = (w, random) =>
      50 + 40 * Math.sin((2 * Math.PI * w) / day) + random.nextFloat();
    const { components, all, predict, grow, rows } = world([daily], { windows: 0, horizon: 60, day });
    const member = factory(components);
    assert.ok(member.windowsMin <= 5 * day);
    grow(member.windowsMin);
    await member.fit(all);
    const error = meanError(await predict(member), logs(rows[0]!, member.windowsMin, 60));
    assert.ok(error < 0.5, `mean log error ${error}`);
  });

  test(`${name}: saved and loaded into another one, it says the same`, async () => {
    const noisy: Loads[number] = (w, random) => cycle(w, random) * (0.5 + random.nextFloat());
    const { components, all, predict, grow } = world([noisy, noisy, noisy], { windows: 300, horizon: 7 });
    const member = factory(components);
    await member.fit({ first: 1, count: 2 });
    grow(320);
    const expected = await predict(member);
    const copy = factory(components);
    copy.load(member.save());
    assert.equal([...(await predict(copy))], [...expected]);
    // A range is a part of the whole.
    const { arena } = components.runner.kernels;
    const out = arena.f64(7);
    await member.predict({ first: 2, count: 1 }, out.pointer);
    assert.equal([...out.view], [...expected.slice(14)]);
    assert.ok(all.count === 3);
    const alien = { ...member.save(), partitions: Int32Array.of(3) };
    assert.throws(
      () => copy.load(alien),
      (error: unknown) => error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT',
    );
  });

  test(`${name}: a cycle of a day goes on`, async () => {
    const daily: Loads[number] = (w) => 100 + 80 * Math.sin((2 * Math.PI * w) / DAY);
    const { components, all, predict, rows } = world([daily], { windows: 336, horizon: DAY });
    const member = factory(components);
    await member.fit(all);
    const actual = logs(rows[0]!, 336, DAY);
    const mean = actual.reduce((sum, value) => sum + value, 0) / DAY;
    const flat = meanError(new Array(DAY).fill(mean), actual);
    const error = meanError(await predict(member), actual);
    assert.ok(
      error < flat * (name === 'qb-kernel' ? 0.5 : 0.1),
      `mean log error ${error}, of a flat line ${flat}`,
    );
  });
}

for (const factory of [autoregressionMember, ridgeMember])
  test(`${factory.name}: an autoregressive process is forecast with half the error of the naive`, async () => {
    let state = 0;
    const process: Loads[number] = (_w, random) => {
      state = 0.9 * state + (random.nextFloat() - 0.5);
      return Math.expm1(6 + state);
    };
    const { components, all, predict, grow, rows } = world([process], { windows: 500, horizon: 1 });
    const member = factory(components);
    await member.fit(all);
    let mine = 0;
    let naive = 0;
    for (let w = 500; w < 600; w++) {
      const [forecast] = await predict(member);
      const [actual] = logs(rows[0]!, w, 1);
      mine += (forecast! - actual!) ** 2;
      naive += (logs(rows[0]!, w - DAY, 1)[0]! - actual!) ** 2;
      if (w < 599) grow(w + 1);
    }
    assert.ok(mine < naive / 2, `${mine} against ${naive}`);
  });

for (const factory of [autoregressionMember, cardMember, ridgeMember])
  test(`${factory.name}: a level that has moved an hour ago is followed`, async () => {
    const shifted: Loads[number] = (w, random) =>
      cycle(w, random) * (0.9 + 0.2 * random.nextFloat()) * (Math.floor(w / 31) % 2 === 0 ? 1 : 4);
    const now = 31 * 12 + 3;
    const { components, all, predict, rows } = world([shifted], { windows: now, horizon: 2 });
    const member = factory(components);
    await member.fit(all);
    const actual = logs(rows[0]!, now, 2);
    const error = meanError(await predict(member), actual);
    const naive = meanError(logs(rows[0]!, now - DAY, 2), actual);
    assert.ok(error < 0.6 * naive, `${error} against ${naive}`);
  });

test('counts: a few events a day keep their hour; a partition that has died is noticed; busy ones are left alone', async () => {
  const loads: Loads = [
    (w, random) => (w % DAY === 2 && random.nextFloat() < 0.7 ? 2 : 0),
    (w, random) => (w < 320 && random.nextFloat() < 0.7 ? 2 : 0),
    (_w, random) => 50 + 10 * random.nextFloat(),
  ];
  // 360 windows: the first to forecast has phase 0 of the day.
  const { components, predict, rows } = world(loads, { windows: 360, horizon: DAY });
  const forecast = await predict(sparseCountsMember(components));
  const hourly = forecast.subarray(0, DAY);
  assert.ok(hourly[2]! > 0.5 * Math.log1p(2), `${hourly[2]} at its hour`);
  for (const phase of [0, 1, 3, 4, 5])
    assert.ok(hourly[phase]! < hourly[2]! / 5, `${hourly[phase]} at another`);
  const alive = 0.7 * Math.log1p(2);
  assert.ok(forecast.subarray(DAY, 2 * DAY).every((value) => value < alive / 2));
  assert.equal([...forecast.subarray(2 * DAY)], logs(rows[2]!, 360 - WEEK, DAY));
});

test('a kernel regression repeats what followed the last burst of the same shape', async () => {
  // A burst of four windows now and then, which begins with a warning.
  const burst: Loads[number] = (w) => {
    const phase = w % 37;
    return phase < 2 ? 50 : phase < 6 ? 900 : 10;
  };
  const { components, predict, rows } = world([burst], { windows: 37 * 9 + 2, horizon: 4 });
  const sharp = { name: 'sharp', inputs: DAY, windowsMax: 330, bandwidth: 0.1, isLevelled: false };
  const member = new KernelRegression(sharp, components);
  const error = meanError(await predict(member), logs(rows[0]!, 37 * 9 + 2, 4));
  assert.ok(error < 1, `mean log error ${error}; without the burst it would be ${Math.log(90)}`);
});

test('a kernel regression whose nearest past knows only the first steps asks the others for the rest', async () => {
  // Chance, then twice the same five windows: what followed the first of them is known for five steps.
  const motif: Loads[number] = (w, random) =>
    100 * (1 + 8 * (w < 300 ? random.nextFloat() : ((w % 5) * 2) / 10));
  const { components, predict, rows } = world([motif], { windows: 310, horizon: 11 });
  const member = new KernelRegression(
    { name: 'sharpest', inputs: 5, windowsMax: 310, bandwidth: 1e-4, isLevelled: false },
    components,
  );
  const forecast = await predict(member);
  const known = logs(rows[0]!, 305, 5);
  assert.ok(meanError(forecast.subarray(0, 5), known) < 1e-9, 'the nearest past alone');
  const all = logs(rows[0]!, 0, 300);
  const mean = all.reduce((sum, value) => sum + value, 0) / 300;
  for (const value of forecast.subarray(5))
    assert.ok(Math.abs(value - mean) < 0.1, `${value}, the mean is ${mean}`);
});

test.run();
