import { hottest } from '../../src/analyzer/patterns/hot-rows.ts';
import { HOURS_PER_WEEK, hourOfWeekName } from '../../src/analyzer/patterns/hour-of-week.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Settings } from '../../src/settings.ts';
import { decodeQueryHours, type QueryHoursRecord, unpackHours } from '../host/query-hours-record.ts';
import { queryHoursPrefix } from '../host/record-keys.ts';
import { withMetadata } from './cluster-commands.ts';
import { printJson, printLine } from './output.ts';
import { isWorthALine, rateText } from './rate-text.ts';

/** A table is for reading; --json has all there are. */
const LISTED_MAX = 20;

/**
 * `foreshard query-types --at 'mon 09:00' [--node N]`: which query types make a storage node, or all of them, hot in an hour of
 * the week. Summed over the query nodes, as they published it when their last windows closed.
 *
 * @throws ForeshardError FORESHARD_NOT_READY where nobody has published anything of that node, or the hour has never been watched.
 */
export function describeHotTypes(
  settings: Settings,
  options: { readonly hour: number; readonly nodeId: number | null; readonly isJson: boolean },
): Promise<void> {
  const { hour, nodeId, isJson } = options;
  return withMetadata(settings, async (metadata) => {
    const root = queryHoursPrefix(settings.cluster.name);
    const { entries } = await metadata.list(nodeId === null ? root : `${root}${nodeId}/`);
    const records = entries.map(({ key, value }) => decodeQueryHours(key, value));
    const watchedHours = watchedHoursOf(records);
    assertWatched(records, { hour, nodeId, windowMs: settings.analyzer.windowMs });
    const types = hottest(hoursByTemplate(records), { hour, watchedHours }).map(({ of, ...hot }) => ({
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

function hoursByTemplate(records: readonly QueryHoursRecord[]): { of: string; hours: Float64Array }[] {
  const sums = new Map<string, Float64Array>();
  for (const { types } of records)
    for (const type of types) {
      const sum = sums.get(type.template) ?? new Float64Array(HOURS_PER_WEEK);
      const hours = unpackHours(type);
      for (let h = 0; h < HOURS_PER_WEEK; h++) sum[h] = (sum[h] as number) + (hours[h] as number);
      sums.set(type.template, sum);
    }
  return [...sums].map(([of, hours]) => ({ of, hours }));
}

const isWatchedIn = (records: readonly QueryHoursRecord[], hour: number): boolean =>
  records.some(({ watched }) => watched[hour] === '1');

const watchedHoursOf = (records: readonly QueryHoursRecord[]): number =>
  Array.from({ length: HOURS_PER_WEEK }, (_, hour) => isWatchedIn(records, hour)).filter(Boolean).length;

function assertWatched(
  records: readonly QueryHoursRecord[],
  { hour, nodeId, windowMs }: { hour: number; nodeId: number | null; windowMs: number },
): void {
  if (isWatchedIn(records, hour)) return;
  const why =
    records.length > 0
      ? `no query node has run at ${hourOfWeekName(hour)} UTC yet`
      : nodeId === null
        ? `no window has been closed yet: a query node has to run for analyzer.windowMs (${windowMs} ms)`
        : `nothing has been published of storage node ${nodeId}: it owns no partition, or no window (analyzer.windowMs, ${windowMs} ms) has been closed yet`;
  throw new ForeshardError('FORESHARD_NOT_READY', 'wait', why);
}
