import { HOURS_PER_WEEK } from '../../../src/analyzer/patterns/hour-of-week.ts';
import type {
  AssociationReport,
  HotType,
  PairReport,
  PatternReport,
} from '../../../src/analyzer/patterns/pattern-report.ts';
import type { LogSummary } from '../../logs/log-record.ts';
import { describeMs } from '../../logs/series/regular-grid.ts';
import { isWorthALine, rateText } from '../rate-text.ts';
import { counted } from '../units-text.ts';
import type { FoundSeason, LogSeasons } from './log-seasons.ts';

/** The types that bring most to one storage node in one hour of the week. */
export interface HotNode {
  readonly nodeId: number;
  /** Of all types. */
  readonly ratePerHour: number;
  readonly types: readonly HotType[];
}

export interface PatternFindings extends PatternReport {
  readonly log: Omit<LogSummary, 'skippedReasons'> & {
    /** Lines by reason. */
    readonly skippedReasons: Readonly<Record<string, number>>;
  };
  readonly partitionCount: number;
  readonly nodeCount: number;
  readonly seasons: LogSeasons;
  readonly hour: string | null;
  /** Whether the log has that hour at all. */
  readonly isHourWatched: boolean;
  readonly hotNodes: readonly HotNode[];
}

/** Lists are for reading; --json has all there is. */
const TEMPLATES_LISTED = 15;
const CLUSTERS_LISTED = 8;
const MEMBERS_LISTED = 3;
const FINDINGS_LISTED = 8;
const TEXT_COLUMNS = 70;

/** What was found, for people. */
export function* patternLines(found: PatternFindings): Generator<string> {
  const { log, recordCount } = found;
  yield `${recordCount} queries (${log.format}${log.compression === 'none' ? '' : `, ${log.compression}`}), ${isoOf(found.startMs)} to ${isoOf(found.endMs)}; ${counted(log.badCount, 'bad line')}, ${log.skippedCount} that are no query`;
  yield* seasonLines(found);
  yield* templateLines(found);
  yield* clusterLines('templates that come at the same hours', found.clusters.shape, found);
  yield* clusterLines('templates about the same things', found.clusters.terms, found);
  const { partitions, nodes, clients } = found.associations;
  yield* associationLines('partitions', 'partition', partitions, found);
  yield* associationLines(
    `storage nodes (${counted(found.partitionCount, 'partition')} dealt out to ${found.nodeCount})`,
    'node',
    nodes,
    found,
  );
  yield* associationLines('clients', 'client', clients, found);
  yield* pairLines('partitions in one query', '+', found.coAccess.together);
  yield* pairLines('partitions of one client, soon after each other', '+', found.coAccess.sameClient);
  yield* pairLines("a client's next query", '->', found.coAccess.next);
  yield* hotLines(found);
}

function* seasonLines({ seasons }: PatternFindings): Generator<string> {
  const { all, levelShifts, outages, windowCount, windowMs } = seasons;
  yield `seasons, in ${windowCount} windows of ${describeMs(windowMs)}: ${all.length === 0 ? 'none found' : seasonsText(all)}`;
  for (const { atMs, factor } of levelShifts.slice(0, FINDINGS_LISTED))
    yield `  from ${isoOf(atMs)} on ${factor.toFixed(2)} times as much`;
  for (const { startMs, endMs } of outages.slice(0, FINDINGS_LISTED))
    yield `  outage from ${isoOf(startMs)} to ${isoOf(endMs)}`;
}

const seasonsText = (seasons: readonly Pick<FoundSeason, 'periodMs' | 'strength'>[]): string =>
  seasons
    .map(({ periodMs, strength }) => `${describeMs(periodMs)} (${percent(strength)} of the variance)`)
    .join(', ');

function* templateLines({ templates }: PatternFindings): Generator<string> {
  yield `${counted(templates.length, 'template')}:`;
  for (const { text, share, count, writeShare, latencyMsMean } of templates.slice(0, TEMPLATES_LISTED)) {
    const latency = latencyMsMean === null ? '' : `, ${Number(latencyMsMean.toPrecision(3))} ms`;
    yield `${percent(share).padStart(9)}  ${shortened(text)}: ${count} queries, ${percent(writeShare)} writes${latency}`;
  }
  if (templates.length > TEMPLATES_LISTED) yield `           and ${templates.length - TEMPLATES_LISTED} more`;
}

function* clusterLines(
  title: string,
  clusters: PatternReport['clusters']['shape'],
  { templates, windowMs }: PatternFindings,
): Generator<string> {
  if (clusters.length === 0) return;
  const textOf = new Map(templates.map(({ id, text }) => [id, text]));
  yield `${counted(clusters.length, 'cluster')} of ${title}:`;
  for (const { name, share, peakHour, templateIds, seasons } of clusters.slice(0, CLUSTERS_LISTED)) {
    const members = templateIds.slice(0, MEMBERS_LISTED).map((id) => shortened(textOf.get(id) ?? id));
    const more =
      templateIds.length > MEMBERS_LISTED ? `, and ${templateIds.length - MEMBERS_LISTED} more` : '';
    yield `${percent(share).padStart(9)}  ${name}${peakHour === null ? '' : `, most on ${peakHour}`}: ${members.join(', ')}${more}`;
    if (seasons.length > 0)
      yield `           ${seasonsText(seasons.map(({ period, strength }) => ({ periodMs: period * windowMs, strength })))}`;
  }
  if (clusters.length > CLUSTERS_LISTED) yield `           and ${clusters.length - CLUSTERS_LISTED} more`;
}

function* associationLines(
  title: string,
  partner: string,
  associations: readonly AssociationReport[],
  { falseDiscoveryRate }: PatternFindings,
): Generator<string> {
  if (associations.length === 0) return;
  yield `templates and ${title}: ${associations.length} found more often than chance (at most ${percent(falseDiscoveryRate)} by mistake):`;
  for (const { template, partner: name, lift, recentCount } of associations.slice(0, FINDINGS_LISTED))
    yield `  ${shortened(template)} -> ${partner} ${name}: ${lift.toFixed(1)} times as often as expected (${Math.round(recentCount)} queries)`;
  yield* moreThan(associations);
}

function* pairLines(title: string, sign: string, pairs: readonly PairReport[]): Generator<string> {
  if (pairs.length === 0) return;
  yield `${title}: ${counted(pairs.length, 'pair')} found more often than chance:`;
  for (const { partitionA, partitionB, lift, recentCount } of pairs.slice(0, FINDINGS_LISTED))
    yield `  ${partitionA} ${sign} ${partitionB}: ${lift.toFixed(1)} times as often as expected (${Math.round(recentCount)} times)`;
  yield* moreThan(pairs);
}

function* moreThan({ length }: readonly unknown[]): Generator<string> {
  if (length > FINDINGS_LISTED) yield `  and ${length - FINDINGS_LISTED} more`;
}

function* hotLines({ hour, isHourWatched, watchedHours, hotNodes }: PatternFindings): Generator<string> {
  if (hour === null) return;
  if (!isHourWatched) {
    yield `nodes on ${hour}: unknown, the log has no such hour (it has ${watchedHours} of the ${HOURS_PER_WEEK} hours of a week)`;
    return;
  }
  for (const { nodeId, types, ratePerHour: rate } of hotNodes) {
    yield `node ${nodeId} on ${hour}: ${rate === 0 ? 'no query with a key' : `${rateText(rate)} queries an hour`}`;
    for (const { template, share, ratePerHour, usualRatePerHour } of types
      .filter(isWorthALine)
      .slice(0, MEMBERS_LISTED))
      yield `${percent(share).padStart(9)}  ${shortened(template)}: ${rateText(ratePerHour)} an hour, usually ${rateText(usualRatePerHour)}`;
  }
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const isoOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16)}Z`;

/** On one line, whatever a template holds. */
function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length <= TEXT_COLUMNS ? line : `${line.slice(0, TEXT_COLUMNS - 1)}…`;
}
