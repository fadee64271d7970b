const BEGIN_LOOK_MS = 250;

/**
 * Work on a timer, one at a time. The first turn comes after one interval, or, where it is said when that may be, as soon as it
 * may begin.
 */
export class Repeated {
  #timer: NodeJS.Timeout;
  #running: Promise<void> | null = null;

  /** @param work must not throw. */
  constructor(intervalMs: number, work: () => Promise<void>, mayBegin?: () => boolean) {
    const turn = (): void => {
      this.#running ??= work().finally(() => {
        this.#running = null;
      });
    };
    if (mayBegin === undefined) {
      this.#timer = setInterval(turn, intervalMs);
      return;
    }
    this.#timer = setInterval(() => {
      if (!mayBegin()) return;
      clearInterval(this.#timer);
      this.#timer = setInterval(turn, intervalMs);
      turn();
    }, BEGIN_LOOK_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }
}
