/**
 * The worker thread of a captured application: drains the ring and publishes what it counted, so that the application's own
 * event loop does neither. In a replay it is told how late it is.
 */
import { randomInt } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { QUERY_TYPE_DEFAULTS } from '../../src/analyzer/patterns/query-types.ts';
import { PROFILE_DEFAULTS, ProfileBuilder } from '../../src/analyzer/profile.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { Settings } from '../../src/settings.ts';
import type { RingMemory } from '../capture/ring.ts';
import { RingSource } from '../capture/ring-source.ts';
import { AnalysisClock } from '../host/analysis/analysis-clock.ts';
import { ProfileLedger } from '../host/analysis/profile-ledger.ts';
import { ProfilePublisher } from '../host/analysis/profile-publisher.ts';
import { QueryTypesPublisher } from '../host/analysis/query-types-publisher.ts';
import { createLogger } from '../host/pino-logger.ts';
import {
  capturePrefix,
  hotKeysPrefix,
  profilePrefix,
  queryClustersPrefix,
  queryHoursPrefix,
  queryTypesPrefix,
} from '../host/records/record-keys.ts';
import { ClusterMapReader, NO_OWNER } from '../metadata/cluster-map.ts';
import { openMetadata } from '../metadata/open.ts';
import { type RunningThread, reportFault, runThread } from '../threads/thread-main.ts';
import { CAPTURE_ID_END, CAPTURE_ID_MIN } from './capture-ids.ts';
import { CaptureRecorder, isWorldly } from './capture-recorder.ts';
import { tryCommandCosts } from './command-costs.ts';
import { REDIS_COMMANDS } from './commands.ts';
import { PULSE_INTERVAL_MS } from './pulse-record.ts';
import { RunSampler, SAMPLE_WEIGHT } from './run-sampler.ts';

export interface CaptureSetup {
  readonly settings: Pick<Settings, 'cluster' | 'metadata' | 'capture' | 'analyzer' | 'node'>;
  readonly application: string;
  readonly ring: RingMemory;
  /** Of the sample: see RunSampler. */
  readonly sampleSeed: number;
  /** i32[1]: commands without a key, counted by the application's thread. */
  readonly counters: SharedArrayBuffer;
  /** The time at which a replay begins; null without one. */
  readonly replayMs: number | null;
}

/** Closes and publishes the windows that end by then; answered with CaptureCounts. */
export interface CaptureThreadBody {
  readonly operation: 'advance';
  readonly toMs: number;
}

/** Since the capture began. */
export interface CaptureCounts {
  readonly capturedCount: number;
  readonly droppedCount: number;
}

/** An application that ends waits no longer for a store that does not answer. */
const FINISH_MS_MAX = 1_500;

async function start(setup: CaptureSetup): Promise<RunningThread> {
  const { settings, application } = setup;
  const { cluster, capture } = settings;
  const logger = createLogger({
    level: settings.node.logLevel,
    fields: { role: 'captured', application, cluster: cluster.name },
  });
  // It watches nothing: there is nothing to look for forty times a second.
  const metadata = openMetadata(settings.metadata, { pollMs: PULSE_INTERVAL_MS });
  const clock = new AnalysisClock();
  if (setup.replayMs !== null) clock.setVirtual(setup.replayMs);
  const recorder = newRecorder(setup, { clock, metadata, logger });
  const guard = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      reportFault(error);
    }
  };
  const drainTimer = setInterval(() => guard(() => recorder.drain()), capture.drainIntervalMs);
  // The windows of a replay end when it says so.
  const publish = (): Promise<void> => (clock.isVirtual ? recorder.pulse(null) : recorder.publish());
  const publishing = new Repeated(PULSE_INTERVAL_MS, publish, logger);
  return {
    respond: (body): Promise<CaptureCounts> => {
      const { toMs } = body as CaptureThreadBody;
      clock.setVirtual(toMs);
      return recorder.advance(toMs);
    },
    async close() {
      clearInterval(drainTimer);
      await publishing.stop();
      const finished = recorder.finish(null).catch((error: unknown) => {
        if (!isWorldly(error)) throw error;
        logger.warn({ fault: error.message }, 'the last counts could not be published');
      });
      // The application wants to end; a store that does not answer must not keep it.
      await Promise.race([finished, sleep(FINISH_MS_MAX, undefined, { ref: false })]);
      await metadata.close();
    },
  };
}

function newRecorder(
  setup: CaptureSetup,
  {
    clock,
    metadata,
    logger,
  }: { readonly clock: Clock; readonly metadata: MetadataStore; readonly logger: Logger },
): CaptureRecorder {
  const { settings, application, ring } = setup;
  const { name, partitionCount } = settings.cluster;
  const { windowMs } = settings.analyzer;
  const captureId = randomInt(CAPTURE_ID_MIN, CAPTURE_ID_END);
  const machineClock = systemClock();
  const counters = new Int32Array(setup.counters);
  const mapReader = new ClusterMapReader(metadata, name);
  return new CaptureRecorder(
    { application, host: hostname(), pid: process.pid, startedMs: machineClock.nowMs(), captureId },
    windowMs,
    {
      clock,
      machineClock,
      logger,
      metadata,
      source: new RingSource(ring, REDIS_COMMANDS),
      sampler: new RunSampler(setup.sampleSeed),
      builder: new ProfileBuilder({
        ...PROFILE_DEFAULTS,
        source: application,
        windowMs,
        partitionCount,
        graceMs: 0,
      }),
      publisher: new ProfilePublisher({
        metadata,
        ledger: new ProfileLedger({ windowMs, partitionCount, windowsMax: 1 }),
        prefix: profilePrefix(name),
        logger,
      }),
      queryTypes: new QueryTypesPublisher(
        {
          ...QUERY_TYPE_DEFAULTS,
          windowMs,
          partitionCount,
          queryNodeId: captureId,
          queriesPerRecord: SAMPLE_WEIGHT,
        },
        {
          metadata,
          prefixes: {
            types: queryTypesPrefix(name),
            hours: queryHoursPrefix(name),
            clusters: queryClustersPrefix(name),
            hotKeys: hotKeysPrefix(name),
          },
        },
      ),
      pulsePrefix: capturePrefix(name),
      commandCosts: () => tryCommandCosts(metadata, name),
      keylessCount: () => Atomics.load(counters, 0) >>> 0,
      // Nobody may have written a map: then it is not known which node a query type burdens.
      ownerOf: async () => {
        try {
          return (await mapReader.load()).map.ownerOf;
        } catch (error) {
          if (!isWorldly(error)) throw error;
          return new Int32Array(partitionCount).fill(NO_OWNER);
        }
      },
    },
  );
}

/** Work on a timer, one at a time. What the world did is said once, until it works again; a bug of ours ends the capture. */
class Repeated {
  readonly #timer: NodeJS.Timeout;
  readonly #logger: Logger;
  #running: Promise<void> | null = null;
  #isAway = false;

  constructor(intervalMs: number, work: () => Promise<void>, logger: Logger) {
    this.#logger = logger;
    this.#timer = setInterval(() => {
      this.#running ??= this.#run(work).finally(() => {
        this.#running = null;
      });
    }, intervalMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #run(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      if (this.#isAway) this.#logger.info({}, 'the metadata store answers again');
      this.#isAway = false;
    } catch (error) {
      if (!isWorldly(error)) return reportFault(error);
      if (!this.#isAway)
        this.#logger.warn({ fault: error.message }, 'the metadata store cannot be reached, counts wait');
      this.#isAway = true;
    }
  }
}

void runThread(() => start(workerData as CaptureSetup));
