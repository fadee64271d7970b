/**
 * Cuts an input down while it goes on failing: pieces of half its size, then a quarter, down to single bytes.
 *
 * @param msMax when to leave it at what has been reached.
 * @see Zeller & Hildebrandt, "Simplifying and isolating failure-inducing input", 2002 (without its complements of complements)
 */
export async function minimise(
  input: Buffer,
  fails: (input: Buffer) => Promise<boolean>,
  msMax = 5_000,
): Promise<Buffer> {
  let best = input;
  const deadlineMs = performance.now() + msMax;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let at = 0; at < best.length && performance.now() < deadlineMs; ) {
      const without = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if (await fails(without)) best = without;
      else at += size;
    }
  return best;
}
