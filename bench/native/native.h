// The C side of bench/native.ts: reads the input, then answers one line per line on standard input.
//
// A source defines prepare() and run_once() after including this header, which brings main() along.
// argv[1] is a file of f64, argv[2..] are the numbers of the case.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/** Called once. The input stays where it is; whatever run_once overwrites must be its own copy. */
static void prepare(const double *input, size_t input_count, const double *numbers, int number_count);

/** The whole work of one round, from the same start every time. Returns a number that depends on all of it. */
static double run_once(void);

static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/** Aligned to a cache line, zeroed. */
static double *allocate(size_t count) {
  size_t bytes = (count * sizeof(double) + 63) / 64 * 64;
  double *block = aligned_alloc(64, bytes == 0 ? 64 : bytes);
  if (block == NULL) {
    fprintf(stderr, "out of memory: %zu bytes\n", bytes);
    exit(1);
  }
  for (size_t i = 0; i < bytes / sizeof(double); i++) block[i] = 0;
  return block;
}

int main(int argc, char **argv) {
  FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (file == NULL) {
    fprintf(stderr, "no input file\n");
    return 1;
  }
  fseek(file, 0, SEEK_END);
  size_t count = (size_t)ftell(file) / sizeof(double);
  rewind(file);
  double *input = allocate(count);
  if (fread(input, sizeof(double), count, file) != count) return 1;
  fclose(file);
  double numbers[32];
  int number_count = 0;
  for (int i = 2; i < argc && number_count < 32; i++) numbers[number_count++] = atof(argv[i]);
  prepare(input, count, numbers, number_count);

  // Each line is a number of repeats; the answer is their CPU seconds and the last result.
  int repeats;
  while (scanf("%d", &repeats) == 1) {
    double result = 0;
    double started = cpu_seconds();
    for (int i = 0; i < repeats; i++) result = run_once();
    double elapsed = cpu_seconds() - started;
    printf("%.9f %.17g\n", elapsed, result);
    fflush(stdout);
  }
  return 0;
}
