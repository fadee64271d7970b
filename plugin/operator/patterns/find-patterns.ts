import { hourOfWeekName } from '../../../src/analyzer/patterns/hour-of-week.ts';
import { PATTERN_DEFAULTS, PatternAnalyzer } from '../../../src/analyzer/patterns/pattern-analyzer.ts';
import { contiguousMap } from '../../../src/model/partition-map.ts';
import type { Settings } from '../../../src/settings.ts';
import type { LogReading } from '../../logs/read-log.ts';
import { openPostgresParser } from '../../templates/postgres-sql.ts';
import { LogProgress } from '../log-input/log-progress.ts';
import { openLog, partitionOfKey, weekWindowOf } from '../log-input/open-log.ts';
import type { PatternFlags } from './flags.ts';
import { SeasonFinder } from './log-seasons.ts';
import type { HotNode, PatternFindings } from './patterns-table.ts';

/** Of the types that make a node hot: for reading. */
const HOT_TYPES_MAX = 10;

/** All that is found in a query log, and how reading it went. @throws ForeshardError as `readLog` does, and on flags. */
export async function findPatterns(
  from: string | AsyncIterable<Uint8Array>,
  flags: PatternFlags,
  { cluster }: Pick<Settings, 'cluster'>,
): Promise<PatternFindings> {
  const windowMs = weekWindowOf(flags.window);
  const partitionCount = flags.partitions ?? cluster.partitionCount;
  const nodeCount = flags.nodes ?? cluster.storageNodeCount;
  const { ownerOf } = contiguousMap(partitionCount, nodeCount);
  const reading = openLog(from, flags);
  const seasons = new SeasonFinder({ windowMs, windowsMax: PATTERN_DEFAULTS.seriesWindowsMax });
  const analyzer = await analyse(reading, flags, (sql) => ({
    seasons,
    patterns: new PatternAnalyzer(
      { windowMs, partitionCount },
      { sql, ownerOf, partitionOf: (key) => partitionOfKey(key, partitionCount) },
    ),
  }));
  const report = analyzer.finish();
  const log = reading.summary();
  return {
    log: { ...log, skippedReasons: Object.fromEntries(log.skippedReasons) },
    partitionCount,
    nodeCount,
    seasons: seasons.finish(),
    hour: flags.hour === undefined ? null : hourOfWeekName(flags.hour),
    isHourWatched: flags.hour !== undefined && analyzer.watchedHours.has(flags.hour),
    hotNodes: flags.hour === undefined ? [] : hotNodes(analyzer, flags.hour, ownerOf, nodeCount),
    ...report,
  };
}

type Analysers = { readonly seasons: SeasonFinder; readonly patterns: PatternAnalyzer };

/** The parser of SQL is large: it is loaded when a log turns out to hold some. */
async function analyse(
  reading: LogReading,
  flags: PatternFlags,
  open: (sql: Awaited<ReturnType<typeof openPostgresParser>> | undefined) => Analysers,
): Promise<PatternAnalyzer> {
  const progress = LogProgress.onStandardError(reading, flags);
  let analysers: Analysers | undefined;
  try {
    for await (const { records } of reading) {
      const hasSql = records.some(({ kind }) => kind === 'sql');
      analysers ??= open(hasSql ? await openPostgresParser() : undefined);
      for (const record of records) {
        analysers.seasons.add(record.timeMs);
        analysers.patterns.add(record);
      }
      progress.update();
    }
  } finally {
    progress.end();
  }
  // A log without any record has ended in an error.
  return (analysers as Analysers).patterns;
}

function hotNodes(
  analyzer: PatternAnalyzer,
  hour: number,
  ownerOf: Int32Array,
  nodeCount: number,
): HotNode[] {
  return Array.from({ length: nodeCount }, (_, nodeId) => {
    const types = analyzer.hotTypes(hour, (partition) => ownerOf[partition] === nodeId);
    const ratePerHour = types.reduce((sum, type) => sum + type.ratePerHour, 0);
    return { nodeId, ratePerHour, types: types.slice(0, HOT_TYPES_MAX) };
  });
}
