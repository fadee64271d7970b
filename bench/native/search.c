// The placement search by hand: shifts and swaps over f32 rows, screened by tangents, priced with SSE, in the order of operations
// of assembly/search, so that both walk through the same maps. What the kernel does besides, C leaves out: other operators,
// their credit, rings of members, rules.
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <smmintrin.h>

#include "native.h"

enum { HEAD = 8, LOGS = 1024 };

static int partitions, nodes, depth, iterations;
static float riskZ, betaSquared, safe, overload;
static double temperature;
static float *load, *variance, *weight, *inverse, *price, *logs;
static float *nodeLoad, *nodeVariance, *nodeCost, *nodeSlope, *nodeBend, *nodeDoubt;
static int32_t *home, *owner, *best;
static uint32_t seed[4], state[4];
static double cost, bestCost;

static float *floats(const double **from, int count) {
  float *own = (float *)allocate((size_t)(count + 1) / 2);
  for (int i = 0; i < count; i++) own[i] = (float)*(*from)++;
  return own;
}

static float *zeros(int count) { return (float *)allocate((size_t)(count + 1) / 2); }

static void prepare(const double *input, size_t input_count, const double *numbers, int number_count) {
  (void)input_count;
  (void)number_count;
  partitions = (int)numbers[0];
  nodes = (int)numbers[1];
  depth = (int)numbers[2];
  iterations = (int)numbers[3];
  riskZ = (float)numbers[4];
  betaSquared = (float)numbers[5];
  safe = (float)numbers[6];
  overload = (float)numbers[7];
  temperature = numbers[8];
  for (int i = 0; i < 4; i++) seed[i] = (uint32_t)numbers[9 + i];
  // Two rows more, as in the kernel: the null partition's zeros.
  load = zeros((partitions + 1) * depth);
  variance = zeros((partitions + 1) * depth);
  const double *next = input;
  for (int i = 0; i < partitions * depth; i++) load[i] = (float)*next++;
  for (int i = 0; i < partitions * depth; i++) variance[i] = (float)*next++;
  weight = floats(&next, depth);
  inverse = floats(&next, nodes);
  price = floats(&next, partitions * nodes);
  logs = floats(&next, LOGS);
  home = (int32_t *)zeros(partitions);
  for (int p = 0; p < partitions; p++) home[p] = (int32_t)*next++;
  owner = (int32_t *)zeros(partitions);
  best = (int32_t *)zeros(partitions);
  nodeLoad = zeros(nodes * depth);
  nodeVariance = zeros(nodes * depth);
  nodeCost = zeros(nodes);
  nodeSlope = zeros(nodes * depth);
  nodeBend = zeros(nodes * depth);
  nodeDoubt = zeros(nodes * depth);
}

static inline uint32_t draw(void) {
  uint32_t t = state[3];
  const uint32_t s = state[0];
  state[3] = state[2];
  state[2] = state[1];
  state[1] = s;
  t ^= t << 11;
  t ^= t >> 8;
  return state[0] = t ^ s ^ (s >> 19);
}

static inline int draw_below(int count) { return (int)(((uint64_t)draw() * (uint64_t)count) >> 32); }

static inline float sum4(__m128 v) {
  float lanes[4];
  _mm_storeu_ps(lanes, v);
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

static inline __m128 phi_of(__m128 rho, __m128 *reciprocal) {
  const __m128 one = _mm_set1_ps(1);
  const __m128 m = _mm_min_ps(rho, _mm_set1_ps(0.95f));
  *reciprocal = _mm_div_ps(one, _mm_sub_ps(one, m));
  return _mm_add_ps(_mm_sub_ps(*reciprocal, one), _mm_mul_ps(_mm_sub_ps(rho, m), _mm_set1_ps(400)));
}

static inline __m128 cell(__m128 loads, __m128 rho) {
  __m128 reciprocal;
  const __m128 phi = phi_of(rho, &reciprocal);
  const __m128 over = _mm_mul_ps(_mm_set1_ps(overload),
                                 _mm_max_ps(_mm_sub_ps(rho, _mm_set1_ps(safe)), _mm_setzero_ps()));
  return _mm_add_ps(_mm_mul_ps(loads, phi), over);
}

static inline __m128 allow(__m128 loads, __m128 own) {
  const __m128 common = _mm_mul_ps(_mm_mul_ps(loads, loads), _mm_set1_ps(betaSquared));
  const __m128 spread = _mm_sqrt_ps(_mm_add_ps(_mm_max_ps(own, _mm_setzero_ps()), common));
  return _mm_add_ps(loads, _mm_mul_ps(_mm_set1_ps(riskZ), spread));
}

static inline void pair_loop(int a, int b, const float *p, const float *q, int is_risky, float *costA, float *costB) {
  const float *la = nodeLoad + a * depth, *lb = nodeLoad + b * depth;
  const float *va = nodeVariance + a * depth, *vb = nodeVariance + b * depth;
  const float *vp = variance + (p - load), *vq = variance + (q - load);
  const __m128 inverseA = _mm_set1_ps(inverse[a]), inverseB = _mm_set1_ps(inverse[b]);
  __m128 sumA = _mm_setzero_ps(), sumB = _mm_setzero_ps();
  for (int d = 0; d < depth; d += 4) {
    const __m128 leaving = _mm_sub_ps(_mm_loadu_ps(p + d), _mm_loadu_ps(q + d));
    const __m128 loadA = _mm_sub_ps(_mm_loadu_ps(la + d), leaving);
    const __m128 loadB = _mm_add_ps(_mm_loadu_ps(lb + d), leaving);
    __m128 uA = loadA, uB = loadB;
    if (is_risky) {
      const __m128 doubt = _mm_sub_ps(_mm_loadu_ps(vp + d), _mm_loadu_ps(vq + d));
      uA = allow(loadA, _mm_sub_ps(_mm_loadu_ps(va + d), doubt));
      uB = allow(loadB, _mm_add_ps(_mm_loadu_ps(vb + d), doubt));
    }
    const __m128 w = _mm_loadu_ps(weight + d);
    sumA = _mm_add_ps(sumA, _mm_mul_ps(w, cell(loadA, _mm_mul_ps(uA, inverseA))));
    sumB = _mm_add_ps(sumB, _mm_mul_ps(w, cell(loadB, _mm_mul_ps(uB, inverseB))));
  }
  *costA = sum4(sumA);
  *costB = sum4(sumB);
}

static void pair_cost(int a, int b, const float *p, const float *q, float *costA, float *costB) {
  if (riskZ > 0) pair_loop(a, b, p, q, 1, costA, costB);
  else pair_loop(a, b, p, q, 0, costA, costB);
}

static inline float rise_loop(int a, int b, const float *p, const float *q, int is_risky) {
  const float *vp = variance + (p - load), *vq = variance + (q - load);
  const int rowA = a * depth, rowB = b * depth;
  __m128 sum = _mm_setzero_ps();
  for (int d = 0; d < depth; d += 4) {
    const __m128 coming = _mm_sub_ps(_mm_loadu_ps(p + d), _mm_loadu_ps(q + d));
    const __m128 bend = _mm_add_ps(_mm_loadu_ps(nodeBend + rowA + d), _mm_loadu_ps(nodeBend + rowB + d));
    const __m128 slope = _mm_sub_ps(_mm_loadu_ps(nodeSlope + rowB + d), _mm_loadu_ps(nodeSlope + rowA + d));
    sum = _mm_add_ps(sum, _mm_mul_ps(coming, _mm_add_ps(slope, _mm_mul_ps(coming, bend))));
    if (is_risky) {
      const __m128 doubt = _mm_sub_ps(_mm_loadu_ps(vp + d), _mm_loadu_ps(vq + d));
      const __m128 each = _mm_sub_ps(_mm_loadu_ps(nodeDoubt + rowB + d), _mm_loadu_ps(nodeDoubt + rowA + d));
      sum = _mm_add_ps(sum, _mm_mul_ps(doubt, each));
    }
  }
  return sum4(sum);
}

static float least_rise(int a, int b, const float *p, const float *q) {
  return riskZ > 0 ? rise_loop(a, b, p, q, 1) : rise_loop(a, b, p, q, 0);
}

static void tangents(int node) {
  const __m128 one = _mm_set1_ps(1), zero = _mm_setzero_ps(), z = _mm_set1_ps(riskZ);
  const __m128 byCapacity = _mm_set1_ps(inverse[node]);
  for (int d = 0; d < depth; d += 4) {
    const int at = node * depth + d;
    const __m128 loads = _mm_loadu_ps(nodeLoad + at);
    __m128 u = loads, uByLoad = one, uByVariance = zero;
    if (riskZ > 0) {
      const __m128 common = _mm_mul_ps(loads, _mm_set1_ps(betaSquared));
      const __m128 x = _mm_add_ps(_mm_max_ps(_mm_loadu_ps(nodeVariance + at), zero), _mm_mul_ps(loads, common));
      const __m128 spread = _mm_max_ps(_mm_sqrt_ps(x), _mm_set1_ps(1e-6f));
      const __m128 zBySpread = _mm_div_ps(z, spread);
      u = _mm_add_ps(loads, _mm_mul_ps(z, spread));
      uByLoad = _mm_add_ps(one, _mm_mul_ps(zBySpread, common));
      uByVariance = _mm_mul_ps(zBySpread, _mm_set1_ps(0.5f));
    }
    const __m128 rho = _mm_mul_ps(u, byCapacity);
    __m128 r;
    const __m128 phi = phi_of(rho, &r);
    const __m128 rSquared = _mm_mul_ps(r, r);
    const __m128 isOver = _mm_cmpgt_ps(rho, _mm_set1_ps(safe));
    const __m128 byRho = _mm_add_ps(_mm_mul_ps(loads, rSquared), _mm_and_ps(_mm_set1_ps(overload), isOver));
    const __m128 rhoByLoad = _mm_mul_ps(uByLoad, byCapacity);
    const __m128 w = _mm_loadu_ps(weight + d);
    _mm_storeu_ps(nodeSlope + at, _mm_mul_ps(w, _mm_add_ps(phi, _mm_mul_ps(byRho, rhoByLoad))));
    const __m128 curved = _mm_and_ps(_mm_mul_ps(_mm_mul_ps(loads, rSquared), _mm_mul_ps(r, rhoByLoad)),
                                     _mm_cmplt_ps(rho, _mm_set1_ps(0.95f)));
    const __m128 bend = _mm_mul_ps(_mm_mul_ps(rhoByLoad, _mm_add_ps(rSquared, curved)), _mm_set1_ps(0.5f));
    _mm_storeu_ps(nodeBend + at, _mm_mul_ps(w, bend));
    if (riskZ > 0)
      _mm_storeu_ps(nodeDoubt + at, _mm_mul_ps(w, _mm_mul_ps(byRho, _mm_mul_ps(uByVariance, byCapacity))));
  }
}

static void sum_rows(const float *rows, float *target) {
  double sums[nodes * depth];
  memset(sums, 0, sizeof sums);
  for (int p = 0; p < partitions; p++)
    for (int d = 0; d < depth; d++) sums[owner[p] * depth + d] += rows[p * depth + d];
  for (int i = 0; i < nodes * depth; i++) target[i] = (float)sums[i];
}

static void rebuild(void) {
  const float *none = load + partitions * depth;
  sum_rows(load, nodeLoad);
  if (riskZ > 0) sum_rows(variance, nodeVariance);
  cost = 0;
  for (int n = 0; n < nodes; n++) {
    float unused;
    pair_cost(n, n, none, none, &unused, &nodeCost[n]);
    tangents(n);
    cost += nodeCost[n];
  }
  for (int p = 0; p < partitions; p++) cost += price[p * nodes + owner[p]];
}

static void add_rows(float *to, const float *rows, const float *p, const float *q) {
  const float *rp = rows + (p - load), *rq = rows + (q - load);
  for (int d = 0; d < depth; d += 4)
    _mm_storeu_ps(to + d, _mm_add_ps(_mm_loadu_ps(to + d), _mm_sub_ps(_mm_loadu_ps(rp + d), _mm_loadu_ps(rq + d))));
}

static int attempt(void) {
  const int is_swap = draw() >> 31;
  const int p = draw_below(partitions);
  const int q = is_swap ? draw_below(partitions) : partitions;
  const int a = owner[p];
  const int b = is_swap ? owner[q] : draw_below(nodes);
  if (a == b) return 0;
  const double threshold = temperature * logs[draw() >> 22];
  float rules = price[p * nodes + b] - price[p * nodes + a];
  if (is_swap) rules += price[q * nodes + a] - price[q * nodes + b];
  const float *rowP = load + p * depth, *rowQ = load + q * depth;
  if ((double)(least_rise(a, b, rowP, rowQ) + rules) > threshold) return 0;
  float costA, costB;
  pair_cost(a, b, rowP, rowQ, &costA, &costB);
  const float delta = costA - nodeCost[a] + (costB - nodeCost[b]) + rules;
  if (delta > 0 && delta >= threshold) return 0;
  add_rows(nodeLoad + a * depth, load, rowQ, rowP);
  add_rows(nodeLoad + b * depth, load, rowP, rowQ);
  if (riskZ > 0) {
    add_rows(nodeVariance + a * depth, variance, rowQ, rowP);
    add_rows(nodeVariance + b * depth, variance, rowP, rowQ);
  }
  nodeCost[a] = costA;
  nodeCost[b] = costB;
  tangents(a);
  tangents(b);
  owner[p] = b;
  if (is_swap) owner[q] = a;
  cost += delta;
  return 1;
}

static double run_once(void) {
  memcpy(owner, home, sizeof(int32_t) * (size_t)partitions);
  memcpy(best, home, sizeof(int32_t) * (size_t)partitions);
  memcpy(state, seed, sizeof seed);
  rebuild();
  bestCost = cost;
  uint32_t accepted = 0;
  for (int i = 0; i < iterations; i++) {
    if (!attempt()) continue;
    accepted++;
    if ((accepted & 16383) == 0) rebuild();
    if (cost < bestCost - 1e-9) {
      bestCost = cost;
      memcpy(best, owner, sizeof(int32_t) * (size_t)partitions);
    }
  }
  return accepted + bestCost;
}
