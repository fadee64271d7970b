import { hottest } from '../../../src/analyzer/patterns/hot-rows.ts';
import { HOURS_PER_WEEK, hourOfWeekName } from '../../../src/analyzer/patterns/hour-of-week.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MetadataEntry } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { type LatestHours, latestHours } from '../../host/records/latest-hours.ts';
import { decodeQueryHours, type QueryHoursRecord } from '../../host/records/query-hours-record.ts';
import { queryHoursPrefix } from '../../host/records/record-keys.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { printJson, printLine } from '../output.ts';
import { isWorthALine, rateText } from '../rate-text.ts';
import { durationText } from '../units-text.ts';
import { assertDataNode } from '../what-is-there.ts';
import { noWindowYet } from './no-window-yet.ts';

/** A table is for reading; --json has all there are. */
const LISTED_MAX = 20;

/**
 * `foreshard query-types --at 'mon 09:00' [--node N]`: which query types make a storage node, or all of them, hot in an hour of
 * the week. Summed over the query nodes and captured processes, as they published it when their last windows closed; those of an
 * earlier week count for hours that no later one was heard of.
 *
 * @throws ForeshardError FORESHARD_CONFIG for a node that there is not, FORESHARD_NOT_READY where nobody has published anything of that node, or the hour has never been watched.
 */
export function describeHotTypes(
  settings: Settings,
  options: { readonly hour: number; readonly nodeId: number | null; readonly isJson: boolean },
): Promise<void> {
  const { hour, nodeId, isJson } = options;
  return withMetadata(settings, async (metadata) => {
    const root = queryHoursPrefix(settings.cluster.name);
    const { entries } = await metadata.list(nodeId === null ? root : `${root}${nodeId}/`);
    // Of a node that has been removed there may still be something.
    if (nodeId !== null && entries.length === 0) await assertDataNode(metadata, settings, nodeId);
    const known = nodeRecords(entries, root).map(latestHours);
    const watchedHours = watchedCount(known);
    assertWatched(known, { hour, nodeId, settings });
    const types = hottest(hoursByTemplate(known), { hour, watchedHours }).map(({ of, ...hot }) => ({
      template: of,
      ...hot,
    }));
    const ratePerHour = types.reduce((sum, type) => sum + type.ratePerHour, 0);
    if (isJson)
      return printJson({ nodeId, hour: hourOfWeekName(hour), isUtc: true, watchedHours, ratePerHour, types });
    const who = nodeId === null ? 'all nodes' : `node ${nodeId}`;
    printLine(
      `${who}, ${hourOfWeekName(hour)} UTC: ${rateText(ratePerHour)} queries an hour (${watchedHours} of ${HOURS_PER_WEEK} hours of the week watched)`,
    );
    printLine('   share     an hour  usually an hour  query type');
    const listed = types.filter(isWorthALine);
    for (const type of listed.slice(0, LISTED_MAX))
      printLine(
        `${(100 * type.share).toFixed(1).padStart(6)} % ${rateText(type.ratePerHour).padStart(11)} ${rateText(type.usualRatePerHour).padStart(16)}  ${type.template}`,
      );
    if (listed.length > LISTED_MAX) printLine(`         and ${listed.length - LISTED_MAX} more`);
  });
}

/** Each storage node's by itself: what a process has told of one says nothing of when it was last heard of another. */
function nodeRecords(entries: readonly MetadataEntry[], root: string): QueryHoursRecord[][] {
  const byNode = new Map<string, QueryHoursRecord[]>();
  for (const { key, value } of entries) {
    const node = key.slice(root.length, key.indexOf('/', root.length));
    byNode.set(node, [...(byNode.get(node) ?? []), decodeQueryHours(key, value)]);
  }
  return [...byNode.values()];
}

function hoursByTemplate(known: readonly LatestHours[]): { of: string; hours: Float64Array }[] {
  const sums = new Map<string, Float64Array>();
  for (const { types } of known)
    for (const { template, hours } of types) {
      const sum = sums.get(template) ?? new Float64Array(HOURS_PER_WEEK);
      for (let h = 0; h < HOURS_PER_WEEK; h++) sum[h] = (sum[h] as number) + (hours[h] as number);
      sums.set(template, sum);
    }
  return [...sums].map(([of, hours]) => ({ of, hours }));
}

const isWatchedIn = (known: readonly LatestHours[], hour: number): boolean =>
  known.some(({ watched }) => watched[hour] === '1');

const watchedCount = (known: readonly LatestHours[]): number =>
  Array.from({ length: HOURS_PER_WEEK }, (_, hour) => isWatchedIn(known, hour)).filter(Boolean).length;

function assertWatched(
  records: readonly LatestHours[],
  { hour, nodeId, settings }: { hour: number; nodeId: number | null; settings: Settings },
): void {
  if (isWatchedIn(records, hour)) return;
  if (records.length === 0 && nodeId === null) throw noWindowYet(settings);
  const why =
    records.length > 0
      ? `no query node has run at ${hourOfWeekName(hour)} UTC yet`
      : `nothing has been published of storage node ${nodeId}: it owns no partition, or no window (analyzer.windowMs, ${durationText(settings.analyzer.windowMs)}) has been closed yet`;
  throw new ForeshardError('FORESHARD_NOT_READY', 'wait', why);
}
