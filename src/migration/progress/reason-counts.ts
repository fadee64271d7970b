/** Reasons differ by their numbers; so many kinds are told apart. */
const KINDS_MAX = 50;

/** A reason without its numbers: how many bytes were missing, how long was waited. */
export const kindOfReason = (reason: string): string => reason.replace(/\d+(\.\d+)?/g, '#');

/** How often something was given up for which kind of reason. */
export class ReasonCounts {
  readonly #counts = new Map<string, number>();

  add(kind: string): void {
    if (!this.#counts.has(kind) && this.#counts.size >= KINDS_MAX) return;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  /** Most frequent first. */
  list(): { readonly reason: string; readonly count: number }[] {
    return [...this.#counts]
      .map(([reason, count]) => ({ reason, count }))
      .sort((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1));
  }
}
