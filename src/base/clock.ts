/** Time as a component: everything in `src/` that needs it is handed a Clock. */
export interface Clock {
  /** Wall clock, milliseconds since 1970-01-01 UTC. May jump. */
  nowMs(): number;
  /** Milliseconds that never go back; only differences mean anything. */
  monotonicMs(): number;
  /**
   * Resolves after `delayMs` of this clock's time, or as soon as `signal` aborts (it never rejects). 0 lets everything that
   * waits have its turn: of several that sleep so, one goes on, then timers and messages are looked at again.
   */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's clock. */
export function systemClock(): Clock {
  const turns = new LoopTurns();
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    sleep: (delayMs, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        // A timer of 0 fires after 1 ms: work that rests every few milliseconds would be a fifth slower.
        if (delayMs <= 0) return turns.wait(resolve);
        const timer = setTimeout(finish, delayMs);
        function finish(): void {
          clearTimeout(timer);
          signal?.removeEventListener('abort', finish);
          resolve();
        }
        signal?.addEventListener('abort', finish, { once: true });
      }),
  };
}

/**
 * A turn of the event loop for each that waits: the loop runs all immediates that it finds before it looks at a timer, so that
 * several long works, each of which rests in time, would together let nobody be heard.
 */
class LoopTurns {
  readonly #waiting: (() => void)[] = [];

  wait(goOn: () => void): void {
    this.#waiting.push(goOn);
    if (this.#waiting.length === 1) setImmediate(this.#next);
  }

  readonly #next = (): void => {
    const goOn = this.#waiting.shift();
    if (this.#waiting.length > 0) setImmediate(this.#next);
    goOn?.();
  };
}

interface Sleeper {
  readonly wakeMs: number;
  readonly order: number;
  readonly wake: () => void;
}

/** A clock that moves only when told to: simulations, tests and replays. */
export class VirtualClock implements Clock {
  #nowMs: number;
  #sleepers: Sleeper[] = [];
  #order = 0;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const wake = (): void => {
        // Many sleeps may end before their common signal does.
        signal?.removeEventListener('abort', wake);
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        resolve();
      };
      const sleeper: Sleeper = { wakeMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, wake };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  /** Moves to `targetMs`, waking sleepers in order of their time, ties in order of their arrival. */
  advanceTo(targetMs: number): void {
    if (targetMs < this.#nowMs)
      throw new RangeError(`a clock does not go back: ${targetMs} < ${this.#nowMs}`);
    for (;;) {
      let next: Sleeper | undefined;
      for (const sleeper of this.#sleepers) {
        if (sleeper.wakeMs > targetMs) continue;
        if (
          !next ||
          sleeper.wakeMs < next.wakeMs ||
          (sleeper.wakeMs === next.wakeMs && sleeper.order < next.order)
        )
          next = sleeper;
      }
      if (!next) break;
      this.#nowMs = Math.max(this.#nowMs, next.wakeMs);
      next.wake();
    }
    this.#nowMs = targetMs;
  }
}
