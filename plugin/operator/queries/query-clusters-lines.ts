import { HOURS_PER_WEEK, hourOfWeekName } from '../../../src/analyzer/patterns/hour-of-week.ts';
import type { PublishedClusters, QueryClustersRecord } from '../../host/records/query-clusters-record.ts';
import { unpackHours } from '../../host/records/query-hours-record.ts';

/** Lines are for reading: of each list the first few; --json has all there are. */
const CLUSTERS_MAX = 6;
const TEMPLATES_MAX = 3;
const EVENTS_MAX = 4;
const PAIRS_MAX = 4;

/** What a query node has published of clusters and of partitions used together, for people. */
export function linesOfClusters(record: QueryClustersRecord, ownerOf: ArrayLike<number>): string[] {
  const pairLines = (what: string, between: string, pairs: QueryClustersRecord['together']): string[] =>
    pairs.slice(0, PAIRS_MAX).map(([a, b, count, lift]) => {
      const of = (partition: number): string => `${partition} (node ${ownerOf[partition]})`;
      return `  ${what}: partitions ${of(a)} ${between} ${of(b)}: ${Math.round(count)} times, ${lift.toFixed(1)} times chance`;
    });
  return [
    ...clusterLines('come at the same hours', record.shape),
    ...clusterLines('are about the same things', record.terms),
    ...pairLines('in one query', 'and', record.together),
    ...pairLines('by one client', 'and', record.sameClient),
    ...pairLines('one after the other', 'then', record.next),
  ];
}

function clusterLines(what: string, { clusters, clusterCount, events }: PublishedClusters): string[] {
  // A cluster of one template says nothing that the list of types does not say.
  const shared = clusters.filter(({ templateCount }) => templateCount > 1);
  const lines = shared.slice(0, CLUSTERS_MAX).map(({ name, share, templates, templateCount, ...packed }) => {
    const hours = unpackHours(packed);
    const peak = hours.indexOf(Math.max(...hours));
    const first = templates.slice(0, TEMPLATES_MAX).join('; ');
    return `  ${name}: ${(100 * share).toFixed(1)} %, most at ${hourOfWeekName(peak % HOURS_PER_WEEK)} UTC: ${first}${templateCount > TEMPLATES_MAX ? `; and ${templateCount - TEMPLATES_MAX} more` : ''}`;
  });
  const changes = events
    .filter(({ kind }) => kind !== 'appeared')
    .slice(-EVENTS_MAX)
    .map(({ kind, atMs, name, otherName }) => {
      const other = otherName === null ? '' : kind === 'split' ? ` from ${otherName}` : ` into ${otherName}`;
      return `  ${new Date(atMs).toISOString()}: ${name} ${kind}${other}`;
    });
  return lines.length + changes.length === 0
    ? []
    : [
        `  types that ${what}: ${clusterCount} clusters`,
        ...lines.map((line) => `  ${line}`),
        ...changes.map((line) => `  ${line}`),
      ];
}
