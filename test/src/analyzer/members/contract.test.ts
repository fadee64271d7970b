/** What every member of the forecast keeps to, whatever its model: one test for all of the registry. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Member, MemberState } from '../../../../src/analyzer/members/member.ts';
import { MEMBER_FACTORIES } from '../../../../src/analyzer/members/registry.ts';
import { FORECAST_DEFAULTS } from '../../../../src/analyzer/settings.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { type Load, memberComponents, predictAll } from '../../../support/member-history.ts';
import { testSeed } from '../../../support/seed.ts';
import { weeklyLoad } from '../../../support/synthetic-load.ts';

const test = suite('analyzer/members/contract');
const seed = testSeed('analyzer/members/contract');
const PARTITIONS = 5;
const HORIZON = 10;
/** A day of ten windows: small on the debug build, a week that divides no slack, and no place where 24 could hide. */
const DAY = 10;
const WINDOWS = 480;
/** Of weekly loads with noise, by partition and window. */
const noisy = weeklyLoad(seed, { noise: 0.2 });
const SETTINGS = {
  ...FORECAST_DEFAULTS,
  ridge: { ...FORECAST_DEFAULTS.ridge, clusterCount: 2, clusterSeeds: 2 },
};

type Components = ReturnType<typeof memberComponents>;

function world(name: string, options: Partial<Parameters<typeof memberComponents>[0]> = {}) {
  const components = memberComponents({
    partitionCount: PARTITIONS,
    windowCount: WINDOWS,
    horizon: HORIZON,
    dayWindows: DAY,
    load: noisy,
    ...options,
  });
  return { components, member: newMember(name, components) };
}

function newMember(name: string, components: Components): Member {
  const member = MEMBER_FACTORIES[name]!(components, SETTINGS);
  assert.ok(member.windowsMin <= WINDOWS, `${name} needs ${member.windowsMin} windows`);
  return member;
}

async function learn(member: Member, { history }: Components): Promise<void> {
  await member.advance?.();
  await member.fit({ first: 0, count: history.shape.partitionCount });
}

/** The row of a partition in kernel memory, and the room behind it. */
function rowOf({ history, runner }: Components, partition: number): Float64Array {
  const pointer = history.pointer + partition * history.stride * 8;
  return new Float64Array(runner.kernels.memory.buffer, pointer, history.stride);
}

const differs = (a: readonly number[][], b: readonly number[][]): number =>
  Math.max(...a.flatMap((row, p) => row.map((value, h) => Math.abs(value - b[p]![h]!))));

for (const name of Object.keys(MEMBER_FACTORIES)) {
  test(`${name}: what stands behind the known windows is not read`, async () => {
    const plain = world(name);
    const spoilt = world(name);
    const { history } = spoilt.components;
    for (let p = 0; p < PARTITIONS; p++) rowOf(spoilt.components, p).fill(1e9, history.length);
    for (const { member, components } of [plain, spoilt]) await learn(member, components);
    assert.equal(
      await predictAll(spoilt.member, spoilt.components),
      await predictAll(plain.member, plain.components),
    );
  });

  test(`${name}: in ranges of any size it says the same, and writes nothing behind them`, async () => {
    const { member, components } = world(name);
    await learn(member, components);
    const expected = await predictAll(member, components);
    const out = components.runner.kernels.arena.f64((PARTITIONS + 1) * HORIZON);
    for (const size of [1, 3])
      for (let first = 0; first < PARTITIONS; first += size) {
        const count = Math.min(size, PARTITIONS - first);
        out.view.fill(-7);
        await member.predict({ first, count }, out.pointer);
        assert.equal([...out.view.subarray(0, count * HORIZON)], expected.slice(first, first + count).flat());
        assert.ok(
          out.view.subarray(count * HORIZON).every((guard) => guard === -7),
          `partitions ${first} and ${count - 1} more`,
        );
      }
  });

  test(`${name}: a history whose rows have moved to the front forecasts as one whose have not`, async () => {
    // 530 windows hold what a member reads at most: six weeks, or four before the oldest of ten segments.
    const [moved, still] = [530, 1680].map((windowsMax) => world(name, { windowsMax, windowCount: 690 }));
    for (const { member, components } of [moved!, still!]) {
      await member.advance?.();
      components.append(30);
    }
    assert.is(moved!.components.history.dropped, 168);
    assert.is(still!.components.history.dropped, 0);
    await learn(moved!.member, moved!.components);
    still!.member.load(structuredClone(moved!.member.save()));
    const said = await predictAll(moved!.member, moved!.components);
    const expected = await predictAll(still!.member, still!.components);
    assert.ok(differs(said, expected) < 1e-9, `off by ${differs(said, expected)}`);
  });

  test(`${name}: loaded into another one, its state goes on as it would have gone on`, async () => {
    const before = world(name);
    await learn(before.member, before.components);
    const after = world(name);
    after.member.load(structuredClone(before.member.save()));
    for (let round = 0; round < 2; round++) {
      assert.equal(
        await predictAll(after.member, after.components),
        await predictAll(before.member, before.components),
      );
      for (const { member, components } of [before, after]) {
        components.append(25);
        await learn(member, components);
      }
    }
  });

  test(`${name}: whatever comes, it says a finite load that is not negative, fitted or not`, async () => {
    const random = seededRandom(seed);
    const kinds: readonly ((w: number) => number)[] = [
      () => 0,
      () => 42,
      (w) => (w === WINDOWS - 2 ? 1e6 : 1),
      (w) => (w === 200 ? 1e6 : 0),
      (w) => (w === WINDOWS - 1 ? 1 : 0),
      (w) => (w % 2) * 1e3,
      (w) => (w % 2) * 1e97,
      () => 1e97,
      (w) => (w > WINDOWS - 20 ? 1e5 : 10),
      (w) => (w > WINDOWS - 20 ? 0 : 1e5),
      (w) => Math.max(0, WINDOWS - 5 - w),
      (w) => Math.expm1(Math.max(0, 9.7 - w * 0.02)),
      (w) => 5e-324 * (w % 3),
      () => (random.nextFloat() < 0.5 ? 0 : 10 ** (97 * random.nextFloat())),
      () => (random.nextFloat() < 0.03 ? 1 : 0),
      (w) => noisy(0, w),
    ];
    const table = kinds.map((kind) => Array.from({ length: WINDOWS }, (_, w) => kind(w)));
    const { member, components } = world(name, {
      partitionCount: kinds.length,
      load: (p, w) => table[p]![w]!,
    });
    const check = async (when: string): Promise<void> =>
      (await predictAll(member, components)).forEach((row, p) => {
        assert.ok(
          row.every((value) => value >= 0 && value < 1000),
          `${when}, partition ${p}: ${row}`,
        );
      });
    await check('before a fit');
    await learn(member, components);
    await check('after it');
    member.load(structuredClone(member.save()));
    await check('after a restart');
  });

  test(`${name}: a state that is damaged is refused as such and changes nothing, or can be gone on with`, async () => {
    const source = world(name);
    await learn(source.member, source.components);
    const good = structuredClone(source.member.save());
    const { member, components } = world(name);
    await learn(member, components);
    const kept = structuredClone(member.save());
    for (const [what, state] of damaged(good)) {
      try {
        member.load(state);
      } catch (error) {
        const isRefused = error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT';
        assert.ok(isRefused && error.message.includes(name), `${what}: ${error}`);
        assert.equal(member.save(), kept, `${what} is half written`);
        continue;
      }
      assert.not.match(what, /NaN|without|null|text|shorter|1e9/, `${what} was accepted`);
      const isUsable = (row: number[]): boolean => row.every((value) => value >= 0 && value < 1000);
      assert.ok((await predictAll(member, components)).every(isUsable), what);
      member.load(structuredClone(kept));
    }
  });
}

/** A saved state without each of its parts, and with each of them spoilt, parts of parts included. */
function damaged(state: MemberState): (readonly [string, MemberState])[] {
  return Object.entries(state).flatMap(([key, value]) => {
    const { [key]: _, ...rest } = state;
    const spoilt: (readonly [string, unknown])[] = [
      ['is null', null],
      ['is text', 'x'],
    ];
    if (value instanceof Float64Array || value instanceof Float32Array || value instanceof Int32Array) {
      const filled = (number: number) => value.slice().fill(number);
      if (value.length > 0) spoilt.push(['is shorter', value.slice(1)]);
      // Rows of NaN are what smoothing has where nothing is fitted.
      if (key === 'fits') spoilt.push(['is one number NaN', value.slice().fill(Number.NaN, 3, 4)]);
      else if (!(value instanceof Int32Array) && value.length > 0)
        spoilt.push(['is NaN', filled(Number.NaN)]);
      // Labels, windows and partitions; of a weight nobody can tell how large it may be.
      if (value instanceof Int32Array && value.length > 0)
        spoilt.push(['is 1e9', filled(1e9)], ['is -1e9', filled(-1e9)]);
    }
    if (Array.isArray(value) && value.length > 0) {
      const [first, ...others] = value as MemberState[];
      spoilt.push(['is empty, null', []]);
      for (const [what, part] of damaged(first as MemberState)) spoilt.push([`0 ${what}`, [part, ...others]]);
    }
    return [
      [`without ${key}`, rest as MemberState] as const,
      ...spoilt.map(([what, part]) => [`${key} ${what}`, { ...state, [key]: part } as MemberState] as const),
    ];
  });
}

/**
 * Members that a series of hours with a day and a week in it suits, and what they may be off at any step, log units: the
 * edge of the weekend is 0.7 high. One for all averages the edges of partitions.
 */
const WEEKLY: Readonly<Record<string, number>> = {
  'naive-week': 1e-9,
  weeks: 1e-9,
  'pooled-ridge': 0.3,
  autoregression: 0.1,
  card: 0.1,
  ridge: 0.1,
  sarima: 0.1,
  ets: 0.1,
  mstl: 0.1,
};

for (const [name, errorMax] of Object.entries(WEEKLY))
  test(`${name}: a day and a week go on, at every step and into the weekend`, async () => {
    const load: Load = (p, w) => {
      const isWeekend = Math.floor(w / 24) % 7 >= 5;
      return 100 * (p + 1) * (1.5 + Math.sin((2 * Math.PI * (w + 3 * p)) / 24)) * (isWeekend ? 0.5 : 1);
    };
    // Four weeks and three days: the two that are forecast hold a whole day before the weekend and the half of it.
    const windowCount = 672 + 96;
    const { member, components } = world(name, {
      dayWindows: 24,
      windowCount,
      horizon: 48,
      load,
      partitionCount: 3,
    });
    await learn(member, components);
    const rows = await predictAll(member, components);
    const errors = rows.map((row, p) =>
      Math.max(...row.map((value, h) => Math.abs(value - Math.log1p(load(p, windowCount + h))))),
    );
    assert.ok(Math.max(...errors) < errorMax, `off by ${errors}`);
  });

test.run();
