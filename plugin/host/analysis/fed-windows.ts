import type { Clock } from '../../../src/base/clock.ts';
import { LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';
import { PUBLISH_LATE_MS_MAX } from './profile-ledger.ts';
import type { ProfilePublisher } from './profile-publisher.ts';

/** The open window is written this often: so much is lost of it when the process is killed. */
const PUBLISH_INTERVAL_MS = 60_000;

export interface FedWindow {
  readonly startMs: number;
  /** f64[partition][dimension]. */
  readonly values: Float64Array;
  /** What stands beside them as captured. */
  count: number;
}

/** Windows of what servers tell while a process leads, published now and then. What cannot be published yet waits. */
export class FedWindows {
  readonly #grid: { readonly windowMs: number; readonly partitionCount: number };
  readonly #components: {
    readonly clock: Clock;
    readonly publisher: Pick<ProfilePublisher, 'publish'>;
    readonly feedId: number;
  };
  #publishedMs = Number.NEGATIVE_INFINITY;
  #window: FedWindow | null = null;
  /** Whether the open window has more than was published of it. */
  #hasNews = false;
  /** Windows that are over and could not be published yet, oldest first. */
  #closed: FedWindow[] = [];

  /** @param components.feedId under which the windows stand beside those of others. */
  constructor(
    grid: { readonly windowMs: number; readonly partitionCount: number },
    components: {
      readonly clock: Clock;
      readonly publisher: Pick<ProfilePublisher, 'publish'>;
      readonly feedId: number;
    },
  ) {
    this.#grid = grid;
    this.#components = components;
  }

  /** The window of this moment, to be added to. */
  open(): FedWindow {
    const { windowMs, partitionCount } = this.#grid;
    const startMs = Math.floor(this.#components.clock.nowMs() / windowMs) * windowMs;
    if (this.#window?.startMs !== startMs) {
      if (this.#window !== null && this.#hasNews) this.#closed.push(this.#window);
      const values = new Float64Array(partitionCount * LOAD_DIMENSION_COUNT);
      this.#window = { startMs, values, count: 0 };
    }
    this.#hasNews = true;
    return this.#window;
  }

  /** @throws ForeshardError FORESHARD_UNAVAILABLE of the metadata store: what waits is published with the next. */
  async publishDue(): Promise<void> {
    await this.#publishClosed();
    const nowMs = this.#components.clock.monotonicMs();
    if (nowMs - this.#publishedMs < PUBLISH_INTERVAL_MS) return;
    await this.#publishOpen();
    this.#publishedMs = nowMs;
  }

  /** @throws ForeshardError as {@link FedWindows.publishDue}. */
  async publishAll(): Promise<void> {
    await this.#publishClosed();
    await this.#publishOpen();
  }

  /** One that could not be published for too long is given up: its parts may have been added up by now, and it would count twice. */
  async #publishClosed(): Promise<void> {
    const oldestMs = this.#components.clock.nowMs() - PUBLISH_LATE_MS_MAX - this.#grid.windowMs;
    this.#closed = this.#closed.filter(({ startMs }) => startMs >= oldestMs);
    if (this.#window !== null && this.#window.startMs < oldestMs) this.#window = null;
    for (let window = this.#closed[0]; window !== undefined; window = this.#closed[0]) {
      await this.#publish(window);
      this.#closed.shift();
    }
  }

  async #publishOpen(): Promise<void> {
    if (this.#window === null || !this.#hasNews) return;
    this.#hasNews = false;
    try {
      await this.#publish(this.#window);
    } catch (error) {
      this.#hasNews = true;
      throw error;
    }
  }

  #publish({ startMs, values, count }: FedWindow): Promise<void> {
    const { publisher, feedId } = this.#components;
    return publisher.publish([
      { startMs, queryNodeId: feedId, values, capturedCount: Math.round(count), droppedCount: 0 },
    ]);
  }
}
