import type { Clock } from '../../src/base/clock.ts';

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Virtual time as a heap of events; after each event everything that follows from it by promises runs to its end. */
export class SimClock implements Clock {
  #nowMs = 1_000_000;
  #order = 0;
  readonly #heap: Event[] = [];
  eventCount = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): void {
    this.#push({ atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run });
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const wake = (): void => {
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.after(delayMs, wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  /** @returns false when there was nothing to do until then. */
  async runUntil(endMs: number, isOver: () => boolean = () => false): Promise<void> {
    while (this.#heap.length > 0 && (this.#heap[0] as Event).atMs <= endMs && !isOver()) {
      const event = this.#pop();
      this.#nowMs = event.atMs;
      this.eventCount++;
      event.run();
      // An immediate runs after all microtasks: what the event set off is done then.
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (!isOver()) this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[index] = heap[parent] as Event;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): Event {
    const heap = this.#heap;
    const first = heap[0] as Event;
    const last = heap.pop() as Event;
    if (heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[index] = heap[child] as Event;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** One life of a process: when it ends, nothing that it awaits ever comes back, so it does nothing any more. */
export class Life {
  isOver = false;

  end(): void {
    this.isOver = true;
  }

  clock(clock: SimClock): Clock {
    return {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      sleep: (delayMs, signal) => this.whileAlive(clock.sleep(delayMs, signal)),
    };
  }

  whileAlive<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.isOver || resolve(value),
        (error) => this.isOver || reject(error),
      );
    });
  }
}
