/**
 * Whether the history of one register can be explained by operations that took effect one at a time, each at some moment
 * between its call and its return.
 *
 * @see Wing & Gong, "Testing and Verifying Concurrent Objects", 1993; Lowe, "Testing for linearizability", 2017: the search
 * never visits a (set of operations done, state) twice, which is what makes histories of this size cheap.
 */
export interface RegisterOperation {
  readonly kind: 'write' | 'read';
  /** What was written, or read. Writes of one history differ, but for the empty state. */
  readonly value: number;
  readonly calledAtMs: number;
  /** Infinity when no answer came: it may take effect at any time, or never. */
  returnedAtMs: number;
  /** A write without an answer; it has taken effect before `returnedAtMs`, or never will. */
  mayBeLost: boolean;
}

/** The state of a key that does not exist. */
export const NOTHING = 0;

/** @returns null when the history is linearizable, else the longest order of operations that could be found. */
export function findViolation(
  operations: readonly RegisterOperation[],
  initialValue = NOTHING,
): readonly RegisterOperation[] | null {
  const sorted = [...operations].sort((a, b) => a.calledAtMs - b.calledAtMs);
  const seen = new Set<string>();
  const isDone = new Uint8Array(sorted.length);
  const order: RegisterOperation[] = [];
  let longest: RegisterOperation[] = [];

  const search = (value: number): boolean => {
    const key = `${isDone.join('')}/${value}`;
    if (seen.has(key)) return false;
    seen.add(key);
    if (order.length > longest.length) longest = [...order];
    // Whatever is called after the first return among those not done cannot come before it.
    let firstReturnMs = Number.POSITIVE_INFINITY;
    let isAllDone = true;
    for (let i = 0; i < sorted.length; i++) {
      const operation = sorted[i] as RegisterOperation;
      if (isDone[i]) continue;
      if (!operation.mayBeLost) isAllDone = false;
      if (operation.returnedAtMs < firstReturnMs) firstReturnMs = operation.returnedAtMs;
    }
    if (isAllDone) return true;
    for (let i = 0; i < sorted.length; i++) {
      const operation = sorted[i] as RegisterOperation;
      if (isDone[i]) continue;
      if (operation.calledAtMs > firstReturnMs) break;
      isDone[i] = 1;
      if (operation.kind === 'write' || operation.value === value) {
        order.push(operation);
        if (search(operation.kind === 'write' ? operation.value : value)) return true;
        order.pop();
      }
      // Lost: it is passed over without a trace.
      if (operation.mayBeLost && operation.returnedAtMs === firstReturnMs && search(value)) return true;
      isDone[i] = 0;
    }
    return false;
  };
  return search(initialValue) ? null : longest;
}
