import type { Clock } from '../base/clock.ts';
import type { SearchContext } from './optimisers/optimiser.ts';

/**
 * How long the searches of one plan go on: for so many seconds each, or, to make a plan again, until they have come as far as
 * the searches of that one had.
 */
export class SearchTimes {
  readonly #limit:
    | { readonly clock: Clock; readonly seconds: number }
    | { readonly endAfter: readonly number[] };
  readonly #iterations: number[] = [];
  #isCut = false;

  constructor(
    limit: { readonly clock: Clock; readonly seconds: number } | { readonly endAfter: readonly number[] },
  ) {
    this.#limit = limit;
  }

  /** Of the next search; time runs from its first question on. */
  next(): Required<Pick<SearchContext, 'isOver'>> {
    const isOver = this.#question(this.#iterations.length);
    return {
      isOver: (iterations) => {
        if (!isOver(iterations)) return false;
        this.#isCut = true;
        return true;
      },
    };
  }

  noteEnd(iterations: number): void {
    this.#iterations.push(iterations);
  }

  /** Iterations of all searches, in turn, if one of them was cut short. */
  get endedAfter(): readonly number[] | undefined {
    return this.#isCut ? this.#iterations : undefined;
  }

  #question(search: number): (iterations: number) => boolean {
    const limit = this.#limit;
    if ('endAfter' in limit) {
      const end = limit.endAfter[search] ?? Number.POSITIVE_INFINITY;
      return (iterations) => iterations >= end;
    }
    let startedMs: number | undefined;
    return () => {
      const nowMs = limit.clock.monotonicMs();
      startedMs ??= nowMs;
      return nowMs - startedMs >= 1000 * limit.seconds;
    };
  }
}
