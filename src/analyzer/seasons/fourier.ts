import { assert } from '../../base/assert.ts';

/** Twiddle factors of one length: made once for all series of that length. */
export interface FourierPlan {
  /** A power of two. */
  readonly size: number;
  readonly cosine: Float64Array;
  readonly sine: Float64Array;
}

export const powerOfTwoFrom = (least: number): number => 2 ** Math.ceil(Math.log2(Math.max(2, least)));

export function planFourier(size: number): FourierPlan {
  assert(size >= 2 && Number.isInteger(Math.log2(size)), 'a transform has a power of two of points');
  const cosine = new Float64Array(size / 2);
  const sine = new Float64Array(size / 2);
  for (let i = 0; i < size / 2; i++) {
    cosine[i] = Math.cos((2 * Math.PI * i) / size);
    sine[i] = Math.sin((2 * Math.PI * i) / size);
  }
  return { size, cosine, sine };
}

/**
 * The discrete Fourier transform in place, sum over t of x(t) exp(-2 pi i k t / size): decimation in time, radix 2.
 *
 * @param real, imaginary f64[size] each.
 * @see Cooley & Tukey, "An algorithm for the machine calculation of complex Fourier series", 1965
 */
function fourierTransform(plan: FourierPlan, real: Float64Array, imaginary: Float64Array): void {
  const { size, cosine, sine } = plan;
  assert(real.length === size && imaginary.length === size, 'the plan is for arrays of this size');
  reorderByReversedBits(real, imaginary);
  for (let half = 1; half < size; half *= 2) {
    const stride = size / (2 * half);
    for (let start = 0; start < size; start += 2 * half) {
      for (let i = 0; i < half; i++) {
        const c = cosine[i * stride] as number;
        const s = sine[i * stride] as number;
        const even = start + i;
        const odd = even + half;
        const oddReal = real[odd] as number;
        const oddImaginary = imaginary[odd] as number;
        const turnedReal = oddReal * c + oddImaginary * s;
        const turnedImaginary = oddImaginary * c - oddReal * s;
        const evenReal = real[even] as number;
        const evenImaginary = imaginary[even] as number;
        real[even] = evenReal + turnedReal;
        imaginary[even] = evenImaginary + turnedImaginary;
        real[odd] = evenReal - turnedReal;
        imaginary[odd] = evenImaginary - turnedImaginary;
      }
    }
  }
}

function reorderByReversedBits(real: Float64Array, imaginary: Float64Array): void {
  const size = real.length;
  let reversed = 0;
  for (let i = 1; i < size; i++) {
    let bit = size >> 1;
    while (reversed & bit) {
      reversed ^= bit;
      bit >>= 1;
    }
    reversed ^= bit;
    if (i >= reversed) continue;
    const [r, im] = [real[i] as number, imaginary[i] as number];
    real[i] = real[reversed] as number;
    imaginary[i] = imaginary[reversed] as number;
    real[reversed] = r;
    imaginary[reversed] = im;
  }
}

/**
 * @returns f64[size / 2 + 1]: power of a real series, padded with zeros, at frequency j / size cycles a window.
 */
export function powerSpectrum(plan: FourierPlan, values: Float64Array): Float64Array {
  const { size } = plan;
  const real = new Float64Array(size);
  const imaginary = new Float64Array(size);
  real.set(values);
  fourierTransform(plan, real, imaginary);
  return Float64Array.from(
    { length: size / 2 + 1 },
    (_, j) => (real[j] as number) ** 2 + (imaginary[j] as number) ** 2,
  );
}

/**
 * Autocorrelation of the series that has this power spectrum (Wiener-Khinchin).
 *
 * @param power f64[size / 2 + 1], of a series padded to at least twice its length, so that lags do not wrap around.
 * @returns f64[size / 2]: 1 at lag 0.
 */
export function autocorrelationOf(plan: FourierPlan, power: Float64Array): Float64Array {
  const { size } = plan;
  assert(power.length === size / 2 + 1, 'the spectrum is of this plan');
  const real = new Float64Array(size);
  const imaginary = new Float64Array(size);
  for (let j = 0; j < size; j++) real[j] = power[Math.min(j, size - j)] as number;
  fourierTransform(plan, real, imaginary);
  const variance = (real[0] as number) || 1;
  return real.subarray(0, size / 2).map((sum) => sum / variance);
}
