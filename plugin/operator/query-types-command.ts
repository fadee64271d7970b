import { ForeshardError } from '../../src/base/errors.ts';
import type { Settings } from '../../src/settings.ts';
import { queryTypesPrefix } from '../host/proposal-record.ts';
import { decodeQueryTypes, type QueryTypesRecord } from '../host/query-types-record.ts';
import { loadMap } from '../metadata/cluster-map.ts';
import { withMetadata } from './cluster-commands.ts';
import { printJson, printLine } from './output.ts';

/** A line is for reading: of the partitions and clients of a type the first few are printed; --json has all there are. */
const LISTED_MAX = 4;

/** `foreshard query-types`: as each query node published it when its last window closed. */
export function describeQueryTypes(
  settings: Settings,
  { isJson }: { readonly isJson: boolean },
): Promise<void> {
  return withMetadata(settings, async (metadata) => {
    const prefix = queryTypesPrefix(settings.cluster.name);
    const { entries } = await metadata.list(prefix);
    const published = entries.map(({ key, value }) => ({
      queryNodeId: Number(key.slice(prefix.length)),
      ...decodeQueryTypes(key, value),
    }));
    if (isJson) return printJson({ queryNodes: published });
    if (published.length === 0)
      throw new ForeshardError(
        'FORESHARD_NOT_READY',
        'wait',
        `no window has been closed yet: a query node has to run for analyzer.windowMs (${settings.analyzer.windowMs} ms)`,
      );
    const { map } = await loadMap(metadata, settings.cluster.name);
    for (const record of published) for (const line of linesOf(record, map.ownerOf)) printLine(line);
  });
}

function linesOf(record: QueryTypesRecord & { readonly queryNodeId: number }, ownerOf: Int32Array): string[] {
  const { queryNodeId, atMs, totalCount, droppedCount, typeCount, types, recentCount } = record;
  const lines = [
    `query node ${queryNodeId}, ${new Date(atMs).toISOString()}: ${totalCount} queries of ${typeCount} types, ${droppedCount} not captured`,
  ];
  const share = (count: number, sum: number): string =>
    `${sum > 0 ? ((100 * count) / sum).toFixed(1) : '0.0'} %`;
  for (const type of types) {
    const partitions = type.partitions
      .slice(0, LISTED_MAX)
      .map(([id, count]) => `${id} (node ${ownerOf[id]}) ${share(count, type.recentCount)}`);
    const clients = type.clients
      .slice(0, LISTED_MAX)
      .map(([client, count]) => `${client} ${share(count, type.recentCount)}`);
    lines.push(
      `${share(type.recentCount, recentCount).padStart(7)}  ${type.template}: ${type.totalCount} queries`,
      `         ${type.partitionCount} partitions: ${listed(partitions, type.partitionCount)}`,
      `         ${type.clientCount} clients: ${listed(clients, type.clientCount)}`,
    );
  }
  if (typeCount > types.length) lines.push(`         and ${typeCount - types.length} more types`);
  return lines;
}

const listed = (first: readonly string[], count: number): string =>
  `${first.join(', ')}${count > first.length ? ', …' : ''}`;
