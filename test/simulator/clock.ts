/** Virtual time: a heap of events. After each event, everything that follows from it by promises runs to its end. */
export interface Timer {
  /** Null once it has run or was cancelled. */
  run: (() => void) | null;
  readonly atMs: number;
  readonly order: number;
}

export class SimClock {
  #nowMs = 1_000_000;
  #order = 0;
  readonly #heap: Timer[] = [];
  /** Events that have run; cancelled ones do not count. */
  eventCount = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#push(timer);
    return timer;
  }

  /** It stays in the heap until its time, and then costs nothing. */
  cancel(timer: Timer): void {
    timer.run = null;
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }

  /** Runs events up to `endMs`, or until `isOver` says so between two of them. */
  runUntil(endMs: number, isOver: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          const isIdle = !isOver() && !this.#runNext(endMs);
          if (isIdle) this.#nowMs = Math.max(this.#nowMs, endMs);
          if (isIdle || isOver()) {
            resolve();
            return;
          }
        } catch (error) {
          reject(error);
          return;
        }
        // A tick asked for by a microtask runs when no microtask is left: what the event set off is done then. A pass
        // through the event loop (setImmediate) would say the same, and cost a third of the run.
        SETTLED.then(askForTick);
      };
      const askForTick = (): void => process.nextTick(step);
      step();
    });
  }

  /** @returns false when there is nothing to do until then. */
  #runNext(endMs: number): boolean {
    const heap = this.#heap;
    while (heap.length > 0 && (heap[0] as Timer).atMs <= endMs) {
      const timer = this.#pop();
      const { run } = timer;
      if (run === null) continue;
      timer.run = null;
      this.#nowMs = timer.atMs;
      this.eventCount++;
      run();
      return true;
    }
    return false;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let index = heap.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(timer, heap[parent] as Timer)) break;
      heap[index] = heap[parent] as Timer;
      index = parent;
    }
    heap[index] = timer;
  }

  #pop(): Timer {
    const heap = this.#heap;
    const first = heap[0] as Timer;
    const last = heap.pop() as Timer;
    if (heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Timer, heap[child] as Timer)) child++;
      if (!isBefore(heap[child] as Timer, last)) break;
      heap[index] = heap[child] as Timer;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

const SETTLED = Promise.resolve();

const isBefore = (a: Timer, b: Timer): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
