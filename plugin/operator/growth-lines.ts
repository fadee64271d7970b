import type { GrowthAdvice } from '../../src/model/proposal.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { decodeHotKeys, type HotKeysRecord } from '../host/records/hot-keys-record.ts';
import { hotKeysPrefix } from '../host/records/record-keys.ts';
import { asTime, capacityText, counted, percent } from './units-text.ts';

/** What is said of growth, for people; of a partition that is too hot for any node, with the keys that make it so. */
export async function growthLines(
  metadata: MetadataStore,
  clusterName: string,
  growth: readonly GrowthAdvice[],
): Promise<string[]> {
  const isKeyWanted = growth.some(({ kind }) => kind === 'split-partition');
  const hotKeys = isKeyWanted ? await readHotKeys(metadata, clusterName) : [];
  return growth.map((advice) => adviceLine(advice, hotKeys));
}

function adviceLine(advice: GrowthAdvice, hotKeys: HotKeysRecord['hotKeys']): string {
  switch (advice.kind) {
    case 'add-nodes':
      return (
        `no map is good enough: from ${asTime(advice.atMs)} on all nodes together are at ${percent(advice.utilisation)} of ` +
        `their ${capacityText(advice.dimension, null)}: add ${counted(advice.nodeCount, 'node')}`
      );
    case 'split-partition': {
      const keys = hotKeys.filter(({ partitionId }) => partitionId === advice.partitionId);
      const remedy =
        keys.length === 0
          ? 'no single key was found that makes it hot: more, smaller partitions spread it, unless all its keys share one hash tag, {…}, which no number of partitions takes apart'
          : keys
              .map(
                ({ keyPrefix, keyHash, shareMin, shareMax }) =>
                  `${keyPrefix === '' ? '' : `${JSON.stringify(keyPrefix)} `}#${keyHash} makes ` +
                  `${percent(shareMin)} to ${percent(shareMax)} of its queries`,
              )
              .join(', ');
      return (
        `partition ${advice.partitionId} is too hot for any node: at ${asTime(advice.atMs)} it alone is ` +
        `${percent(advice.utilisation)} of the roomiest one's ${capacityText(advice.dimension, null)}: ${remedy}`
      );
    }
    case 'still-stressed':
      return (
        `no better map was found, though none is ruled out: node ${advice.nodeId} is at ${percent(advice.utilisation)} of its ` +
        `${capacityText(advice.dimension, null)} at ${asTime(advice.atMs)}`
      );
    case 'remove-nodes':
      return `${counted(advice.nodeCount, 'node')} can go: the others would be at ${percent(advice.utilisation)} at the highest`;
  }
}

/** Of all query nodes, the hottest first. */
async function readHotKeys(metadata: MetadataStore, clusterName: string): Promise<HotKeysRecord['hotKeys']> {
  const { entries } = await metadata.list(hotKeysPrefix(clusterName));
  return entries
    .flatMap(({ key, value }) => decodeHotKeys(key, value).hotKeys)
    .sort((a, b) => b.shareMax - a.shareMax);
}
