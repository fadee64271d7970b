/** Small settings of every bench run here, so that none rots. What they measure is not judged: the machine is noisy. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { BENCH_AREAS, loadBench } from '../../bench/run.ts';

const test = suite('benches at small settings');

for (const area of BENCH_AREAS)
  test(`${area} runs and sets every figure beside a named baseline`, async () => {
    const bench = await loadBench(area);
    check.is(bench.area, area);
    const { results, skipped } = await bench.run({ isSmall: true });
    for (const { name, why } of skipped) console.log(`SKIP bench ${name}: ${why}`);
    check.ok(results.length + skipped.length > 0, 'a bench reports something');
    for (const result of results) {
      check.ok(Number.isFinite(result.value), `${result.name} ${result.metric} is a number`);
      check.ok(
        result.baseline.length > 0 && Number.isFinite(result.baselineValue),
        `${result.name} has a baseline`,
      );
      check.ok(
        Math.abs(result.ratio - result.value / result.baselineValue) <= 1e-9 * Math.abs(result.ratio),
        `${result.name} ${result.metric}: the ratio is value / baseline`,
      );
      check.match(result.hash, /^[0-9a-f]{4,}$/, `${result.name} ${result.metric} has a hash`);
    }
  });

test.run();
