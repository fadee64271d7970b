import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../../src/base/random.ts';
import type { KernelBuild } from '../../../src/kernels/bytes.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import * as oracle from '../../oracles/lstm.ts';
import * as rowsOracle from '../../oracles/lstm-rows.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('kernels/lstm');
const builds: readonly KernelBuild[] = ['debug', 'release'];
const seed = testSeed('kernels/lstm');

/** f32 has 24 bits; sums of a hundred terms of size one lose a few of them. */
const TOLERANCE = 2e-5;

function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  what: string,
  tolerance = TOLERANCE,
): void {
  assert.is(actual.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    if (Number.isNaN(a) && Number.isNaN(e)) continue;
    if (!(Math.abs(a - e) <= tolerance * Math.max(1, Math.abs(e))))
      assert.unreachable(`${what}[${i}]: ${a} is not ${e} (SEED=${seed})`);
  }
}

function setup(build: KernelBuild) {
  const { arena, exports } = loadKernels({ build });
  const random = seededRandom(seed);
  const even = (bound: number): number => (2 * random.nextFloat() - 1) * bound;
  const filled = (count: number, draw: () => number) => {
    const block = arena.f32(count);
    for (let i = 0; i < count; i++) block.view[i] = draw();
    return block;
  };
  return { arena, exports, random, even, filled };
}

const SHAPE: oracle.LstmShape = { steps: 4, inputs: 4, hidden: 8, outputs: 16, firstOutput: 2 };

function network(build: KernelBuild, shape: oracle.LstmShape) {
  const { arena, exports, even, filled } = setup(build);
  const { steps, inputs, hidden, outputs, firstOutput } = shape;
  const weights = filled(exports.lstmWeightCount(inputs, hidden, outputs), () => even(0.7));
  const input = filled(steps * inputs, () => even(3));
  const trace = arena.f32(exports.lstmTraceCount(steps, inputs, hidden));
  const out = arena.f32((steps - firstOutput) * outputs);
  const forward = (): void =>
    exports.lstmForward(
      weights.pointer,
      input.pointer,
      steps,
      inputs,
      hidden,
      outputs,
      firstOutput,
      trace.pointer,
      out.pointer,
    );
  return { arena, exports, even, filled, weights, input, trace, out, forward };
}

for (const build of builds) {
  test(`${build}: the forward pass equals the oracle, also with saturated gates and two tiles of columns`, () => {
    for (const shape of [
      SHAPE,
      { steps: 3, inputs: 8, hidden: 16, outputs: 32, firstOutput: 0 },
      { steps: 1, inputs: 4, hidden: 8, outputs: 16, firstOutput: 0 },
    ]) {
      const { weights, input, out, forward } = network(build, shape);
      forward();
      assertClose(out.view, oracle.lstmForward(weights.view, input.view, shape), 'outputs');
      // Sums of hundreds: e^x is far outside f32.
      for (let i = 0; i < input.view.length; i++) input.view[i] = input.view[i]! * 300;
      forward();
      assertClose(out.view, oracle.lstmForward(weights.view, input.view, shape), 'saturated outputs');
    }
  });

  test(`${build}: gradients equal the oracle's, and add up over sequences`, () => {
    const { steps, inputs, hidden, outputs, firstOutput } = SHAPE;
    const { arena, exports, even, filled, weights, input, trace, out, forward } = network(build, SHAPE);
    const errors = filled(out.view.length, () => even(1));
    const gradients = arena.f32(weights.view.length);
    const expected = oracle.lstmGradient(weights.view, input.view, errors.view, SHAPE);
    for (let repeat = 1; repeat <= 2; repeat++) {
      forward();
      exports.lstmBackward(
        weights.pointer,
        steps,
        inputs,
        hidden,
        outputs,
        firstOutput,
        trace.pointer,
        errors.pointer,
        gradients.pointer,
      );
      assertClose(
        gradients.view,
        expected.map((value) => value * repeat),
        'gradients',
      );
    }
  });

  test(`${build}: Adam equals the oracle, cuts long gradients, and passes over one that is not finite`, () => {
    const { arena, exports, even, filled } = setup(build);
    const count = 12;
    const weights = filled(count, () => even(1));
    const moments = arena.f32(2 * count);
    const gradients = arena.f32(count);
    const expected = Float64Array.from(weights.view);
    const expectedMoments = new Float64Array(2 * count);
    const step = (number: number, divisor: number): number =>
      exports.lstmAdam(
        weights.pointer,
        gradients.pointer,
        moments.pointer,
        count,
        divisor,
        0.5,
        0.01,
        number,
      );
    for (let number = 1; number <= 5; number++) {
      const gradient = Array.from({ length: count }, () => even(number > 3 ? 10 : 0.1));
      gradients.view.set(gradient.map((value) => value * 4));
      const norm = step(number, 4);
      const options = { normMax: 0.5, rate: 0.01, step: number };
      assertClose([norm], [oracle.lstmAdam(expected, expectedMoments, gradient, options)], 'norm');
      assertClose(weights.view, expected, 'weights');
      assert.is(
        gradients.view.every((value) => value === 0),
        true,
        'gradients begin anew',
      );
    }
    const before = weights.view.slice();
    gradients.view[3] = Number.NaN;
    step(6, 4);
    assert.equal(weights.view, before);
    assertClose(moments.view, expectedMoments, 'moments');
  });

  test(`${build}: rows, losses and mixtures equal the oracle, for a day of 24, 12 and 96 windows`, () => {
    for (const [dayWindows, horizon, weekOfHistory] of [
      [24, 30, true],
      [12, 16, true],
      [96, 20, false],
    ] as const) {
      const { arena, exports, random, even, filled } = setup(build);
      const weekWindows = 7 * dayWindows;
      const shape = { dayWindows, weekWindows, steps: 3, firstOutput: 1, horizon, spreadFloor: 0.01 };
      const lookback = exports.lstmLookback(shape.steps, dayWindows);
      const origin = lookback + (weekOfHistory ? weekWindows + 5 : 3);
      const known = origin + 7;
      const series = arena.f64(known + 2);
      series.view.forEach((_, i) => {
        series.view[i] =
          4 + Math.sin((2 * Math.PI * i) / dayWindows) + random.nextFloat() + (i === 70 ? 90 : 0);
      });
      const outages = arena.u8(known);
      outages.view[origin - 4] = 1;
      outages.view[origin + 2] = 1;
      const phases = filled(weekWindows * 6, () => even(1));
      const phase = weekWindows - 11;
      const padded = Math.ceil(horizon / 16) * 16;
      const input = arena.f32(shape.steps * exports.lstmInputCount());
      const contrasts = arena.f32(2 * 3 * padded);
      const targets = arena.f32(2 * padded);
      const scratch = arena.f64(exports.lstmScratchCount(horizon));
      const scale = exports.lstmRow(
        series.pointer,
        known,
        outages.pointer,
        origin,
        dayWindows,
        weekWindows,
        phases.pointer,
        phase,
        shape.steps,
        shape.firstOutput,
        horizon,
        shape.spreadFloor,
        input.pointer,
        contrasts.pointer,
        targets.pointer,
        scratch.pointer,
      );
      const phaseOf = (window: number): number[] => {
        const at = ((phase + window) % weekWindows) * 6;
        return [...phases.view.subarray(at, at + 6)];
      };
      const isOutage = (window: number): boolean => outages.view[window] === 1;
      const row = rowsOracle.lstmRow(series.view, { origin, known, isOutage, phaseOf }, shape);
      assertClose([scale], [row.scale], 'scale', 1e-12);
      assertClose(input.view, row.inputs.flat(), 'inputs');
      const read = [0, 1];
      const contrastOf = (step: number, k: number): Float32Array =>
        contrasts.view.subarray((step * 3 + k) * padded, (step * 3 + k) * padded + horizon);
      for (const step of read) {
        row.contrasts[step]!.forEach((contrast, k) => {
          assertClose(contrastOf(step, k), contrast, `contrasts ${step} ${k}`);
        });
        const target = targets.view.subarray(step * padded, (step + 1) * padded);
        assertClose(target.subarray(0, horizon), row.targets[step]!, `targets ${step}`);
        assert.is(target.subarray(horizon).every(Number.isNaN), true, 'nothing is known beyond the horizon');
      }
      const base = exports.lstmBase(
        series.pointer,
        origin,
        dayWindows,
        weekWindows,
        horizon,
        scratch.pointer,
      );
      const said = new Float64Array(series.view.buffer, base, horizon);
      assertClose(said, row.base, 'base', 1e-12);

      const outputs = exports.lstmOutputCount(horizon);
      const out = filled(2 * outputs, () => even(1));
      const result = arena.f64(horizon);
      const given = read.map((step) => [...out.view.subarray(step * outputs, (step + 1) * outputs)]);
      exports.lstmMix(out.pointer, contrasts.pointer, base, horizon, scale, result.pointer);
      const corrections = rowsOracle.lstmCorrections(given[0]!, row.contrasts[0]!, horizon);
      assertClose(
        result.view,
        row.base.map((value, i) => value + row.scale * corrections[i]!),
        'mixture',
      );

      const lossOf = (outs: readonly (readonly number[])[]): number =>
        read.reduce((sum, step) => {
          const said = rowsOracle.lstmCorrections(outs[step]!, row.contrasts[step]!, horizon);
          return sum + rowsOracle.huber(said, row.targets[step]!, 0.5);
        }, 0);
      const loss = exports.lstmLoss(out.pointer, contrasts.pointer, targets.pointer, 2, horizon, 0.5);
      assertClose([loss], [lossOf(given)], 'loss');
      // The gradient against differences: every output of both steps, those that say nothing included.
      for (const step of read)
        for (let at = 0; at < outputs; at++) {
          const moved = (by: number): number =>
            lossOf(given.map((values, s) => values.map((v, i) => (s === step && i === at ? v + by : v))));
          const slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
          assertClose([out.view[step * outputs + at]!], [slope], `slope ${step} ${at}`, 1e-4);
        }
    }
  });
}

test('the oracle’s gradient is the slope of what its forward pass says', () => {
  const random = seededRandom(seed);
  const even = (): number => 2 * random.nextFloat() - 1;
  const { steps, inputs, hidden, outputs, firstOutput } = SHAPE;
  const weights = Float64Array.from(
    { length: (inputs + hidden) * 4 * hidden + (hidden + 1) * outputs },
    even,
  );
  const input = Float64Array.from({ length: steps * inputs }, even);
  const errors = Float64Array.from({ length: (steps - firstOutput) * outputs }, even);
  const gradient = oracle.lstmGradient(weights, input, errors, SHAPE);
  const valueAt = (index: number, by: number): number => {
    const moved = weights.slice();
    moved[index] = moved[index]! + by;
    return oracle.lstmForward(moved, input, SHAPE).reduce((sum, out, i) => sum + out * errors[i]!, 0);
  };
  // Prime to every row length: all kinds of weights are met.
  for (let index = 0; index < weights.length; index += 7) {
    const slope = (valueAt(index, 1e-6) - valueAt(index, -1e-6)) / 2e-6;
    assertClose([gradient[index]!], [slope], `weight ${index}`, 1e-7);
  }
});

test.run();
