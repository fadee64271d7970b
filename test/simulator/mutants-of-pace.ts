/** Mistakes about what clients must not feel: reads at a target that does not answer, and copies that are too fast. */
import type { Mutant } from './mutants.ts';
import { slowCopies, targetOutOfReach } from './worlds.ts';

const UNLIMITED = 2 ** 40;

export const PACE_MUTANTS: readonly Mutant[] = [
  {
    // The coordinator reaches the target, so all is well: that its readers do not is nobody's business.
    name: 'guard-of-reads-not-obeyed',
    shownBy: ['pace'],
    world: targetOutOfReach,
    guard: (watch) => ({ ...watch, verdictOf: async () => ({ kind: 'green' }), summaryOf: () => null }),
  },
  {
    // F39: the limit is told, and the target copies as fast as it can.
    name: 'copy-limit-not-kept',
    shownBy: ['pace'],
    world: slowCopies,
    handle: (handle) => (operation, body) =>
      handle(
        operation,
        operation === 'replicate.copy' && Number(body.bytesPerSecond) > 0
          ? { ...body, bytesPerSecond: UNLIMITED, bytesPerSecondMin: UNLIMITED }
          : body,
      ),
  },
];
