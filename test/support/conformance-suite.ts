import { suite } from 'uvu';
import type { ConformanceCase } from '../../src/conformance/index.ts';

/** Every case is a test; what an adapter cannot do is skipped aloud. */
export function conformanceSuite(title: string, cases: readonly ConformanceCase[]): void {
  const test = suite(title);
  for (const { name, run } of cases)
    test(name, async () => {
      const skipped = await run();
      if (skipped !== null) console.log(`SKIP ${title}: ${name}: ${skipped}`);
    });
  test.run();
}
