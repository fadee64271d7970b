import { ForeshardError } from '../../src/base/errors.ts';
import type { Settings } from '../../src/settings.ts';
import { decodeHotKeys } from '../host/hot-keys-record.ts';
import { hotKeysPrefix } from '../host/record-keys.ts';
import { loadMap } from '../metadata/cluster-map.ts';
import { withMetadata } from './cluster-commands.ts';
import { printJson, printLine } from './output.ts';

/** `foreshard hot-keys`: as each query node published them when its last window closed. */
export function describeHotKeys(settings: Settings, { isJson }: { readonly isJson: boolean }): Promise<void> {
  return withMetadata(settings, async (metadata) => {
    const prefix = hotKeysPrefix(settings.cluster.name);
    const { entries } = await metadata.list(prefix);
    const queryNodes = entries.map(({ key, value }) => ({
      queryNodeId: Number(key.slice(prefix.length)),
      ...decodeHotKeys(key, value),
    }));
    if (isJson) return printJson({ queryNodes });
    if (queryNodes.length === 0)
      throw new ForeshardError(
        'FORESHARD_NOT_READY',
        'wait',
        `no window has been closed yet: a query node has to run for analyzer.windowMs (${settings.analyzer.windowMs} ms)`,
      );
    const { map } = await loadMap(metadata, settings.cluster.name);
    for (const { queryNodeId, atMs, hotKeys } of queryNodes) {
      printLine(`query node ${queryNodeId}, ${new Date(atMs).toISOString()}: ${hotKeys.length} hot keys`);
      for (const { partitionId, keyPrefix, keyHash, shareMin, shareMax } of hotKeys)
        printLine(
          `partition ${partitionId} (node ${map.ownerOf[partitionId]}): ${nameOf(keyPrefix, keyHash)} makes ` +
            `${percent(shareMin)} to ${percent(shareMax)} of its queries`,
        );
    }
  });
}

/** Keys are bytes: what a terminal would not show is escaped. */
const nameOf = (prefix: string, hash: string): string =>
  prefix === '' ? `#${hash}` : `${JSON.stringify(prefix)} #${hash}`;

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
