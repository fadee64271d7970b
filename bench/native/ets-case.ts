import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import type { NativeCase } from './case.ts';

const LANES = 8;

/** ETS(A,Ad,A) with a season of a day over 1,000 series of 720 hours. */
export function etsCase({ isSmall }: { readonly isSmall: boolean }): NativeCase {
  const { arena, exports } = loadKernels();
  const blockCount = isSmall ? 2 : 125;
  const [length, season] = [720, 24];
  const [alpha, beta, gamma, phi] = [0.3, 0.02, 0.1, 0.97] as const;
  const random = seededRandom(3n);
  const values = arena.f64(blockCount * length * LANES);
  values.view.forEach((_, i) => {
    const hour = Math.floor(i / LANES) % season;
    values.view[i] = 5 + Math.sin((hour / season) * 2 * Math.PI) + random.nextFloat();
  });
  const parameters = arena.f64(5 * LANES);
  parameters.view.forEach((_, i) => {
    parameters.view[i] = [alpha, beta, phi, gamma, 0][Math.floor(i / LANES)] as number;
  });
  const states = arena.f64((2 + season) * LANES);
  const sums = arena.f64(LANES);
  return {
    name: 'ets',
    source: 'ets.c',
    input: values.view.slice(),
    numbers: [blockCount, length, season, alpha, beta, gamma, phi],
    amount: blockCount * LANES * length,
    unit: 'observation',
    settings: { form: 'A,Ad,A', series: blockCount * LANES, length, season },
    tolerance: 1e-12,
    runKernel() {
      sums.view.fill(0);
      for (let block = 0; block < blockCount; block++) {
        const tile = values.pointer + block * length * LANES * 8;
        states.view.fill(0);
        exports.etsFilter(tile, 0, length, season, 0, parameters.pointer, states.pointer, sums.pointer);
      }
      return sums.view.reduce((total, sum) => total + sum, 0);
    },
  };
}
