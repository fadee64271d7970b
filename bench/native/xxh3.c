// assembly/xxh3.ts and digest.ts by hand: XXH3 of 128 bits for entries of more than 16 bytes, SSE2 and 128-bit products.
//
// input: a page of entries, as assembly/digest.ts describes it, as raw bytes; numbers: its bytes, seed, passes.
#include <emmintrin.h>
#include <stdint.h>
#include <string.h>

#include "native.h"

typedef unsigned __int128 u128;
enum { SECRET_BYTES = 192, BUCKETS = 256 };

static const uint64_t P32_1 = 0x9E3779B1, P32_2 = 0x85EBCA77, P32_3 = 0xC2B2AE3D;
static const uint64_t P64_1 = 0x9E3779B185EBCA87, P64_2 = 0xC2B2AE3D27D4EB4F, P64_3 = 0x165667B19E3779F9;
static const uint64_t P64_4 = 0x85EBCA77C2B2AE63, P64_5 = 0x27D4EB2F165667C5, MX1 = 0x165667919E3779F9;

static const uint8_t secret[SECRET_BYTES] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4, 0x6d, 0xe9,
    0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78,
    0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6,
    0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8, 0xfa, 0x76, 0x3f,
    0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31,
    0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff,
    0xfa, 0x13, 0x63, 0xeb, 0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f,
    0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

typedef struct {
  uint64_t low, high;
} hash128;

static const uint8_t *page;
static size_t page_bytes;
static long passes;
static uint64_t seed;
static uint8_t keyed[SECRET_BYTES] __attribute__((aligned(64)));
static uint64_t sums[BUCKETS][2];

static inline uint64_t word(const uint8_t *at) {
  uint64_t value;
  memcpy(&value, at, 8);
  return value;
}

static inline uint32_t word32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, 4);
  return value;
}

static void prepare(const double *input, size_t input_count, const double *numbers, int number_count) {
  if (number_count != 3) exit(2);
  page = (const uint8_t *)input;
  page_bytes = (size_t)numbers[0];
  seed = (uint64_t)numbers[1];
  passes = (long)numbers[2];
  if (page_bytes > input_count * 8) exit(2);
  for (int at = 0; at < SECRET_BYTES; at += 16) {
    uint64_t plus = word(secret + at) + seed, minus = word(secret + at + 8) - seed;
    memcpy(keyed + at, &plus, 8);
    memcpy(keyed + at + 8, &minus, 8);
  }
}

static inline uint64_t avalanche(uint64_t x) {
  x ^= x >> 37;
  x *= MX1;
  return x ^ (x >> 32);
}

static inline uint64_t folded(uint64_t a, uint64_t b) {
  u128 product = (u128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t mix(const uint8_t *data, const uint8_t *key, uint64_t add) {
  return folded(word(data) ^ (word(key) + add), word(data + 8) ^ (word(key + 8) - add));
}

static inline uint64_t pair(const uint8_t *data) { return word(data) + word(data + 8); }

static inline hash128 finish(uint64_t low, uint64_t high, size_t length) {
  hash128 hash = {avalanche(low + high), 0 - avalanche(low * P64_1 + high * P64_4 + (length - seed) * P64_2)};
  return hash;
}

static hash128 to_128(const uint8_t *input, size_t length) {
  uint64_t low = length * P64_1, high = 0;
  for (long i = (long)((length - 1) >> 5); i >= 0; i--) {
    const uint8_t *front = input + i * 16, *back = input + length - i * 16 - 16;
    low = (low + mix(front, keyed + i * 32, 0)) ^ pair(back);
    high = (high + mix(back, keyed + i * 32 + 16, 0)) ^ pair(front);
  }
  return finish(low, high, length);
}

static hash128 to_240(const uint8_t *input, size_t length) {
  uint64_t low = length * P64_1, high = 0;
  for (int i = 0; i < 128; i += 32) {
    low = (low + mix(input + i, keyed + i, 0)) ^ pair(input + i + 16);
    high = (high + mix(input + i + 16, keyed + i + 16, 0)) ^ pair(input + i);
  }
  low = avalanche(low);
  high = avalanche(high);
  for (size_t i = 128; i < (length & ~(size_t)31); i += 32) {
    low = (low + mix(input + i, secret + i - 125, seed)) ^ pair(input + i + 16);
    high = (high + mix(input + i + 16, secret + i - 109, seed)) ^ pair(input + i);
  }
  const uint8_t *one = input + length - 16, *two = one - 16;
  low = (low + mix(one, secret + 103, 0 - seed)) ^ pair(two);
  high = (high + mix(two, secret + 119, 0 - seed)) ^ pair(one);
  return finish(low, high, length);
}

static inline void accumulate(__m128i *sum, const uint8_t *data, const uint8_t *key) {
  for (int i = 0; i < 4; i++) {
    __m128i value = _mm_loadu_si128((const __m128i *)data + i);
    __m128i mixed = _mm_xor_si128(value, _mm_loadu_si128((const __m128i *)key + i));
    __m128i product = _mm_mul_epu32(mixed, _mm_shuffle_epi32(mixed, _MM_SHUFFLE(0, 3, 0, 1)));
    sum[i] = _mm_add_epi64(product, _mm_add_epi64(sum[i], _mm_shuffle_epi32(value, _MM_SHUFFLE(1, 0, 3, 2))));
  }
}

static inline void scramble(__m128i *sum, const uint8_t *key) {
  const __m128i prime = _mm_set1_epi32((int)P32_1);
  for (int i = 0; i < 4; i++) {
    __m128i value = _mm_xor_si128(sum[i], _mm_srli_epi64(sum[i], 47));
    value = _mm_xor_si128(value, _mm_loadu_si128((const __m128i *)key + i));
    __m128i high = _mm_mul_epu32(_mm_shuffle_epi32(value, _MM_SHUFFLE(0, 3, 0, 1)), prime);
    sum[i] = _mm_add_epi64(_mm_mul_epu32(value, prime), _mm_slli_epi64(high, 32));
  }
}

static inline uint64_t merge(const uint64_t *sum, const uint8_t *key, uint64_t start) {
  for (int i = 0; i < 4; i++) start += folded(sum[2 * i] ^ word(key + 16 * i), sum[2 * i + 1] ^ word(key + 16 * i + 8));
  return avalanche(start);
}

static hash128 large(const uint8_t *input, size_t length) {
  uint64_t words[8] __attribute__((aligned(16))) = {P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1};
  __m128i sum[4];
  memcpy(sum, words, 64);
  const uint8_t *end = input + length, *at = input;
  for (; at + 1024 < end; at += 1024) {
    for (int n = 0; n < 16; n++) accumulate(sum, at + 64 * n, keyed + 8 * n);
    scramble(sum, keyed + SECRET_BYTES - 64);
  }
  for (int n = 0; at + 64 < end; at += 64, n++) accumulate(sum, at, keyed + 8 * n);
  accumulate(sum, end - 64, keyed + SECRET_BYTES - 71);
  memcpy(words, sum, 64);
  hash128 hash = {merge(words, keyed + 11, length * P64_1), merge(words, keyed + SECRET_BYTES - 75, ~(length * P64_2))};
  return hash;
}

static double run_once(void) {
  memset(sums, 0, sizeof sums);
  for (long pass = 0; pass < passes; pass++)
    for (size_t at = 0; at < page_bytes;) {
      size_t value_bytes = word32(page + at), key_bytes = word32(page + at + 4), length = 8 + value_bytes + key_bytes;
      hash128 hash = length <= 128 ? to_128(page + at, length) : length <= 240 ? to_240(page + at, length) : large(page + at, length);
      uint64_t *sum = sums[page[at + 8 + value_bytes + 2]];
      sum[0] += hash.low;
      sum[1] += hash.high;
      at = (at + length + 7) & ~(size_t)7;
    }
  uint64_t all = 0;
  for (int bucket = 0; bucket < BUCKETS; bucket++) all ^= sums[bucket][0] ^ (sums[bucket][1] << 1);
  return (double)(all >> 11);
}
