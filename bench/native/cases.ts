import type { NativeCase } from './case.ts';
import { cssCase } from './css-case.ts';
import { digestCase } from './digest-case.ts';
import { etsCase } from './ets-case.ts';
import { lagCase } from './lag-case.ts';
import { lstmCase, lstmWindowsCase } from './lstm-case.ts';
import { searchCase } from './search-case.ts';

type CaseMaker = (options: { readonly isSmall: boolean }) => NativeCase;

/** Every kernel that has a C twin, by the bench that compares them; each makes its input anew. One line a kernel. */
export const NATIVE_CASES = {
  forecast: [cssCase, etsCase, lagCase, lstmCase, lstmWindowsCase],
  placement: [(options) => searchCase(0, options), (options) => searchCase(0.5, options)],
  migration: [100, 200, 1_000, 100_000].map(
    (entryBytes): CaseMaker =>
      (options) =>
        digestCase(entryBytes, options),
  ),
} as const satisfies Record<string, readonly CaseMaker[]>;
