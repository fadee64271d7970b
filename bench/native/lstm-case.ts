import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import type { NativeCase } from './case.ts';

interface Shape {
  readonly name: string;
  readonly steps: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly firstOutput: number;
}

/** As the member of the forecast trains for 48 steps ahead. */
const MEMBER: Shape = { name: 'lstm', steps: 10, inputs: 60, outputs: 80, firstOutput: 4 };
/** Long and narrow: a step is a window, the head is read once. */
const WINDOWS: Shape = { name: 'lstm-48-steps', steps: 48, inputs: 8, outputs: 32, firstOutput: 47 };

export const lstmCase = (options: { readonly isSmall: boolean }): NativeCase => caseOf(MEMBER, options);
export const lstmWindowsCase = (options: { readonly isSmall: boolean }): NativeCase =>
  caseOf(WINDOWS, options);

/** Forward and backward through time of a batch with 32 cells; every sequence is given the same errors. */
function caseOf(shape: Shape, { isSmall }: { readonly isSmall: boolean }): NativeCase {
  const { arena, exports } = loadKernels();
  const { name, steps, inputs, outputs, firstOutput } = shape;
  const hidden = 32;
  const sequences = isSmall ? 2 : 32;
  const random = seededRandom(4n);
  const weights = arena.f32(exports.lstmWeightCount(inputs, hidden, outputs));
  const input = arena.f32(sequences * steps * inputs);
  const errors = arena.f32((steps - firstOutput) * outputs);
  for (const [block, bound] of [
    [weights, 0.2],
    [input, 2],
    [errors, 1],
  ] as const)
    for (let i = 0; i < block.view.length; i++) block.view[i] = (2 * random.nextFloat() - 1) * bound;
  const gradients = arena.f32(weights.view.length);
  const trace = arena.f32(exports.lstmTraceCount(steps, inputs, hidden));
  const out = arena.f32(errors.view.length);
  return {
    name,
    source: 'lstm.c',
    input: Float64Array.from([...weights.view, ...input.view, ...errors.view]),
    numbers: [sequences, steps, inputs, hidden, outputs, firstOutput],
    amount: sequences,
    unit: 'sequence',
    settings: { steps, inputs, hidden, outputs, outputSteps: steps - firstOutput },
    // Sums in f32, in an order that the compiler of C may change.
    tolerance: 1e-4,
    runKernel() {
      gradients.view.fill(0);
      for (let k = 0; k < sequences; k++) {
        const from = input.pointer + k * steps * inputs * 4;
        exports.lstmForward(
          weights.pointer,
          from,
          steps,
          inputs,
          hidden,
          outputs,
          firstOutput,
          trace.pointer,
          out.pointer,
        );
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
      }
      // The gradient depends on everything; its squares are a hundredth of the work.
      let sum = 0;
      for (let i = 0; i < gradients.view.length; i++) sum += (gradients.view[i] as number) ** 2;
      return sum;
    },
  };
}
