import { randomInt } from 'node:crypto';
import type { Worker } from 'node:worker_threads';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { Settings } from '../../src/settings.ts';
import { createRingMemory, RingProducer } from '../capture/ring.ts';
import { loadSettings, settingsOf } from '../host/config/config.ts';
import { createLogger } from '../host/pino-logger.ts';
import { describeFault } from '../threads/faults.ts';
import { startThread } from '../threads/thread.ts';
import { ThreadLink } from '../threads/thread-link.ts';
import type { CaptureCounts, CaptureSetup, CaptureThreadBody } from './capture-thread.ts';
import { assertKnownClient, tapClient } from './clients/tap-client.ts';
import { QueryTap } from './query-tap.ts';
import { RunSampler } from './run-sampler.ts';

export interface CaptureOptions {
  /** What the application is called in reports; "application" by default. */
  readonly application?: string;
  /** A config file of Foreshard: the same as the agent's. Without it and `settings`, `foreshard.config.*` of the working directory. */
  readonly config?: string;
  /** Sections of a config file, as an object: `{ cluster: { name }, metadata: { kind: 'etcd', endpoints } }`. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Called once where the capture has let go of its clients because of a fault of its own. It is logged in any case. */
  readonly onFault?: (error: unknown) => void;
}

/** A time that a replay tells instead of the machine. */
export interface ReplayClock {
  /** Milliseconds since 1970-01-01 UTC, at first. */
  readonly nowMs: number;
}

export interface CaptureStatus {
  /** Whether queries are being recorded. */
  readonly isAttached: boolean;
  /** Why not, if a fault was the reason. */
  readonly fault: string | null;
  readonly keylessCount: number;
}

interface Running {
  readonly settings: Settings;
  readonly producer: RingProducer;
  /** One for all clients, as there is one ring. */
  readonly sampler: RunSampler;
  readonly counters: Int32Array;
  readonly thread: Worker;
  readonly link: ThreadLink;
  readonly timer: NodeJS.Timeout;
}

interface TappedClient {
  readonly tap: QueryTap;
  readonly undo: () => void;
}

/** Nothing lingers in the ring for longer than this, and no record's time is older by more. */
const TICK_INTERVAL_MS = 10;

/**
 * Records what an application asks of its Redis or Valkey cluster, for the agent of that cluster.
 *
 * @param client a `Cluster` or `Redis` of ioredis, or what `createCluster` or `createClient` of node-redis return; connected or not.
 * @returns what undoes it, in one call.
 * @throws ForeshardError FORESHARD_CONFIG for another kind of client, or for wrong `settings`. A config file is read behind the
 *   scenes: what is wrong with it rejects `started`.
 */
export function captureCluster(client: object, options: CaptureOptions = {}): ClusterCapture {
  return new ClusterCapture(client, options);
}

/** The capture of one application's clients. Whatever happens to it, the clients go on as if it were not there. */
export class ClusterCapture {
  /** Resolves when queries are being recorded; rejects where it could not begin, which is also logged. */
  readonly started: Promise<void>;
  readonly #options: CaptureOptions;
  readonly #logger: Logger;
  /** Null: records bear the machine's time. */
  #replayMs: number | null;
  readonly #clients = new Map<object, TappedClient | null>();
  #clientCount = 0;
  #keylessBefore = 0;
  #running: Running | null = null;
  #fault: string | null = null;
  #stopped: Promise<void> | null = null;

  /** @param replay for replays: `setClock` and `advance` say how late it is. */
  constructor(client: object, options: CaptureOptions, replay: ReplayClock | null = null) {
    this.#options = options;
    this.#replayMs = replay?.nowMs ?? null;
    const fields = { role: 'captured', application: applicationOf(options) };
    this.#logger = createLogger({ level: 'info', fields });
    const folder = process.cwd();
    const environment = process.env;
    // A client that cannot be captured is refused before anything is started for it.
    assertKnownClient(client);
    if (options.settings === undefined) {
      this.add(client);
      this.started = loadSettings({ file: options.config, folder, environment }).then(({ settings }) =>
        this.#begin(settings),
      );
    } else {
      if (options.config !== undefined)
        throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', 'config and settings: give one of them');
      const settings = settingsOf({ ...options.settings }, { file: null, folder, environment });
      this.add(client);
      this.started = this.#begin(settings);
    }
    this.started.catch((error: unknown) => this.#letGo(error));
  }

  /** Captures a further client of the same cluster, into the same records. */
  add(client: object): void {
    assertKnownClient(client);
    if (this.#clients.has(client) || this.#stopped !== null || this.#fault !== null) return;
    this.#clients.set(client, this.#running === null ? null : this.#tap(client, this.#running));
  }

  /** Lets go of one client, as `stop()` does of all: it is as it was before, and no longer held. One that is not captured is not touched. */
  remove(client: object): void {
    const tapped = this.#clients.get(client);
    this.#clients.delete(client);
    if (tapped === undefined || tapped === null) return;
    this.#keylessBefore += tapped.tap.keylessCount;
    untap(tapped);
  }

  status(): CaptureStatus {
    const isAttached = this.#running !== null && this.#fault === null && this.#stopped === null;
    return { isAttached, fault: this.#fault, keylessCount: this.#keylessCount() };
  }

  /** For replays: from now on records bear this time. */
  setClock(nowMs: number): void {
    this.#replayMs = nowMs;
    this.#running?.producer.publish();
    this.#running?.producer.setVirtualTime(nowMs);
  }

  /** For replays: what has been recorded of windows that end by then is published when this resolves. @returns all there was. */
  async advance(toMs: number): Promise<CaptureCounts> {
    this.setClock(toMs);
    await this.started;
    const body: CaptureThreadBody = { operation: 'advance', toMs };
    return (await (this.#running as Running).link.ask(body)) as CaptureCounts;
  }

  /** Undoes it at once; resolves when what was recorded has been published. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#release();
    await this.started.catch(() => undefined);
    // It may have begun only now: its clients are not taken any more.
    this.#release();
    await this.#end();
  }

  async #begin(settings: Settings): Promise<void> {
    if (this.#stopped !== null) return;
    const { capture } = settings;
    const ring = createRingMemory(capture.ringSlots);
    const counters = new SharedArrayBuffer(4);
    const sampleSeed = randomInt(1, 2 ** 31);
    const setup: CaptureSetup = {
      settings,
      application: applicationOf(this.#options),
      ring,
      sampleSeed,
      counters,
      replayMs: this.#replayMs,
    };
    const thread = startThread(new URL('./capture-thread.ts', import.meta.url), { workerData: setup });
    // An application that has nothing else to do ends.
    thread.unref();
    const link = new ThreadLink('capture', thread, (error) => this.#letGo(error));
    const producer = new RingProducer(ring, {
      keyPrefixBytes: capture.keyPrefixBytes,
      keyHash: capture.keyHash,
      readClock: Date.now,
    });
    if (this.#replayMs !== null) producer.setVirtualTime(this.#replayMs);
    const timer = setInterval(() => this.#tick(), TICK_INTERVAL_MS);
    timer.unref();
    const running: Running = {
      ...{ settings, producer, thread, link, timer },
      sampler: new RunSampler(sampleSeed),
      counters: new Int32Array(counters),
    };
    this.#running = running;
    for (const client of this.#clients.keys()) this.#clients.set(client, this.#tap(client, running));
    await link.started;
  }

  #tap(client: object, { producer, sampler, settings }: Running): TappedClient {
    const tap = new QueryTap({
      producer,
      sampler,
      clientId: this.#clientCount++,
      partitionCount: settings.cluster.partitionCount,
      onFault: (error) => this.#letGo(error),
    });
    return { tap, undo: tapClient(client, tap) };
  }

  #tick(): void {
    const running = this.#running as Running;
    running.producer.tick();
    Atomics.store(running.counters, 0, this.#keylessCount() | 0);
  }

  #keylessCount(): number {
    let count = this.#keylessBefore;
    for (const tapped of this.#clients.values()) count += tapped?.tap.keylessCount ?? 0;
    return count;
  }

  /** Takes the hooks off. No client is touched from here on. */
  #release(): void {
    this.#keylessBefore = this.#keylessCount();
    for (const tapped of this.#clients.values()) if (tapped !== null) untap(tapped);
    this.#clients.clear();
  }

  async #end(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    clearInterval(running.timer);
    running.producer.publish();
    // It has something to do from now on: the application's end waits for it.
    running.thread.ref();
    await running.link.close();
  }

  /** A fault of ours: the application goes on without the capture, and is told. */
  #letGo(error: unknown): void {
    if (this.#fault !== null || this.#stopped !== null) return;
    const fault = describeFault(error);
    this.#fault = fault.fault;
    this.#logger.error({ ...fault }, 'the capture has let go of its clients, which go on as they were');
    try {
      this.#release();
      this.#options.onFault?.(error);
    } catch (further) {
      this.#logger.error({ ...describeFault(further) }, 'and failed while it did');
    }
    this.#end().catch(() => undefined);
  }
}

function untap({ tap, undo }: TappedClient): void {
  tap.isOpen = false;
  undo();
}

const applicationOf = ({ application = 'application' }: CaptureOptions): string => application;
