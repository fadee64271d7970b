import type { Settings } from '../../../src/settings.ts';
import {
  decodeQueryClusters,
  type PublishedClusters,
  type QueryClustersRecord,
} from '../../host/records/query-clusters-record.ts';
import { unpackHours } from '../../host/records/query-hours-record.ts';
import {
  decodeQueryTypes,
  type PublishedCount,
  type QueryTypesRecord,
} from '../../host/records/query-types-record.ts';
import { queryClustersPrefix, queryTypesPrefix } from '../../host/records/record-keys.ts';
import { loadMap } from '../../metadata/cluster-map.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { printJson, printLine } from '../output.ts';
import { counted } from '../units-text.ts';
import { noWindowYet } from './no-window-yet.ts';
import { publisherNames } from './publisher-name.ts';
import { linesOfClusters } from './query-clusters-lines.ts';

/** A line is for reading: of the partitions and clients of a type the first few are printed; --json has all there are. */
const LISTED_MAX = 4;

/**
 * `foreshard query-types`: as each query node, or captured application, published it when its last window closed.
 *
 * @throws ForeshardError FORESHARD_NOT_READY before the first one, with `--json` as well: a script that waits for it sees the exit code.
 */
export function describeQueryTypes(
  settings: Settings,
  { isJson }: { readonly isJson: boolean },
): Promise<void> {
  return withMetadata(settings, async (metadata) => {
    const prefix = queryTypesPrefix(settings.cluster.name);
    const { entries } = await metadata.list(prefix);
    const nameOfPublisher = await publisherNames(metadata, settings);
    const published = entries.map(({ key, value }) => {
      const publisherId = Number(key.slice(prefix.length));
      return { publisherId, publisher: nameOfPublisher(publisherId), ...decodeQueryTypes(key, value) };
    });
    const clustersPrefix = queryClustersPrefix(settings.cluster.name);
    const clusters = new Map(
      (await metadata.list(clustersPrefix)).entries.map(({ key, value }) => [
        Number(key.slice(clustersPrefix.length)),
        decodeQueryClusters(key, value),
      ]),
    );
    if (published.length === 0) throw noWindowYet(settings);
    if (isJson) {
      const publishers = published.map((record) => ({
        ...record,
        clusters: readable(clusters.get(record.publisherId)),
      }));
      return printJson({ publishers });
    }
    const { map } = await loadMap(metadata, settings.cluster.name);
    for (const record of published) {
      for (const line of linesOf(record, map.ownerOf, record.publisher)) printLine(line);
      const found = clusters.get(record.publisherId);
      if (found !== undefined) for (const line of linesOfClusters(found, map.ownerOf)) printLine(line);
    }
  });
}

function linesOf(record: QueryTypesRecord, ownerOf: Int32Array, publisher: string): string[] {
  const { atMs, totalCount, droppedCount, typeCount, types, recentCount } = record;
  const lines = [
    `${publisher}, ${new Date(atMs).toISOString()}: ${totalCount === 1 ? '1 query' : `${totalCount} queries`} of ${counted(typeCount, 'type')}, ${droppedCount} not captured`,
  ];
  const share = (count: number, sum: number): string =>
    `${sum > 0 ? ((100 * count) / sum).toFixed(1) : '0.0'} %`;
  for (const type of types) {
    const partitions = type.partitions
      .slice(0, LISTED_MAX)
      .map(
        (entry) =>
          `${entry[0]} (node ${ownerOf[entry[0]]}) ${share(entry[1], type.recentCount)}${liftOf(entry)}`,
      );
    const nodes = type.nodes
      .slice(0, LISTED_MAX)
      .map((entry) => `${entry[0]} ${share(entry[1], type.recentCount)}${liftOf(entry)}`);
    const clients = type.clients
      .slice(0, LISTED_MAX)
      .map((entry) => `${entry[0]} ${share(entry[1], type.recentCount)}${liftOf(entry)}`);
    lines.push(
      `${share(type.recentCount, recentCount).padStart(7)}  ${type.template}: ${type.totalCount} queries`,
      `         ${counted(type.partitionCount, 'partition')}: ${listed(partitions, type.partitionCount)}`,
      `         ${counted(type.nodeCount, 'node')}: ${listed(nodes, type.nodeCount)}`,
      `         ${counted(type.clientCount, 'client')}: ${listed(clients, type.clientCount)}`,
    );
  }
  if (typeCount > types.length) lines.push(`         and ${counted(typeCount - types.length, 'more type')}`);
  return lines;
}

/** Hours as numbers, queries an hour. */
function readable(record: QueryClustersRecord | undefined): object | null {
  if (record === undefined) return null;
  const unpacked = ({ clusters, ...rest }: PublishedClusters): object => ({
    ...rest,
    clusters: clusters.map(({ peak, hours, ...cluster }) => ({
      ...cluster,
      hours: [...unpackHours({ peak, hours })],
    })),
  });
  return { ...record, shape: unpacked(record.shape), terms: unpacked(record.terms) };
}

/** Only what is more than chance has one. */
const liftOf = ([, , lift]: PublishedCount<number | string>): string =>
  lift === undefined ? '' : ` (${lift.toFixed(1)} times chance)`;

const listed = (first: readonly string[], count: number): string =>
  `${first.join(', ')}${count > first.length ? ', …' : ''}`;
