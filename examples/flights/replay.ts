import type { MigrationStatusReport } from '../../plugin/host/control-messages.ts';
import type { LoadGenerator } from './load-generator.ts';
import type { Progress } from './progress.ts';
import type { ReplayCluster } from './replay-cluster.ts';

export const HOUR_MS = 3_600_000;
/** How often it is asked whether migrations are open: latencies are told apart by it. */
const STATUS_INTERVAL_MS = 60;
/** Migrations still open when the log ends get this long to finish. */
const SETTLE_MS_MAX = 20_000;

export interface LiveFigures {
  /** i32[hour][partition]: who owned each partition at the start of each live hour. */
  readonly ownerOfByHour: Int32Array;
  /** f64[window][partition], history included. */
  readonly queries: Float64Array;
  readonly done: number;
  readonly aborted: number;
  readonly abortReasons: MigrationStatusReport['abortReasons'];
  /** Migrations open, and moves waiting, when the time to settle was over. */
  readonly leftOpen: number;
  readonly movedBytes: number;
  readonly captured: number;
  readonly dropped: number;
  readonly peakMemoryBytes: number;
  readonly queryTypes: Awaited<ReturnType<ReplayCluster['queryTypes']>>;
}

/**
 * Plays the live days: each hour's departures against the cluster on a virtual clock, and, beside the next hour's traffic,
 * the cycle that plans for what follows. Migrations run under that load.
 */
export async function playLiveDays(options: {
  readonly cluster: ReplayCluster;
  readonly generator: LoadGenerator;
  readonly progress: Progress;
  readonly liveStartMs: number;
  readonly hourCount: number;
  readonly hourMs: number;
  /** Between two plans. */
  readonly cycleHours: number;
  readonly partitionCount: number;
  readonly capacity: number;
  readonly nodeCount: number;
  readonly openMigrations: { count: number };
}): Promise<LiveFigures> {
  const { cluster, generator, progress, liveStartMs, hourCount, hourMs, cycleHours } = options;
  const { partitionCount, nodeCount } = options;
  const ownerOfByHour = new Int32Array(hourCount * partitionCount);
  let peakMemoryBytes = 0;
  let doneCount = 0;
  let isPlaying = true;

  const watching = (async () => {
    while (isPlaying) {
      const status = await cluster.migrationStatus();
      // Between SWITCHED and the end nothing is in a client's way any more but a slow removal.
      options.openMigrations.count = status.open.filter(({ phase }) => phase !== 'GRACE').length;
      doneCount = status.doneCount;
      peakMemoryBytes = Math.max(peakMemoryBytes, cluster.memoryBytes() + process.memoryUsage().rss);
      await sleep(STATUS_INTERVAL_MS);
    }
  })();

  let planning: Promise<unknown> | null = null;
  for (let hour = 0; hour < hourCount; hour++) {
    const ownerOf = await cluster.owners();
    ownerOfByHour.set(ownerOf, hour * partitionCount);
    const figures = await generator.playHour(hour, hourMs);
    // The cycle of the hour before must be over: one clock, one cycle at a time.
    await planning;
    const nextHourMs = liveStartMs + (hour + 1) * HOUR_MS;
    // The clock has to stand at the next hour before its first query; the plan may come later.
    await cluster.setClock(nextHourMs);
    planning = cluster.advance(nextHourMs, { isCycleSkipped: (hour + 1) % cycleHours !== 0 });
    const sent = generator.sent.subarray(hour * partitionCount, (hour + 1) * partitionCount);
    progress.update({
      day: Math.floor(hour / 24) + 1,
      hour: hour % 24,
      ...figures,
      utilisation: utilisationOf({ sent, ownerOf, nodeCount, capacity: options.capacity }),
      openMigrations: options.openMigrations.count,
      doneMigrations: doneCount,
    });
  }
  await planning;
  progress.end();

  const status = await settled(cluster);
  isPlaying = false;
  await watching;
  const queries = await cluster.measuredQueries();
  const capture = await cluster.captured();
  return {
    ownerOfByHour,
    queries,
    done: status.doneCount,
    aborted: status.abortedCount,
    abortReasons: status.abortReasons,
    leftOpen: status.open.length + status.queuedCount,
    movedBytes: status.movedBytes,
    captured: capture.capturedCount,
    dropped: capture.droppedCount,
    peakMemoryBytes,
    queryTypes: await cluster.queryTypes(),
  };
}

async function settled(cluster: ReplayCluster): Promise<MigrationStatusReport> {
  const deadlineMs = performance.now() + SETTLE_MS_MAX;
  for (;;) {
    const status = await cluster.migrationStatus();
    const isQuiet = status.open.length === 0 && status.queuedCount === 0;
    if (isQuiet || performance.now() > deadlineMs) return status;
    await sleep(STATUS_INTERVAL_MS);
  }
}

function utilisationOf({
  sent,
  ownerOf,
  nodeCount,
  capacity,
}: {
  sent: Float64Array;
  ownerOf: Int32Array;
  nodeCount: number;
  capacity: number;
}): Float64Array {
  const utilisation = new Float64Array(nodeCount);
  for (let p = 0; p < ownerOf.length; p++) utilisation[ownerOf[p]] += sent[p] / capacity;
  return utilisation;
}

const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));
