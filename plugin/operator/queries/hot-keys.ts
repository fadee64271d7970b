import type { Settings } from '../../../src/settings.ts';
import { decodeHotKeys } from '../../host/records/hot-keys-record.ts';
import { hotKeysPrefix } from '../../host/records/record-keys.ts';
import { loadMap } from '../../metadata/cluster-map.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { printJson, printLine } from '../output.ts';
import { counted } from '../units-text.ts';
import { noWindowYet } from './no-window-yet.ts';
import { publisherNames } from './publisher-name.ts';

/** `foreshard hot-keys`: as each query node, or captured application, published them when its last window closed. @throws as `describeQueryTypes`. */
export function describeHotKeys(settings: Settings, { isJson }: { readonly isJson: boolean }): Promise<void> {
  return withMetadata(settings, async (metadata) => {
    const prefix = hotKeysPrefix(settings.cluster.name);
    const { entries } = await metadata.list(prefix);
    const nameOfPublisher = await publisherNames(metadata, settings);
    const publishers = entries.map(({ key, value }) => {
      const publisherId = Number(key.slice(prefix.length));
      return { publisherId, publisher: nameOfPublisher(publisherId), ...decodeHotKeys(key, value) };
    });
    if (publishers.length === 0) throw noWindowYet(settings);
    if (isJson) return printJson({ publishers });
    const { map } = await loadMap(metadata, settings.cluster.name);
    for (const { publisher, atMs, hotKeys } of publishers) {
      printLine(`${publisher}, ${new Date(atMs).toISOString()}: ${counted(hotKeys.length, 'hot key')}`);
      for (const { partitionId, keyPrefix, keyHash, shareMin, shareMax } of hottestFirst(hotKeys))
        printLine(
          `partition ${partitionId} (node ${map.ownerOf[partitionId]}): ${nameOf(keyPrefix, keyHash)} makes ` +
            `${range(shareMin, shareMax)} of its queries`,
        );
    }
  });
}

/** Keys are bytes: what a terminal would not show is escaped. */
const nameOf = (prefix: string, hash: string): string =>
  prefix === '' ? `#${hash}` : `${JSON.stringify(prefix)} #${hash}`;

/** Partitions by their hottest key, the keys of one together. */
function hottestFirst<Key extends { readonly partitionId: number; readonly shareMax: number }>(
  keys: readonly Key[],
): Key[] {
  const hottest = new Map<number, number>();
  for (const { partitionId, shareMax } of keys)
    hottest.set(partitionId, Math.max(shareMax, hottest.get(partitionId) ?? 0));
  const heatOf = ({ partitionId }: Key): number => hottest.get(partitionId) as number;
  return [...keys].sort(
    (a, b) => heatOf(b) - heatOf(a) || a.partitionId - b.partitionId || b.shareMax - a.shareMax,
  );
}

/** Where both round to one figure, once. */
function range(min: number, max: number): string {
  const [low, high] = [percent(min), percent(max)];
  return low === high ? low : `${low} to ${high}`;
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
