/**
 * Clients that write and read by a fixed timetable, whether the cluster keeps up or not: a latency counts from the intended
 * start, so that a pause shows in every query that should have begun in it (no coordinated omission). Each key has one
 * writer, which checks every answer against what it knows.
 */
import { connect, type Socket } from 'node:net';
import { LatencyHistogram } from '../../../bench/latency-histogram.ts';
import { decodeReply, encodeCommand, RespError } from '../../support/resp-client.ts';
import { CounterHistory, KeyHistory } from './key-history.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface LoadOptions {
  readonly sessionCount: number;
  readonly queriesPerSecond: number;
  /** Partition and the `{tag}` whose keys lie in it. */
  readonly tagOf: ReadonlyMap<number, string>;
  /** Where clients may connect now; a session takes them in turn. */
  readonly addresses: () => readonly Address[];
}

/** A finished write, for the length of the pause at a hand-over. */
export interface TimedWrite {
  readonly partitionId: number;
  readonly intendedMs: number;
  readonly endedMs: number;
}

export interface LoadScore {
  acknowledgedWrites: number;
  refusedWrites: number;
  unknownWrites: number;
  reads: number;
  failedReads: number;
}

/** Out of ten queries, at these places: the rest are SETs. Deletes and counters travel through a migration too. */
const MIX = ['set', 'get', 'set', 'get', 'incr', 'set', 'get', 'set', 'get', 'delete'] as const;
type Kind = (typeof MIX)[number];
/** So many of ten queries go to the partition that is being moved. */
const FOCUS_OF_TEN = 6;
/** Answers that say for sure that nothing was done; see docs/node.md. */
const REFUSALS = /^(TRYAGAIN|CLUSTERDOWN|OOM)\b/;
const RECONNECT_MS = 50;
/** A connection that has not answered for so long is given up, as a client library would: its outcomes are unknown. */
const PATIENCE_MS = 12_000;
/** Finished writes are kept for so long, for whoever asks about a pause. */
const KEPT_MS = 60_000;

interface OpenQuery {
  readonly kind: Kind;
  readonly partitionId: number;
  readonly intendedMs: number;
  readonly history: KeyHistory;
  readonly counter: CounterHistory;
  readonly seq: number;
}

/** One session's keys in one partition. A blurred key is put aside for the last look, and a fresh one taken. */
interface PartitionKeys {
  history: KeyHistory;
  counter: CounterHistory;
  readonly allHistories: KeyHistory[];
  readonly allCounters: CounterHistory[];
}

export class OpenLoopLoad {
  readonly latencies = new LatencyHistogram();
  readonly score: LoadScore = {
    acknowledgedWrites: 0,
    refusedWrites: 0,
    unknownWrites: 0,
    reads: 0,
    failedReads: 0,
  };
  /** What sessions saw that they never should. */
  readonly staleReads: string[] = [];
  readonly wrongCounters: string[] = [];
  /** The partition that most queries go to. */
  focus: number;
  readonly #options: LoadOptions;
  readonly #sessions: Session[];
  readonly #partitions: readonly number[];
  readonly #acknowledgedOf = new Map<number, number>();
  readonly #writes: TimedWrite[] = [];
  readonly #startedMs = performance.now();
  #sentCount = 0;
  #timer: NodeJS.Timeout;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#partitions = [...options.tagOf.keys()];
    this.focus = this.#partitions[0] as number;
    this.#sessions = Array.from(
      { length: options.sessionCount },
      (_, id) =>
        new Session(id, {
          tagOf: options.tagOf,
          address: (turn) => {
            const addresses = options.addresses();
            return addresses[(id + turn) % Math.max(1, addresses.length)];
          },
          onAnswered: (query, reply) => this.#onAnswered(query, reply),
        }),
    );
    this.#timer = setInterval(() => this.#sendDue(), 2);
  }

  /** Queries answered by an error, or not at all: what clients see of a fault. */
  get failedCount(): number {
    const { refusedWrites, unknownWrites, failedReads } = this.score;
    return refusedWrites + unknownWrites + failedReads;
  }

  acknowledgedOf(partitionId: number): number {
    return this.#acknowledgedOf.get(partitionId) ?? 0;
  }

  /**
   * How long writes of a partition waited around a moment.
   *
   * @param fromMs, untilMs by performance.now().
   * @returns the longest latency of a write that was open in between, ms; null where none was. `elsewhere` is that of the
   * other partitions, over which nothing is handed over: what the machine itself takes.
   */
  writePauseMs(
    partitionId: number,
    fromMs: number,
    untilMs: number,
  ): { readonly here: number | null; readonly elsewhere: number | null } {
    let [here, elsewhere]: [number | null, number | null] = [null, null];
    for (const write of this.#writes) {
      if (write.intendedMs > untilMs || write.endedMs < fromMs) continue;
      const latencyMs = write.endedMs - write.intendedMs;
      if (write.partitionId === partitionId) here = Math.max(here ?? 0, latencyMs);
      else elsewhere = Math.max(elsewhere ?? 0, latencyMs);
    }
    return { here, elsewhere };
  }

  /** Ends the timetable and waits for what is open. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const deadlineMs = performance.now() + PATIENCE_MS;
    while (this.#sessions.some((session) => session.openCount > 0) && performance.now() < deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 5));
    for (const session of this.#sessions) session.close();
  }

  /**
   * Reads every key and counter that was ever written, after everything has healed.
   *
   * @param ask gets one command's reply from a connection of its own.
   */
  async findLost(ask: (...words: string[]) => Promise<unknown>): Promise<string[]> {
    const lost: string[] = [];
    const note = (violation: string | null): void => {
      if (violation !== null) lost.push(violation);
    };
    for (const session of this.#sessions)
      for (const { allHistories, allCounters } of session.keysOf.values()) {
        for (const history of allHistories) {
          const value = await ask('GET', history.key);
          note(value instanceof RespError ? value.text : history.checkFinal(value as string | null));
        }
        for (const counter of allCounters) {
          const value = await ask('GET', counter.key);
          note(value instanceof RespError ? value.text : counter.checkFinal(Number(value ?? 0)));
        }
      }
    return lost;
  }

  #sendDue(): void {
    const nowMs = performance.now();
    const { queriesPerSecond } = this.#options;
    for (;;) {
      const intendedMs = this.#startedMs + (this.#sentCount * 1000) / queriesPerSecond;
      if (intendedMs > nowMs) break;
      this.#send(this.#sentCount++, intendedMs);
    }
    for (const session of this.#sessions) session.loseIfStalled(nowMs);
    while (this.#writes.length > 0 && nowMs - (this.#writes[0] as TimedWrite).endedMs > KEPT_MS)
      this.#writes.shift();
  }

  #send(index: number, intendedMs: number): void {
    const session = this.#sessions[index % this.#sessions.length] as Session;
    const round = Math.floor(index / this.#sessions.length);
    const isFocused = round % 10 < FOCUS_OF_TEN;
    // 7 and 10 have no common divisor: over time every kind meets every partition.
    const partitionId = isFocused
      ? this.focus
      : (this.#partitions[(round * 7 + index) % this.#partitions.length] as number);
    session.send(MIX[(index * 3 + round) % MIX.length] as Kind, partitionId, intendedMs);
  }

  /** @param reply undefined where the connection was lost first. */
  #onAnswered(query: OpenQuery, reply: unknown): void {
    const { kind, partitionId, intendedMs, history, counter, seq } = query;
    const endedMs = performance.now();
    const isError = reply === undefined || reply instanceof RespError;
    const isRefused = reply instanceof RespError && REFUSALS.test(reply.text);
    if (kind === 'get') {
      if (isError) this.score.failedReads++;
      else {
        this.score.reads++;
        const violation = history.endRead(reply as string | null);
        if (violation !== null) this.staleReads.push(violation);
      }
    } else if (kind === 'incr') {
      if (!isError) {
        const violation = counter.acknowledged(Number(reply));
        if (violation !== null) this.wrongCounters.push(violation);
      } else if (!isRefused) counter.unknown();
    } else {
      const failure = isRefused ? 'refused' : 'unknown';
      history.endWrite(seq, isError ? failure : 'acknowledged');
    }
    if (!isError) this.latencies.add(endedMs - intendedMs);
    if (kind === 'get') return;
    if (isError) this.score[isRefused ? 'refusedWrites' : 'unknownWrites']++;
    else {
      this.score.acknowledgedWrites++;
      this.#acknowledgedOf.set(partitionId, this.acknowledgedOf(partitionId) + 1);
      this.#writes.push({ partitionId, intendedMs, endedMs });
    }
  }
}

interface SessionOptions {
  readonly tagOf: ReadonlyMap<number, string>;
  readonly address: (turn: number) => Address | undefined;
  readonly onAnswered: (query: OpenQuery, reply: unknown) => void;
}

/** One client: a connection at a time, requests pipelined, and the keys that it alone writes. */
class Session {
  readonly keysOf = new Map<number, PartitionKeys>();
  readonly #id: number;
  readonly #options: SessionOptions;
  #socket: Socket | null = null;
  #received: Buffer = Buffer.alloc(0);
  #open: OpenQuery[] = [];
  /** Due while there was no connection: they go out in order once there is one. */
  #waiting: { kind: Kind; partitionId: number; intendedMs: number }[] = [];
  #turn = 0;
  #heardMs = performance.now();
  #isClosed = false;

  constructor(id: number, options: SessionOptions) {
    this.#id = id;
    this.#options = options;
    this.#connect();
  }

  get openCount(): number {
    return this.#open.length + this.#waiting.length;
  }

  send(kind: Kind, partitionId: number, intendedMs: number): void {
    if (this.#socket === null || this.#socket.connecting) {
      this.#waiting.push({ kind, partitionId, intendedMs });
      return;
    }
    const { history, counter } = this.#keysOf(partitionId);
    const isWrite = kind === 'set' || kind === 'delete';
    const seq = isWrite ? history.beginWrite(kind === 'delete') : 0;
    if (this.#open.length === 0) this.#heardMs = performance.now();
    this.#open.push({ kind, partitionId, intendedMs, history, counter, seq });
    const words: Record<Kind, string[]> = {
      set: ['SET', history.key, String(seq)],
      get: ['GET', history.key],
      delete: ['DEL', history.key],
      incr: ['INCR', counter.key],
    };
    this.#socket.write(encodeCommand(words[kind]));
  }

  loseIfStalled(nowMs: number): void {
    if (this.#open.length > 0 && nowMs - this.#heardMs > PATIENCE_MS) this.#socket?.destroy();
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.destroy();
  }

  #keysOf(partitionId: number): PartitionKeys {
    let keys = this.keysOf.get(partitionId);
    if (keys === undefined) {
      keys = {
        history: new KeyHistory(this.#keyName(partitionId, 'k', 0)),
        counter: new CounterHistory(this.#keyName(partitionId, 'c', 0)),
        allHistories: [],
        allCounters: [],
      };
      keys.allHistories.push(keys.history);
      keys.allCounters.push(keys.counter);
      this.keysOf.set(partitionId, keys);
    }
    if (keys.history.isBlurred) {
      keys.history = new KeyHistory(this.#keyName(partitionId, 'k', keys.allHistories.length));
      keys.allHistories.push(keys.history);
    }
    if (keys.counter.isBlurred) {
      keys.counter = new CounterHistory(this.#keyName(partitionId, 'c', keys.allCounters.length));
      keys.allCounters.push(keys.counter);
    }
    return keys;
  }

  #keyName(partitionId: number, kind: string, generation: number): string {
    return `${this.#options.tagOf.get(partitionId)}:${kind}${this.#id}:${generation}`;
  }

  #connect(): void {
    if (this.#isClosed) return;
    const address = this.#options.address(this.#turn++);
    if (address === undefined) {
      setTimeout(() => this.#connect(), RECONNECT_MS);
      return;
    }
    const socket = connect(address.port, address.host);
    socket.setNoDelay(true);
    this.#socket = socket;
    socket.on('connect', () => {
      this.#heardMs = performance.now();
      for (const { history } of this.keysOf.values()) history.beginSession();
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const { kind, partitionId, intendedMs } of waiting) this.send(kind, partitionId, intendedMs);
    });
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onLost());
  }

  #onData(chunk: Buffer): void {
    this.#heardMs = performance.now();
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    for (;;) {
      const reply = this.#received.length > 0 ? decodeReply(this.#received, 0) : undefined;
      if (reply === undefined) return;
      this.#received = this.#received.subarray(reply.end);
      const query = this.#open.shift();
      if (query === undefined) throw new Error(`a reply to nothing: ${JSON.stringify(reply.value)}`);
      this.#options.onAnswered(query, reply.value);
    }
  }

  #onLost(): void {
    this.#socket = null;
    this.#received = Buffer.alloc(0);
    const lost = this.#open;
    this.#open = [];
    for (const query of lost) this.#options.onAnswered(query, undefined);
    if (!this.#isClosed) setTimeout(() => this.#connect(), RECONNECT_MS);
  }
}
