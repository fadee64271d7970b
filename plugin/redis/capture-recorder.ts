import type { ProfileBuilder } from '../../src/analyzer/profile.ts';
import type { Clock } from '../../src/base/clock.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { RingSource } from '../capture/ring-source.ts';
import { PUBLISH_LATE_MS_MAX, type WindowLoad } from '../host/analysis/profile-ledger.ts';
import type { ProfilePublisher } from '../host/analysis/profile-publisher.ts';
import type { QueryTypesPublisher } from '../host/analysis/query-types-publisher.ts';
import { REDIS_COMMANDS, type RedisCommand } from './commands.ts';
import { LatencyBuckets } from './latency-buckets.ts';
import { encodePulse, type PulseRecord } from './pulse-record.ts';
import { type RunSampler, SAMPLE_WEIGHT } from './run-sampler.ts';

/** Windows are closed a little late: their last records are still in the ring. */
const CLOSE_DELAY_MS = 2_000;
/** The open window is written this often, so that a process that is killed loses no more. */
const OPEN_WINDOW_INTERVAL_MS = 15_000;
const QUERY_TYPES_INTERVAL_MS = 60_000;
const COSTS_INTERVAL_MS = 60_000;

/** Who records. */
export type Recorder = Pick<PulseRecord, 'application' | 'host' | 'pid' | 'startedMs'> & {
  readonly captureId: number;
};

export interface RecorderComponents {
  /** By which windows close: a replay's, where there is one. */
  readonly clock: Clock;
  /** By which pulses beat, in a replay as well. */
  readonly machineClock: Clock;
  readonly logger: Logger;
  readonly source: RingSource;
  readonly sampler: RunSampler;
  readonly builder: ProfileBuilder;
  readonly publisher: ProfilePublisher;
  readonly queryTypes: QueryTypesPublisher;
  readonly metadata: Pick<MetadataStore, 'commit'>;
  /** Such as `/foreshard/v1/main/capture/`. */
  readonly pulsePrefix: string;
  /** f64[command]: what each costs the servers, where an agent has told. */
  readonly commandCosts: () => Promise<Float64Array | undefined>;
  readonly keylessCount: () => number;
  /** Owner by partition, where somebody keeps a map of this cluster. */
  readonly ownerOf: () => Promise<ArrayLike<number>>;
}

/**
 * What becomes of the records of an application: load by partition and window, query types, hot keys and a pulse, all in the
 * metadata store, where they stand beside those of query nodes. The store may be out of reach for a while: the counts wait.
 */
export class CaptureRecorder {
  readonly #recorder: Recorder;
  readonly #windowMs: number;
  readonly #components: RecorderComponents;
  readonly #latency = new LatencyBuckets();
  #unpublished: WindowLoad[] = [];
  #capturedCount = 0;
  #droppedCount = 0;
  #pulseMs: number;
  #openWindowMs: number;
  #queryTypesMs: number;
  #costsMs = Number.NEGATIVE_INFINITY;
  #commandCosts: Float64Array | undefined;

  constructor(recorder: Recorder, windowMs: number, components: RecorderComponents) {
    this.#recorder = recorder;
    this.#windowMs = windowMs;
    this.#components = components;
    const nowMs = components.clock.nowMs();
    this.#pulseMs = components.machineClock.nowMs();
    this.#openWindowMs = nowMs;
    this.#queryTypesMs = nowMs;
    components.builder.closeUntil(nowMs);
  }

  /** Takes in what the application has asked since the last call. */
  drain(): void {
    const { source, builder, queryTypes, clock, sampler } = this.#components;
    const { recordCount, droppedCount } = source.drainSampled({
      onLoad: (timeMs, partitionId, commandIndex, latencyUs, requestBytes, replyBytes) => {
        const { isWrite, isBlocking } = REDIS_COMMANDS[commandIndex] as RedisCommand;
        const commandUs = this.#commandCosts?.[commandIndex];
        builder.addLoad(timeMs, partitionId, isWrite, requestBytes, replyBytes, latencyUs, commandUs);
        if (!isBlocking) this.#latency.add(latencyUs);
      },
      isSampled: () => sampler.next(),
      onSample: (record) => {
        builder.addPattern(record, SAMPLE_WEIGHT);
        queryTypes.observe(record);
      },
    });
    const nowMs = clock.nowMs();
    queryTypes.endBatch(nowMs);
    builder.addDropped(droppedCount, nowMs);
    this.#capturedCount += recordCount;
    this.#droppedCount += droppedCount;
    this.#close(nowMs - CLOSE_DELAY_MS);
  }

  /** Publishes what is due. @throws ForeshardError when the store cannot be reached; nothing is lost then. */
  async publish(): Promise<void> {
    const { clock } = this.#components;
    const nowMs = clock.nowMs();
    await this.pulse(null);
    if (nowMs - this.#costsMs >= COSTS_INTERVAL_MS) {
      this.#commandCosts = (await this.#components.commandCosts()) ?? this.#commandCosts;
      this.#costsMs = nowMs;
    }
    await this.#publishClosed(nowMs);
    if (nowMs - this.#openWindowMs >= OPEN_WINDOW_INTERVAL_MS) {
      await this.#publishOpen();
      this.#openWindowMs = nowMs;
    }
    if (nowMs - this.#queryTypesMs >= QUERY_TYPES_INTERVAL_MS) {
      await this.#publishQueryTypes(nowMs);
      this.#queryTypesMs = nowMs;
    }
  }

  /** Publishes the windows that end by then: a replay says that it is so late. */
  async advance(toMs: number): Promise<{ readonly capturedCount: number; readonly droppedCount: number }> {
    this.drain();
    this.#close(toMs);
    await this.#publishClosed(toMs);
    await this.#publishQueryTypes(toMs);
    return { capturedCount: this.#capturedCount, droppedCount: this.#droppedCount };
  }

  /** Says that the process is there, and how its queries fare. */
  async pulse(fault: string | null): Promise<void> {
    const { machineClock, metadata, pulsePrefix, keylessCount } = this.#components;
    const { captureId, ...who } = this.#recorder;
    const atMs = machineClock.nowMs();
    const intervalMs = atMs - this.#pulseMs;
    this.#pulseMs = atMs;
    const value = encodePulse({
      v: 1,
      atMs,
      ...who,
      fault,
      capturedCount: this.#capturedCount,
      droppedCount: this.#droppedCount,
      keylessCount: keylessCount(),
      intervalMs,
      latency: this.#latency.take(),
    });
    await metadata.commit({
      conditions: [],
      writes: [{ kind: 'put', key: `${pulsePrefix}${captureId}`, value }],
    });
  }

  /** The application lets go: what was counted of the window that is open is its part of that window. */
  async finish(fault: string | null): Promise<void> {
    this.drain();
    const nowMs = this.#components.clock.nowMs();
    this.#close(nowMs + this.#windowMs);
    await this.#publishClosed(nowMs);
    await this.#publishQueryTypes(nowMs);
    await this.pulse(fault);
  }

  #close(toMs: number): void {
    const { builder, queryTypes, logger } = this.#components;
    const segments = builder.closeUntil(toMs);
    if (segments.length === 0) return;
    queryTypes.add(segments).catch((error: unknown) => {
      logger.warn({ fault: (error as Error).message }, 'a window of query types was not counted');
    });
    this.#unpublished.push(...segments.map((segment) => this.#windowOf(segment)));
  }

  async #publishClosed(nowMs: number): Promise<void> {
    const oldestMs = nowMs - PUBLISH_LATE_MS_MAX - this.#windowMs;
    const late = this.#unpublished.filter(({ startMs }) => startMs < oldestMs);
    if (late.length > 0) {
      const { logger } = this.#components;
      logger.warn({ windows: late.length }, 'windows of load were given up: the metadata store was away');
      this.#unpublished = this.#unpublished.filter(({ startMs }) => startMs >= oldestMs);
    }
    const windows = this.#unpublished;
    if (windows.length === 0) return;
    await this.#components.publisher.publish(windows);
    this.#unpublished = this.#unpublished.filter((window) => !windows.includes(window));
  }

  async #publishOpen(): Promise<void> {
    const { builder, publisher } = this.#components;
    await publisher.publish(
      builder
        .openSegments()
        .filter(({ recordCount }) => recordCount > 0)
        .map((segment) => this.#windowOf(segment)),
    );
  }

  async #publishQueryTypes(atMs: number): Promise<void> {
    const { queryTypes, ownerOf } = this.#components;
    await queryTypes.publish({ atMs, droppedCount: this.#droppedCount, ownerOf: await ownerOf() });
  }

  #windowOf(segment: ReturnType<ProfileBuilder['openSegments']>[number]): WindowLoad {
    const { startMs, values, recordCount, droppedCount } = segment;
    return {
      startMs,
      queryNodeId: this.#recorder.captureId,
      values,
      capturedCount: recordCount,
      droppedCount,
    };
  }
}

/** Whether it is the world that is at fault, and the next turn may fare better. */
export const isWorldly = (error: unknown): error is ForeshardError => error instanceof ForeshardError;
