// assembly/css.ts by hand: residuals of SARIMA(2,d,1)(0,D,1) for eight parameter vectors, four SSE2 vectors a time step.
//
// input f64[count][8], then f64[2][7][8] coefficients; numbers: count, season, first, passes.
#include <emmintrin.h>
#include <string.h>

#include "native.h"

enum { LANES = 8, PAIRS = 4, LAG_COUNT = 7 };

static const double *series;
static __m128d ar[2][PAIRS], ma[3][PAIRS];
static double *residuals;
static long count, season, first, passes;

static void prepare(const double *input, size_t input_count, const double *numbers, int number_count) {
  if (number_count != 4) exit(2);
  count = (long)numbers[0];
  season = (long)numbers[1];
  first = (long)numbers[2];
  passes = (long)numbers[3];
  if (input_count != (size_t)((count + 2 * LAG_COUNT) * LANES)) exit(2);
  series = input;
  residuals = allocate((size_t)((season + 3 + count) * LANES));
  const double *coefficients = input + count * LANES;
  // AR lags 1 and 2; MA lags 1, season and season + 1.
  for (int v = 0; v < PAIRS; v++) {
    for (int k = 0; k < 2; k++) ar[k][v] = _mm_load_pd(coefficients + k * LANES + 2 * v);
    const int lags[3] = {0, 3, 4};
    for (int k = 0; k < 3; k++) ma[k][v] = _mm_load_pd(coefficients + (LAG_COUNT + lags[k]) * LANES + 2 * v);
  }
}

static inline __m128d minus(__m128d sum, __m128d coefficient, __m128d value) {
  return _mm_sub_pd(sum, _mm_mul_pd(coefficient, value));
}

static double pass(void) {
  double *from = residuals + (season + 3) * LANES;
  memset(residuals, 0, (size_t)((season + 3 + first) * LANES) * sizeof(double));
  __m128d before[PAIRS], sum[PAIRS];
  for (int v = 0; v < PAIRS; v++) before[v] = sum[v] = _mm_setzero_pd();
  for (long t = first; t < count; t++) {
    const double *w = series + t * LANES;
    double *e = from + t * LANES;
    const double *past = e - season * LANES;
#pragma GCC unroll 4
    for (int v = 0; v < PAIRS; v++) {
      __m128d value = _mm_load_pd(w + 2 * v);
      value = minus(value, ar[1][v], _mm_load_pd(w - 2 * LANES + 2 * v));
      value = minus(value, ar[0][v], _mm_load_pd(w - LANES + 2 * v));
      value = minus(value, ma[2][v], _mm_load_pd(past - LANES + 2 * v));
      value = minus(value, ma[1][v], _mm_load_pd(past + 2 * v));
      value = minus(value, ma[0][v], before[v]);
      _mm_store_pd(e + 2 * v, value);
      before[v] = value;
      sum[v] = _mm_add_pd(sum[v], _mm_mul_pd(value, value));
    }
  }
  double total = 0;
  for (int v = 0; v < PAIRS; v++) {
    double pair[2];
    _mm_storeu_pd(pair, sum[v]);
    total += pair[0] + pair[1];
  }
  return total;
}

static double run_once(void) {
  double total = 0;
  for (long i = 0; i < passes; i++) total += pass();
  return total;
}
