import { assert } from '../../base/assert.ts';
import type { Arena, Block } from '../../kernels/arena.ts';
import type { LagTable } from '../../kernels/lag-table.ts';

/** Diagonals that the kernel runs side by side (DIAGONAL_GROUP in assembly/lag-regression.ts). */
const GROUP = 8;

/** A lag that a step looks at, in windows before the origin, and the weight it would have if nothing were known. */
export interface Lag {
  readonly lag: number;
  readonly prior: number;
}

/** A lag table and the kernel memory that holds it. */
export interface OwnedLagTable extends LagTable {
  readonly blocks: readonly Block[];
}

/**
 * Writes a lag table into kernel memory.
 *
 * @param lagsOf the lags of each step, each >= 1, no lag twice, at most `width` of them.
 */
export function lagTable(
  arena: Arena,
  options: { readonly steps: number; readonly width: number; lagsOf(step: number): readonly Lag[] },
): OwnedLagTable {
  const { steps, width } = options;
  const rows = Array.from({ length: steps }, (_, step) =>
    [...options.lagsOf(step)].sort((a, b) => a.lag - b.lag),
  );
  const reach = Math.max(...rows.flat().map(({ lag }) => lag));
  const lags = arena.i32(steps * width);
  const prior = arena.f64(steps * width);
  const groups = arena.i32(Math.ceil((reach + steps) / GROUP));
  const used = new Set<number>();
  rows.forEach((row, step) => {
    assert(row.length <= width && row.length > 0, 'a step has between one and width lags');
    row.forEach((entry, i) => {
      lags.view[step * width + i] = entry.lag;
      prior.view[step * width + i] = entry.prior;
      used.add(Math.floor((entry.lag + step) / GROUP));
      for (const other of row.slice(i)) used.add(Math.floor((other.lag - entry.lag) / GROUP));
    });
  });
  let groupCount = 0;
  groups.view.forEach((_, group) => {
    groups.view[group] = used.has(group) ? groupCount++ : -1;
  });
  return {
    steps,
    width,
    reach,
    lags: lags.pointer,
    prior: prior.pointer,
    groups: groups.pointer,
    groupCount,
    blocks: [lags, prior, groups],
  };
}
