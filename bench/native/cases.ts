import type { NativeCase } from './case.ts';
import { cssCase } from './css-case.ts';
import { etsCase } from './ets-case.ts';
import { lagCase } from './lag-case.ts';
import { lstmCase, lstmWindowsCase } from './lstm-case.ts';

/** Every kernel that has a C twin; each makes its input anew. One line a kernel. */
export const NATIVE_CASES: readonly ((options: { readonly isSmall: boolean }) => NativeCase)[] = [
  cssCase,
  etsCase,
  lagCase,
  lstmCase,
  lstmWindowsCase,
];
