// assembly/ets.ts by hand: ETS(A,Ad,A) over tiles of eight series, four SSE2 vectors a time step.
//
// input f64[block][length][8]; numbers: blocks, length, season, alpha, beta, gamma, phi.
#include <emmintrin.h>
#include <string.h>

#include "native.h"

enum { LANES = 8 };

static const double *values;
static double *states, *parameters;
static long blocks, length, season;

static void prepare(const double *input, size_t input_count, const double *numbers, int number_count) {
  if (number_count != 7) exit(2);
  blocks = (long)numbers[0];
  length = (long)numbers[1];
  season = (long)numbers[2];
  if (input_count != (size_t)(blocks * length * LANES)) exit(2);
  values = input;
  states = allocate((size_t)((2 + season) * LANES));
  parameters = allocate(4 * LANES);
  for (int i = 0; i < 4 * LANES; i++) parameters[i] = numbers[3 + i / LANES];
}

static double filter(const double *y) {
  __m128d level[4], trend[4], sum[4];
  const __m128d *alpha = (const __m128d *)parameters, *beta = alpha + 4, *gamma = alpha + 8, *phi = alpha + 12;
  for (int v = 0; v < 4; v++) level[v] = trend[v] = sum[v] = _mm_setzero_pd();
  for (long first = 0; first < length; first += season) {
    const long end = first + season < length ? first + season : length;
    double *seasonal = states;
    for (long t = first; t < end; t++, seasonal += LANES) {
#pragma GCC unroll 4
      for (int v = 0; v < 4; v++) {
        trend[v] = _mm_mul_pd(trend[v], phi[v]);
        level[v] = _mm_add_pd(level[v], trend[v]);
        const __m128d s = _mm_load_pd(seasonal + 2 * v);
        const __m128d error = _mm_sub_pd(_mm_sub_pd(_mm_load_pd(y + t * LANES + 2 * v), s), level[v]);
        level[v] = _mm_add_pd(level[v], _mm_mul_pd(alpha[v], error));
        trend[v] = _mm_add_pd(trend[v], _mm_mul_pd(beta[v], error));
        _mm_store_pd(seasonal + 2 * v, _mm_add_pd(s, _mm_mul_pd(gamma[v], error)));
        sum[v] = _mm_add_pd(sum[v], _mm_mul_pd(error, error));
      }
    }
  }
  double total = 0;
  for (int v = 0; v < 4; v++) {
    double pair[2];
    _mm_storeu_pd(pair, sum[v]);
    total += pair[0] + pair[1];
  }
  return total;
}

static double run_once(void) {
  double total = 0;
  for (long block = 0; block < blocks; block++) {
    memset(states, 0, (size_t)((2 + season) * LANES) * sizeof(double));
    total += filter(values + block * length * LANES);
  }
  return total;
}
