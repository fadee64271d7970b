import type { Clock } from '../../src/base/clock.ts';
import type { SimClock } from './clock.ts';

/**
 * One life of a process. All that reaches it from outside (a timer, a message, an answer) comes through `run`: when the life
 * is over nothing does any more, and while it is stopped everything waits, in order.
 */
export class Life {
  readonly name: string;
  readonly #clock: SimClock;
  readonly #wallOffsetMs: () => number;
  #parked: (() => void)[] | null = null;
  /** Takes back what sleeps listen for: Node keeps a composed signal, and all behind it, while somebody listens to it. */
  readonly #forgets = new Set<() => void>();
  #resumesAtMs = 0;
  isOver = false;

  /** @param wallOffsetMs by how much the machine's wall clock is wrong. */
  constructor(name: string, clock: SimClock, wallOffsetMs: () => number = () => 0) {
    this.name = name;
    this.#clock = clock;
    this.#wallOffsetMs = wallOffsetMs;
  }

  run(action: () => void): void {
    if (this.isOver) return;
    if (this.#parked) this.#parked.push(action);
    else action();
  }

  /** kill -9: nothing that it awaits ever comes back. */
  end(): void {
    this.isOver = true;
    this.#parked = null;
    for (const forget of [...this.#forgets]) forget();
  }

  /** SIGSTOP, then SIGCONT after so long; or a disk that takes so long to sync. */
  stopFor(forMs: number): void {
    if (this.isOver) return;
    this.#parked ??= [];
    this.#resumesAtMs = Math.max(this.#resumesAtMs, this.#clock.nowMs() + forMs);
    this.#clock.after(forMs, () => {
      if (this.#clock.nowMs() >= this.#resumesAtMs) this.resume();
    });
  }

  resume(): void {
    const parked = this.#parked;
    this.#parked = null;
    this.#resumesAtMs = 0;
    for (const action of parked ?? []) this.run(action);
  }

  get isStopped(): boolean {
    return this.#parked !== null;
  }

  /** Settles as `promise` does, if there is still somebody to see it. */
  whileAlive<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.run(() => resolve(value)),
        (error) => this.run(() => reject(error)),
      );
    });
  }

  /** A component of the process. The wall clock may jump, the monotonic one does not. */
  get clock(): Clock {
    const clock = this.#clock;
    return {
      nowMs: () => clock.nowMs() + this.#wallOffsetMs(),
      monotonicMs: () => clock.nowMs(),
      sleep: (delayMs, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted) return resolve();
          const timer = clock.after(delayMs, () => {
            forget();
            this.run(resolve);
          });
          const onAbort = (): void => {
            this.#forgets.delete(forget);
            clock.cancel(timer);
            resolve(); // the process itself has aborted it
          };
          const forget = (): void => {
            this.#forgets.delete(forget);
            signal?.removeEventListener('abort', onAbort);
          };
          if (!signal) return;
          this.#forgets.add(forget);
          signal.addEventListener('abort', onAbort, { once: true });
        }),
    };
  }
}
