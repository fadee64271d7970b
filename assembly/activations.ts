// Exponential, sigmoid and tanh of four f32, and the sum of four.

/**
 * e^x for |x| <= 87 (clamped), relative error 2e-7: x = n ln 2 + r, a polynomial of degree 6 on |r| <= ln 2 / 2.
 *
 * Adding 1.5 x 2^23 rounds to the integer n and leaves it in the low bits, from where a shift moves it into an exponent:
 * min, max, nearest and trunc_sat of Wasm are several instructions each, for the sake of NaN.
 * @see Moshier, Cephes Math Library, expf
 */
// @ts-ignore: decorator
@inline
function exp4(x: v128): v128 {
  const round = f32x4.splat(12582912);
  x = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-87)), f32x4.splat(87));
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504)), round);
  const n = f32x4.sub(shifted, round);
  // ln 2 in two parts, so that n times the first is exact.
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375))), f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  // Pairs of terms side by side (Estrin): half the steps in a row.
  const square = f32x4.mul(r, r);
  const high = f32x4.add(f32x4.mul(f32x4.splat(1.9875691500e-4), r), f32x4.splat(1.3981999507e-3));
  const middle = f32x4.add(f32x4.mul(f32x4.splat(8.3334519073e-3), r), f32x4.splat(4.1665795894e-2));
  const low = f32x4.add(f32x4.mul(f32x4.splat(1.6666665459e-1), r), f32x4.splat(5.0000001201e-1));
  const curve = f32x4.add(f32x4.mul(f32x4.add(f32x4.mul(high, square), middle), square), low);
  const p = f32x4.add(f32x4.mul(curve, square), f32x4.add(r, f32x4.splat(1)));
  // p 2^n: n, whatever stood above it shifted out, added to the exponent of p, which is 0 or -1.
  return i32x4.add(p, i32x4.shl(shifted, 23));
}

// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}

/** tanh(x) = 2 sigmoid(2x) - 1: absolute error 2e-7, which is what a gate needs. */
// @ts-ignore: decorator
@inline
export function tanh4(x: v128): v128 {
  const two = f32x4.splat(2);
  return f32x4.sub(f32x4.mul(two, sigmoid4(f32x4.mul(two, x))), f32x4.splat(1));
}

// @ts-ignore: decorator
@inline
export function lanesSum(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}
