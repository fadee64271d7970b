// assembly/lag-regression.ts by hand: all steps of one series on lags of their own, sums from one pass per diagonal, SSE2.
//
// input f64[windows]; then per step `width` lags, 0 = none; numbers: windows, steps, width, reach, passes. No prior, penalty
// 1e-3 of the rows, no fading.
#include <emmintrin.h>
#include <math.h>
#include <string.h>

#include "native.h"

enum { GROUP = 8, INPUTS_MAX = 32 };

static const double *series, *lags;
static double *plain, *running, *totals, *table, *weights;
static long windows, steps, width, reach, span, passes;
static char *used;

static void prepare(const double *input, size_t input_count, const double *numbers, int number_count) {
  if (number_count != 5) exit(2);
  windows = (long)numbers[0];
  steps = (long)numbers[1];
  width = (long)numbers[2];
  reach = (long)numbers[3];
  passes = (long)numbers[4];
  span = reach + steps;
  if (input_count != (size_t)(windows + steps * width) || width + 1 > INPUTS_MAX) exit(2);
  series = input;
  lags = input + windows;
  plain = allocate((size_t)(windows + 2 * GROUP)) + GROUP;
  running = allocate((size_t)((windows + 1) * GROUP));
  totals = allocate((size_t)(windows + 1));
  long groups = (span + GROUP - 1) / GROUP;
  table = allocate((size_t)(groups * GROUP * span));
  weights = allocate((size_t)(steps * (1 + width)));
  used = calloc((size_t)groups, 1);
  for (long s = 0; s < steps; s++)
    for (long i = 0; i < width && lags[s * width + i] > 0; i++) {
      used[((long)lags[s * width + i] + s) / GROUP] = 1;
      for (long j = i; j < width && lags[s * width + j] > 0; j++)
        used[(long)(lags[s * width + j] - lags[s * width + i]) / GROUP] = 1;
    }
}

static void run_diagonals(long d) {
  __m128d s0 = _mm_setzero_pd(), s1 = s0, s2 = s0, s3 = s0;
  for (long u = d; u < windows; u++) {
    double *out = running + u * GROUP;
    _mm_store_pd(out, s0);
    _mm_store_pd(out + 2, s1);
    _mm_store_pd(out + 4, s2);
    _mm_store_pd(out + 6, s3);
    const double *right = plain + u - d - (GROUP - 1);
    __m128d value = _mm_set1_pd(plain[u]);
    s0 = _mm_add_pd(s0, _mm_mul_pd(value, _mm_loadu_pd(right)));
    s1 = _mm_add_pd(s1, _mm_mul_pd(value, _mm_loadu_pd(right + 2)));
    s2 = _mm_add_pd(s2, _mm_mul_pd(value, _mm_loadu_pd(right + 4)));
    s3 = _mm_add_pd(s3, _mm_mul_pd(value, _mm_loadu_pd(right + 6)));
  }
  double *out = running + windows * GROUP;
  _mm_store_pd(out, s0);
  _mm_store_pd(out + 2, s1);
  _mm_store_pd(out + 4, s2);
  _mm_store_pd(out + 6, s3);
}

static double product(long a, long b) {
  long d = b - a;
  return table[((d / GROUP) * span + a + steps - 1) * GROUP + 7 - d % GROUP];
}

static void solve_step(long step, long first, long end, double mean, double deviation) {
  const double *lag = lags + step * width;
  long n = 1;
  while (n <= width && lag[n - 1] > 0) n++;
  double matrix[INPUTS_MAX][INPUTS_MAX], right[INPUTS_MAX];
  double rows = (double)(end - first), ridge = 1e-3 * rows;
  matrix[0][0] = rows;
  right[0] = totals[end + step] - totals[first + step];
  for (long i = 1; i < n; i++) {
    long a = (long)lag[i - 1];
    matrix[0][i] = totals[end - a] - totals[first - a];
    right[i] = product(-step, a);
    for (long j = i; j < n; j++) matrix[i][j] = product(a, (long)lag[j - 1]);
    matrix[i][i] += ridge;
  }
  for (long i = 0; i < n; i++) {
    for (long k = 0; k < i; k++) {
      double factor = matrix[k][i];
      for (long j = i; j < n; j++) matrix[i][j] -= factor * matrix[k][j];
      right[i] -= factor * right[k];
    }
    // The kernel's penalty has this much more, against singular problems.
    double inverse = 1 / sqrt(matrix[i][i] + 1e-9);
    for (long j = i; j < n; j++) matrix[i][j] *= inverse;
    matrix[i][i] = 1 / inverse;
    right[i] *= inverse;
  }
  double sum = 0;
  for (long i = n - 1; i >= 0; i--) {
    for (long k = i + 1; k < n; k++) right[i] -= matrix[i][k] * right[k];
    right[i] /= matrix[i][i];
    if (i > 0) sum += right[i];
  }
  double *out = weights + step * (1 + width);
  memset(out, 0, (size_t)(1 + width) * sizeof(double));
  for (long i = 1; i < n; i++) out[i] = right[i];
  out[0] = mean * (1 - sum) + deviation * right[0];
}

static double fit(void) {
  double mean = 0, square = 0;
  for (long u = 0; u < windows; u++) mean += series[u];
  mean /= (double)windows;
  for (long u = 0; u < windows; u++) square += (series[u] - mean) * (series[u] - mean);
  double deviation = sqrt(square / (double)windows);
  double total = 0;
  for (long u = 0; u < windows; u++) {
    plain[u] = (series[u] - mean) / deviation;
    totals[u] = total;
    total += plain[u];
  }
  totals[windows] = total;
  long first = reach, end = windows - steps + 1;
  for (long group = 0; group * GROUP < span; group++) {
    if (!used[group]) continue;
    run_diagonals(group * GROUP);
    for (long a = 1 - steps; a <= reach - group * GROUP; a++) {
      double *out = table + (group * span + a + steps - 1) * GROUP;
      const double *high = running + (end - a) * GROUP, *low = running + (first - a) * GROUP;
      for (int v = 0; v < GROUP; v += 2) _mm_store_pd(out + v, _mm_sub_pd(_mm_load_pd(high + v), _mm_load_pd(low + v)));
    }
  }
  for (long step = 0; step < steps; step++) solve_step(step, first, end, mean, deviation);
  double result = 0;
  for (long i = 0; i < steps * (1 + width); i++) result += weights[i];
  return result;
}

static double run_once(void) {
  double result = 0;
  for (long pass = 0; pass < passes; pass++) result += fit();
  return result;
}
