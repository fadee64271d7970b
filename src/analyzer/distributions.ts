/** Continued fraction steps: it converges in a few dozen for any shapes met here. */
const STEPS_MAX = 300;
const PRECISION = 1e-12;

/**
 * P(ratio > x) for the ratio of two independent means of unit exponentials: F with 2a and 2b degrees of freedom.
 *
 * @param a, b how many exponentials are averaged above and below, > 0, not necessarily whole.
 */
export function ratioTail(x: number, a: number, b: number): number {
  if (x <= 0) return 1;
  return incompleteBeta(b / (b + a * x), b, a);
}

/**
 * Regularised incomplete beta function I_x(a, b), by Lentz's continued fraction.
 *
 * @see Press et al., "Numerical Recipes", 3rd ed., section 6.4
 */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  // The fraction converges fast on this side of the mode only; on the other, the mirror image does.
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(x, a, b)) / a
    : 1 - (front * betaFraction(1 - x, b, a)) / b;
}

function betaFraction(x: number, a: number, b: number): number {
  const awayFromZero = (value: number): number => (Math.abs(value) < 1e-300 ? 1e-300 : value);
  let c = 1;
  let d = 1 / awayFromZero(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= STEPS_MAX; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / awayFromZero(1 + even * d);
    c = awayFromZero(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / awayFromZero(1 + odd * d);
    c = awayFromZero(1 + odd / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < PRECISION) break;
  }
  return fraction;
}

const LANCZOS = [
  76.18009172947146, -86.50532032941678, 24.01409824083091, -1.231739572450155, 1.208650973866179e-3,
  -5.395239384953e-6,
];

/** ln of the gamma function for x > 0, to 2e-10 (Lanczos). */
export function logGamma(x: number): number {
  let series = 1.000000000190015;
  LANCZOS.forEach((coefficient, i) => {
    series += coefficient / (x + 1 + i);
  });
  const shifted = x + 5.5;
  return (x + 0.5) * Math.log(shifted) - shifted + Math.log((2.5066282746310007 * series) / x);
}

/**
 * P(X > z) for a standard normal X, to 1e-7 of itself (Chebyshev fit to the complementary error function).
 *
 * @see Press et al., "Numerical Recipes", 2nd ed., section 6.2, erfcc
 */
export function normalTail(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.5 * x);
  const series = ERFC.reduceRight((sum, coefficient) => sum * t + coefficient, 0);
  const tail = (t * Math.exp(-x * x + series)) / 2;
  return z >= 0 ? tail : 1 - tail;
}

const ERFC = [
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
  -0.82215223, 0.17087277,
];

/** The standard normal's quantile, by bisection of {@link normalTail}: asked for once a forecast. */
export function normalQuantile(share: number): number {
  let [low, high] = [-9, 9];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalTail(middle) > 1 - share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
