import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import type { KernelBuild } from '../../../src/kernels/bytes.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import * as oracle from '../../oracles/ets.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('kernels/ets');
const builds: readonly KernelBuild[] = ['debug', 'release'];
const seed = testSeed('kernels/ets');
const LANES = 8;

/** No season, one, two, a season of one window, and windows that are no whole number of cycles. */
const SHAPES = [
  { length: 29, season: 0, secondSeason: 0, backcastWindows: 20, levelWindows: 5 },
  { length: 41, season: 7, secondSeason: 0, backcastWindows: 14, levelWindows: 7 },
  { length: 50, season: 4, secondSeason: 12, backcastWindows: 24, levelWindows: 4 },
  { length: 25, season: 1, secondSeason: 3, backcastWindows: 25, levelWindows: 1 },
] as const;
const LEADS = [1, 2, 5, 9, 14] as const;
const SPACING = 3;
const JUDGED_FROM = 5;

/** Eight series, each with its own parameters, in kernel memory and as plain arrays. */
function setup(build: KernelBuild, random: Random, shape: (typeof SHAPES)[number]) {
  const { arena, exports } = loadKernels({ build });
  const { length, season, secondSeason } = shape;
  const stride = length + 3;
  const rows = arena.f64(LANES * stride);
  rows.view.forEach((_, i) => {
    rows.view[i] = random.nextFloat() * 9;
  });
  const series = Array.from({ length: LANES }, (_, lane) => [
    ...rows.view.subarray(lane * stride, lane * stride + length),
  ]);
  const list = arena.i32(LANES);
  list.view.forEach((_, lane) => {
    list.view[lane] = lane;
  });
  const tile = arena.f64(length * LANES);
  exports.tileOfSeries(rows.pointer, stride, list.pointer, LANES, length, tile.pointer);
  const parameters = arena.f64(5 * LANES);
  parameters.view.forEach((_, i) => {
    parameters.view[i] = random.nextFloat() * (Math.floor(i / LANES) === 2 ? 1 : 0.3);
  });
  const parametersOf = (lane: number): oracle.EtsParameters => {
    const field = (index: number): number => parameters.view[index * LANES + lane]!;
    return { alpha: field(0), beta: field(1), phi: field(2), gamma: field(3), delta: field(4) };
  };
  const states = arena.f64((2 + season + secondSeason) * LANES);
  const statesOf = (lane: number): number[] => [...states.view].filter((_, i) => i % LANES === lane);
  return { arena, exports, tile, parameters, parametersOf, states, statesOf, series, rows, list, stride };
}

const flat = (states: oracle.EtsStates): number[] => [
  states.level,
  states.trend,
  ...states.season,
  ...states.second,
];

for (const build of builds)
  test(`${build}: starts, filters, backcasts, judgements and forecasts equal the oracle bit for bit`, () => {
    const random = seededRandom(seed);
    for (const shape of SHAPES) {
      const { length, season, secondSeason, backcastWindows, levelWindows } = shape;
      const what = `${JSON.stringify(shape)} SEED=${seed}`;
      const given = setup(build, random, shape);
      const { arena, exports, tile, parameters, parametersOf, states, statesOf, series } = given;
      const startAll = (): oracle.EtsStates[] =>
        series.map((values) => oracle.start(values, { ...shape, end: backcastWindows }));
      exports.etsStart(
        tile.pointer,
        length,
        backcastWindows,
        levelWindows,
        season,
        secondSeason,
        states.pointer,
      );
      const begun = startAll();
      for (let lane = 0; lane < LANES; lane++)
        assert.equal(statesOf(lane), flat(begun[lane]!), `start ${what}`);

      const start = arena.f64(states.view.length);
      start.view.set(states.view);
      const leads = arena.i32(LEADS.length);
      leads.view.set(LEADS);
      const work = arena.f64((LEADS.length + 1) * LANES);
      const sums = arena.f64(LANES);
      exports.etsJudge(
        tile.pointer,
        length,
        backcastWindows,
        JUDGED_FROM,
        season,
        secondSeason,
        parameters.pointer,
        start.pointer,
        states.pointer,
        leads.pointer,
        LEADS.length,
        SPACING,
        work.pointer,
        sums.pointer,
      );
      const judged = startAll();
      for (let lane = 0; lane < LANES; lane++) {
        const options = { backcastWindows, judgedFrom: JUDGED_FROM, leads: LEADS, spacing: SPACING };
        const expected = oracle.judge(series[lane]!, options, judged[lane]!, parametersOf(lane));
        assert.is(sums.view[lane], expected, `judge ${what}`);
        assert.equal(statesOf(lane), flat(judged[lane]!), `states after judging ${what}`);
      }

      // In two pieces, so that a filter that begins within a cycle is seen, too.
      states.view.set(start.view);
      sums.view.fill(0);
      exports.etsBackcast(
        tile.pointer,
        backcastWindows,
        season,
        secondSeason,
        parameters.pointer,
        states.pointer,
        work.pointer,
      );
      for (const [first, end] of [
        [0, 11],
        [11, length],
      ] as const)
        exports.etsFilter(
          tile.pointer,
          first,
          end,
          season,
          secondSeason,
          parameters.pointer,
          states.pointer,
          sums.pointer,
        );
      const horizon = 17;
      const out = arena.f64(LANES * horizon);
      exports.etsForecast(
        states.pointer,
        length,
        season,
        secondSeason,
        parameters.pointer,
        given.list.pointer,
        LANES,
        horizon,
        out.pointer,
      );
      const filtered = startAll();
      for (let lane = 0; lane < LANES; lane++) {
        const own = filtered[lane]!;
        oracle.backcast(series[lane]!, backcastWindows, own, parametersOf(lane));
        const sum = oracle.filter(series[lane]!, { first: 0, end: length }, own, parametersOf(lane));
        assert.is(sums.view[lane], sum, `squared errors ${what}`);
        const expected = oracle.forecast(own, length, parametersOf(lane), horizon);
        const row = out.view.subarray(lane * horizon, (lane + 1) * horizon);
        assert.equal([...row], expected, `forecast ${what}`);
      }
    }
  });

test('a tile of one series, and of fewer than eight, fills every lane', () => {
  const random = seededRandom(seed);
  const { arena, exports, rows, list, stride, tile, series } = setup('debug', random, SHAPES[0]);
  const length = SHAPES[0].length;
  exports.tileOfOne(rows.pointer, length, tile.pointer);
  assert.ok(tile.view.every((value, i) => value === series[0]![Math.floor(i / LANES)]));
  list.view.set([5, 2, 7]);
  exports.tileOfSeries(rows.pointer, stride, list.pointer, 3, length, tile.pointer);
  const rowOfLane = [5, 2, 7, 7, 7, 7, 7, 7];
  assert.ok(tile.view.every((value, i) => value === series[rowOfLane[i % LANES]!]![Math.floor(i / LANES)]));
  arena.free(tile);
});

test.run();
