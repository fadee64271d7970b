import type { Logger } from '../../src/base/logger.ts';

/** Whoever can provoke a warning could fill a disk with them: of each kind one a second is written. */
const SPACE_MS = 1_000;

/** Warnings about strangers, who decide how many there are. */
export class SpacedWarnings {
  readonly #logger: Logger;
  readonly #nowMs: () => number;
  readonly #lastMs = new Map<string, number>();
  readonly #unsaid = new Map<string, number>();

  constructor(logger: Logger, nowMs: () => number = () => performance.now()) {
    this.#logger = logger;
    this.#nowMs = nowMs;
  }

  /** @param message one of few: it is the kind, too. What differs goes into `fields`. */
  warn(fields: Record<string, unknown>, message: string): void {
    const nowMs = this.#nowMs();
    const unsaid = this.#unsaid.get(message) ?? 0;
    if (nowMs - (this.#lastMs.get(message) ?? -Infinity) < SPACE_MS) {
      this.#unsaid.set(message, unsaid + 1);
      return;
    }
    this.#lastMs.set(message, nowMs);
    this.#unsaid.delete(message);
    this.#logger.warn(unsaid === 0 ? fields : { ...fields, alikeBefore: unsaid }, message);
  }
}
