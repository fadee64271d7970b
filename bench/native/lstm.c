// One LSTM layer with a dense head, forward and backward through time over a batch: the work of assembly/lstm.ts, by hand in
// SSE. Layouts and the order of the work are the kernel's.
#include "native.h"
#include <smmintrin.h>
#include <string.h>

static int sequences, steps, inputs, hidden, outputs, first_output;
static float *weights, *input_rows, *errors, *gradients, *trace, *out;
static size_t weight_count;

static float *floats(const double *from, size_t count) {
  float *block = (float *)allocate(count / 2 + 1);
  for (size_t i = 0; from != NULL && i < count; i++) block[i] = (float)from[i];
  return block;
}

/** Input: weights, then inputs of every sequence, then the errors that every sequence is given. */
static void prepare(const double *input, size_t input_count, const double *numbers, int number_count) {
  (void)input_count;
  (void)number_count;
  sequences = (int)numbers[0];
  steps = (int)numbers[1];
  inputs = (int)numbers[2];
  hidden = (int)numbers[3];
  outputs = (int)numbers[4];
  first_output = (int)numbers[5];
  weight_count = (size_t)((inputs + hidden) * 4 * hidden + (hidden + 1) * outputs);
  size_t row_count = (size_t)(sequences * steps * inputs);
  size_t out_count = (size_t)((steps - first_output) * outputs);
  weights = floats(input, weight_count);
  input_rows = floats(input + weight_count, row_count);
  errors = floats(input + weight_count + row_count, out_count);
  gradients = floats(NULL, weight_count);
  out = floats(NULL, out_count);
  trace = floats(NULL, (size_t)((steps + 1) * (inputs + hidden) + steps * 4 * hidden + (2 * steps + 1) * hidden + 2 * hidden));
}

static inline __m128 exp4(__m128 x) {
  __m128 round = _mm_set1_ps(12582912);
  x = _mm_min_ps(_mm_max_ps(x, _mm_set1_ps(-87)), _mm_set1_ps(87));
  __m128 shifted = _mm_add_ps(_mm_mul_ps(x, _mm_set1_ps(1.44269504f)), round);
  __m128 n = _mm_sub_ps(shifted, round);
  __m128 r = _mm_sub_ps(x, _mm_mul_ps(n, _mm_set1_ps(0.693359375f)));
  r = _mm_sub_ps(r, _mm_mul_ps(n, _mm_set1_ps(-2.12194440e-4f)));
  __m128 square = _mm_mul_ps(r, r);
  __m128 high = _mm_add_ps(_mm_mul_ps(_mm_set1_ps(1.9875691500e-4f), r), _mm_set1_ps(1.3981999507e-3f));
  __m128 middle = _mm_add_ps(_mm_mul_ps(_mm_set1_ps(8.3334519073e-3f), r), _mm_set1_ps(4.1665795894e-2f));
  __m128 low = _mm_add_ps(_mm_mul_ps(_mm_set1_ps(1.6666665459e-1f), r), _mm_set1_ps(5.0000001201e-1f));
  __m128 curve = _mm_add_ps(_mm_mul_ps(_mm_add_ps(_mm_mul_ps(high, square), middle), square), low);
  __m128 p = _mm_add_ps(_mm_mul_ps(curve, square), _mm_add_ps(r, _mm_set1_ps(1)));
  return _mm_castsi128_ps(_mm_add_epi32(_mm_castps_si128(p), _mm_slli_epi32(_mm_castps_si128(shifted), 23)));
}

static inline __m128 sigmoid4(__m128 x) {
  __m128 one = _mm_set1_ps(1);
  return _mm_div_ps(one, _mm_add_ps(one, exp4(_mm_sub_ps(_mm_setzero_ps(), x))));
}

static inline __m128 tanh4(__m128 x) {
  __m128 two = _mm_set1_ps(2);
  return _mm_sub_ps(_mm_mul_ps(two, sigmoid4(_mm_mul_ps(two, x))), _mm_set1_ps(1));
}

static inline __m128 madd(__m128 sum, __m128 a, __m128 b) { return _mm_add_ps(sum, _mm_mul_ps(a, b)); }

static inline float lanes_sum(__m128 v) {
  float lane[4];
  _mm_storeu_ps(lane, v);
  return lane[0] + lane[1] + (lane[2] + lane[3]);
}

/** z = x V_x of two neighbouring steps, 16 columns of each in eight registers. */
static inline void input_sums_of_two(const float *input, float *z) {
  int columns = 4 * hidden;
  for (int column = 0; column < columns; column += 16) {
    const float *weight = weights + column;
    __m128 a[4], b[4];
    for (int k = 0; k < 4; k++) a[k] = b[k] = _mm_setzero_ps();
    for (int at = 0; at < inputs; at++) {
      __m128 u = _mm_set1_ps(input[at]), v = _mm_set1_ps(input[inputs + at]);
      for (int k = 0; k < 4; k++) {
        __m128 w = _mm_loadu_ps(weight + 4 * k);
        a[k] = madd(a[k], u, w);
        b[k] = madd(b[k], v, w);
      }
      weight += columns;
    }
    for (int k = 0; k < 4; k++) {
      _mm_storeu_ps(z + column + 4 * k, a[k]);
      _mm_storeu_ps(z + columns + column + 4 * k, b[k]);
    }
  }
}

/** z += row M, 32 columns in eight registers. */
static inline void add_sums(const float *row, int width, const float *matrix, float *z) {
  int columns = 4 * hidden;
  for (int column = 0; column < columns; column += 32) {
    const float *weight = matrix + column;
    __m128 s[8];
    for (int k = 0; k < 8; k++) s[k] = _mm_loadu_ps(z + column + 4 * k);
    for (int at = 0; at < width; at++) {
      __m128 u = _mm_set1_ps(row[at]);
      for (int k = 0; k < 8; k++) s[k] = madd(s[k], u, _mm_loadu_ps(weight + 4 * k));
      weight += columns;
    }
    for (int k = 0; k < 8; k++) _mm_storeu_ps(z + column + 4 * k, s[k]);
  }
}

static inline void step_cells(float *gates, float *cells, float *tanhs, float *next_hidden) {
  for (int at = 0; at < 3 * hidden; at += 4) _mm_storeu_ps(gates + at, sigmoid4(_mm_loadu_ps(gates + at)));
  for (int at = 3 * hidden; at < 4 * hidden; at += 4) _mm_storeu_ps(gates + at, tanh4(_mm_loadu_ps(gates + at)));
  for (int at = 0; at < hidden; at += 4) {
    const float *i = gates + at, *f = i + hidden, *o = f + hidden, *g = o + hidden;
    __m128 kept = _mm_mul_ps(_mm_loadu_ps(f), _mm_loadu_ps(cells + at));
    __m128 cell = madd(kept, _mm_loadu_ps(i), _mm_loadu_ps(g));
    __m128 squashed = tanh4(cell);
    _mm_storeu_ps(cells + hidden + at, cell);
    _mm_storeu_ps(tanhs + at, squashed);
    _mm_storeu_ps(next_hidden + at, _mm_mul_ps(_mm_loadu_ps(o), squashed));
  }
}

static inline void read_head(const float *h, const float *head, float *to) {
  for (int column = 0; column < outputs; column += 16) {
    const float *weight = head + column;
    __m128 s[4];
    for (int k = 0; k < 4; k++) s[k] = _mm_setzero_ps();
    for (int at = 0; at < hidden; at++) {
      __m128 u = _mm_set1_ps(h[at]);
      for (int k = 0; k < 4; k++) s[k] = madd(s[k], u, _mm_loadu_ps(weight + 4 * k));
      weight += outputs;
    }
    for (int k = 0; k < 4; k++) _mm_storeu_ps(to + column + 4 * k, _mm_add_ps(s[k], _mm_loadu_ps(weight + 4 * k)));
  }
}

static inline void head_backward(const float *h, const float *head, const float *error, float *d_head, float *d_hidden) {
  for (int at = 0; at < hidden; at++) {
    __m128 u = _mm_set1_ps(h[at]);
    __m128 s[4];
    for (int k = 0; k < 4; k++) s[k] = _mm_setzero_ps();
    for (int j = 0; j < outputs; j += 16)
      for (int k = 0; k < 4; k++) {
        __m128 e = _mm_loadu_ps(error + j + 4 * k);
        s[k] = madd(s[k], e, _mm_loadu_ps(head + j + 4 * k));
        _mm_storeu_ps(d_head + j + 4 * k, madd(_mm_loadu_ps(d_head + j + 4 * k), u, e));
      }
    head += outputs;
    d_head += outputs;
    d_hidden[at] += lanes_sum(_mm_add_ps(_mm_add_ps(s[0], s[1]), _mm_add_ps(s[2], s[3])));
  }
  for (int j = 0; j < outputs; j += 4)
    _mm_storeu_ps(d_head + j, _mm_add_ps(_mm_loadu_ps(d_head + j), _mm_loadu_ps(error + j)));
}

static inline void cells_backward(float *gates, const float *cells, const float *tanhs, const float *d_hidden, float *d_cell) {
  __m128 one = _mm_set1_ps(1);
  for (int at = 0; at < hidden; at += 4) {
    float *i = gates + at, *f = i + hidden, *o = f + hidden, *g = o + hidden;
    __m128 in_gate = _mm_loadu_ps(i), forget_gate = _mm_loadu_ps(f), out_gate = _mm_loadu_ps(o), candidate = _mm_loadu_ps(g);
    __m128 squashed = _mm_loadu_ps(tanhs + at), dh = _mm_loadu_ps(d_hidden + at);
    __m128 dc = madd(_mm_loadu_ps(d_cell + at), _mm_mul_ps(dh, out_gate), _mm_sub_ps(one, _mm_mul_ps(squashed, squashed)));
    __m128 slope_i = _mm_mul_ps(in_gate, _mm_sub_ps(one, in_gate));
    __m128 slope_f = _mm_mul_ps(forget_gate, _mm_sub_ps(one, forget_gate));
    __m128 slope_o = _mm_mul_ps(out_gate, _mm_sub_ps(one, out_gate));
    __m128 slope_g = _mm_sub_ps(one, _mm_mul_ps(candidate, candidate));
    _mm_storeu_ps(i, _mm_mul_ps(_mm_mul_ps(dc, candidate), slope_i));
    _mm_storeu_ps(f, _mm_mul_ps(_mm_mul_ps(dc, _mm_loadu_ps(cells + at)), slope_f));
    _mm_storeu_ps(o, _mm_mul_ps(_mm_mul_ps(dh, squashed), slope_o));
    _mm_storeu_ps(g, _mm_mul_ps(_mm_mul_ps(dc, in_gate), slope_g));
    _mm_storeu_ps(d_cell + at, _mm_mul_ps(dc, forget_gate));
  }
}

/** dh = V_h dz, four rows of V for each load of dz. */
static inline void recurrent_backward(const float *dz, float *d_hidden) {
  int columns = 4 * hidden;
  const float *row = weights + inputs * columns;
  for (int at = 0; at < hidden; at += 4) {
    __m128 s[8];
    for (int k = 0; k < 8; k++) s[k] = _mm_setzero_ps();
    for (int j = 0; j < columns; j += 8) {
      __m128 low = _mm_loadu_ps(dz + j), high = _mm_loadu_ps(dz + j + 4);
      for (int k = 0; k < 4; k++) {
        s[2 * k] = madd(s[2 * k], low, _mm_loadu_ps(row + k * columns + j));
        s[2 * k + 1] = madd(s[2 * k + 1], high, _mm_loadu_ps(row + k * columns + j + 4));
      }
    }
    __m128 a = _mm_add_ps(s[0], s[1]), b = _mm_add_ps(s[2], s[3]), c = _mm_add_ps(s[4], s[5]), d = _mm_add_ps(s[6], s[7]);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(d_hidden + at, _mm_add_ps(_mm_add_ps(a, b), _mm_add_ps(c, d)));
    row += 4 * columns;
  }
}

/** dV += U' dZ, two rows by 16 columns in eight registers while the steps stream past. */
static inline void layer_gradients(const float *rows, const float *dz) {
  int columns = 4 * hidden, width = inputs + hidden;
  for (int at = 0; at < width; at += 2)
    for (int column = 0; column < columns; column += 16) {
      float *low = gradients + at * columns + column, *high = low + columns;
      __m128 a[4], b[4];
      for (int k = 0; k < 4; k++) a[k] = _mm_loadu_ps(low + 4 * k), b[k] = _mm_loadu_ps(high + 4 * k);
      const float *row = rows + at, *from = dz + column;
      for (int t = 0; t < steps; t++) {
        __m128 u = _mm_set1_ps(row[0]), v = _mm_set1_ps(row[1]);
        for (int k = 0; k < 4; k++) {
          __m128 d = _mm_loadu_ps(from + 4 * k);
          a[k] = madd(a[k], u, d);
          b[k] = madd(b[k], v, d);
        }
        row += width;
        from += columns;
      }
      for (int k = 0; k < 4; k++) _mm_storeu_ps(low + 4 * k, a[k]), _mm_storeu_ps(high + 4 * k, b[k]);
    }
}

static void forward_and_backward(const float *input) {
  int width = inputs + hidden, columns = 4 * hidden;
  float *gates = trace + (steps + 1) * width;
  float *cells = gates + steps * columns;
  float *tanhs = cells + (steps + 1) * hidden;
  float *d_hidden = tanhs + steps * hidden, *d_cell = d_hidden + hidden;
  const float *head = weights + width * columns;
  memset(trace + inputs, 0, sizeof(float) * (size_t)hidden);
  memset(cells, 0, sizeof(float) * (size_t)hidden);
  for (int t = 0; t < steps; t++) {
    float *row = trace + t * width;
    memcpy(row, input + t * inputs, sizeof(float) * (size_t)inputs);
    float *z = gates + t * columns;
    if (t % 2 == 0 && t + 1 < steps) input_sums_of_two(input + t * inputs, z);
    else if (t % 2 == 0) {
      memset(z, 0, sizeof(float) * (size_t)columns);
      add_sums(input + t * inputs, inputs, weights, z);
    }
    if (t > 0) add_sums(row + inputs, hidden, weights + inputs * columns, z);
    float *next_hidden = row + width + inputs;
    step_cells(gates + t * columns, cells + t * hidden, tanhs + t * hidden, next_hidden);
    if (t >= first_output) read_head(next_hidden, head, out + (t - first_output) * outputs);
  }
  memset(d_hidden, 0, sizeof(float) * 2 * (size_t)hidden);
  for (int t = steps - 1; t >= 0; t--) {
    const float *h = trace + (t + 1) * width + inputs;
    if (t >= first_output)
      head_backward(h, head, errors + (t - first_output) * outputs, gradients + width * columns, d_hidden);
    cells_backward(gates + t * columns, cells + t * hidden, tanhs + t * hidden, d_hidden, d_cell);
    if (t > 0) recurrent_backward(gates + t * columns, d_hidden);
  }
  layer_gradients(trace, gates);
}

static double run_once(void) {
  memset(gradients, 0, sizeof(float) * weight_count);
  double sum = 0;
  for (int k = 0; k < sequences; k++) forward_and_backward(input_rows + k * steps * inputs);
  for (size_t i = 0; i < weight_count; i++) sum += gradients[i] * gradients[i];
  return sum;
}
