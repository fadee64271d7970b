import type { AnalyzerExports } from './analyzer-exports.ts';
import type { CssExports } from './css-exports.ts';
import type { DigestExports } from './digest-exports.ts';
import type { EtsExports } from './ets-exports.ts';
import type { LstmExports } from './lstm-exports.ts';
import type { MstlExports } from './mstl-exports.ts';
import type { RegressionExports } from './regression-exports.ts';
import type { SearchExports } from './search-layout.ts';

/** A byte offset into the kernels' memory, made by the arena. */
export type Pointer = number;

/** assembly/layout.ts */
interface LayoutExports {
  layoutAlignmentBytes(): number;
  layoutTile(): number;
  /** First byte above the kernels' own constants. */
  layoutHeapBase(): Pointer;
}

/** What assembly/index.ts exports, by hand: rooms extend it with an interface beside their kernels. */
export interface KernelExports
  extends LayoutExports,
    AnalyzerExports,
    EtsExports,
    MstlExports,
    RegressionExports,
    CssExports,
    LstmExports,
    SearchExports,
    DigestExports {}
