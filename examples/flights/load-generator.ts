import type { Ledger } from './ledger.ts';
import type { FlightLog } from './read-log.ts';
import { departureCommands, QUERIES_PER_DEPARTURE, type RedisCommands } from './workload.ts';

/** Latencies in steps of 10 µs up to 5 s: exact enough for p50 and p99, and no memory per query. */
const STEP_MS = 0.01;
const STEP_COUNT = 500_000;

export class LatencyHistogram {
  readonly #counts = new Uint32Array(STEP_COUNT + 1);
  #total = 0;

  record(latencyMs: number): void {
    this.#counts[Math.min(STEP_COUNT, Math.max(0, Math.floor(latencyMs / STEP_MS)))]++;
    this.#total++;
  }

  get count(): number {
    return this.#total;
  }

  /** The upper end of the step in which the share lies (0: the least), milliseconds; 0 where nothing was recorded. */
  quantile(share: number): number {
    if (this.#total === 0) return 0;
    const rank = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    for (let step = 0; step <= STEP_COUNT; step++) {
      seen += this.#counts[step];
      if (seen >= rank) return (step + 1) * STEP_MS;
    }
    return STEP_COUNT * STEP_MS;
  }
}

/** How often departures that have come due are sent. */
const TICK_MS = 4;

/**
 * Plays departures at their times, open loop: a departure is sent when it is due, whether or not earlier ones were
 * answered, and its latency counts from when it was due. A slow database cannot slow its own test down.
 */
export class LoadGenerator {
  readonly during = new LatencyHistogram();
  readonly outside = new LatencyHistogram();
  /** f64[hour][partition]: queries sent, to be held against what was captured. */
  readonly sent: Float64Array;
  clientErrors = 0;
  readonly errorExamples: string[] = [];

  readonly #log: FlightLog;
  readonly #clients: readonly RedisCommands[];
  readonly #ledger: Ledger;
  readonly #partitionOf: Uint16Array;
  readonly #partitionCount: number;
  readonly #isMigrating: () => boolean;
  #next = 0;
  #hourHistogram = new LatencyHistogram();

  constructor(options: {
    readonly log: FlightLog;
    /** An airport always uses the same one, so that its commands keep their order. */
    readonly clients: readonly RedisCommands[];
    readonly ledger: Ledger;
    readonly partitionOf: Uint16Array;
    readonly partitionCount: number;
    readonly isMigrating: () => boolean;
  }) {
    this.#log = options.log;
    this.#clients = options.clients;
    this.#ledger = options.ledger;
    this.#partitionOf = options.partitionOf;
    this.#partitionCount = options.partitionCount;
    this.#isMigrating = options.isMigrating;
    const hourCount = Math.ceil((options.log.endMs - options.log.startMs) / 3_600_000);
    this.sent = new Float64Array(hourCount * options.partitionCount);
  }

  /**
   * Plays one hour of the log in `hourMs` of real time, and waits until everything in it has been answered.
   *
   * @param hour counted from log.startMs.
   */
  async playHour(hour: number, hourMs: number): Promise<HourFigures> {
    const { minuteOf } = this.#log;
    this.#hourHistogram = new LatencyHistogram();
    let last = this.#next;
    while (last < minuteOf.length && minuteOf[last] < (hour + 1) * 60) last++;
    const first = this.#next;
    const count = last - first;
    const startedMs = performance.now();
    const pending: Promise<void>[] = [];
    while (this.#next < last) {
      // Minutes are whole; departures are spread evenly over the hour in the log's order.
      const elapsedMs = performance.now() - startedMs;
      const due = Math.min(last, first + Math.floor((elapsedMs / hourMs) * count) + 1);
      for (; this.#next < due; this.#next++)
        pending.push(this.#send(this.#next, hour, startedMs + ((this.#next - first) / count) * hourMs));
      await sleep(TICK_MS);
    }
    await Promise.all(pending);
    const leftMs = hourMs - (performance.now() - startedMs);
    if (leftMs > 0) await sleep(leftMs);
    const seconds = (performance.now() - startedMs) / 1000;
    return {
      queriesPerSecond: (count * QUERIES_PER_DEPARTURE) / seconds,
      p99Ms: this.#hourHistogram.quantile(0.99),
    };
  }

  async #send(departure: number, hour: number, dueMs: number): Promise<void> {
    const origin = this.#log.airports[this.#log.originOf[departure]];
    const destination = this.#log.airports[this.#log.destinationOf[departure]];
    const partition = this.#partitionOf[this.#log.originOf[departure]];
    this.sent[hour * this.#partitionCount + partition] += QUERIES_PER_DEPARTURE;
    const histogram = this.#isMigrating() ? this.during : this.outside;
    const client = this.#clients[this.#log.originOf[departure] % this.#clients.length];
    const commands = departureCommands(client, { origin, destination, sequence: departure });
    const incrementIndex = commands.length - 1;
    await Promise.all(
      commands.map(async (reply, index) => {
        try {
          await reply;
          if (index === incrementIndex) this.#ledger.acknowledge(origin, destination);
        } catch (error) {
          this.clientErrors++;
          if (this.errorExamples.length < 5) this.errorExamples.push(String(error));
          if (index === incrementIndex) this.#ledger.doubt(origin, destination);
        }
        const latencyMs = performance.now() - dueMs;
        histogram.record(latencyMs);
        this.#hourHistogram.record(latencyMs);
      }),
    );
  }
}

export interface HourFigures {
  readonly queriesPerSecond: number;
  readonly p99Ms: number;
}

const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));
