import type { LoadDimension, LoadProfile } from '../model/load-profile.ts';
import { clockSeasons, type SeasonLengths, searchSeasonLengths } from './season-lengths.ts';

/**
 * Looks once a week which cycles a load has now, a few milliseconds of it at each window, so that none waits for the whole
 * search. What is under way is not saved: after a restart it begins anew.
 */
export class SeasonWatch {
  readonly #driver: LoadDimension;
  /** Windows since the start when seasons were last looked for. */
  #seenAt: number;
  #search: Generator<undefined, SeasonLengths> | undefined;

  constructor(driver: LoadDimension, seenAt: number) {
    this.#driver = driver;
    this.#seenAt = seenAt;
  }

  /**
   * @param profile all that is kept of the load: without it neither can a search begin nor what it finds be of use.
   * @param end windows since the start at the end of the profile; newWindows of them are new.
   * @returns what a search has found that ends with this window; undefined at others.
   */
  look(
    profile: LoadProfile,
    { end, newWindows }: { readonly end: number; readonly newWindows: number },
  ): SeasonLengths | undefined {
    if (this.#search === undefined) {
      if (end - this.#seenAt < clockSeasons(profile.windowMs).weekWindows) return undefined;
      this.#seenAt = end;
      this.#search = searchSeasonLengths(profile, this.#driver);
    }
    for (let step = 0; step < newWindows; step++) {
      const { done, value } = this.#search.next();
      if (!done) continue;
      this.#search = undefined;
      return value;
    }
    return undefined;
  }
}
