import type { Command } from 'commander';
import { ForeshardError } from '../../src/base/errors.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { Settings } from '../../src/settings.ts';
import { decodeProposal, type ProposalRecord } from '../host/records/proposal-record.ts';
import { proposalKey } from '../host/records/record-keys.ts';
import { type LoadedMap, loadMap } from '../metadata/cluster-map.ts';
import { listMembers } from '../metadata/members.ts';
import { listNodes } from '../metadata/node-registrations.ts';
import { withMetadata } from './cluster-metadata.ts';
import { type CommonFlags, settingsOf, withConfig, withJson } from './flags.ts';
import { leftAlone, type Pauses, readPauses } from './held-back.ts';
import { printJson, printLine } from './output.ts';
import { silenceLines } from './silent-nodes.ts';
import { asRanges, asTime, counted } from './units-text.ts';

export function addMapCommand(program: Command): void {
  withJson(withConfig(program.command('map')))
    .description('print who owns what, and the migrations that are open')
    .action(async (flags: CommonFlags) =>
      describeMap((await settingsOf(flags)).settings, { isJson: flags.json === true }),
    );
}

/** `foreshard map`. */
export function describeMap(settings: Settings, { isJson }: { readonly isJson: boolean }): Promise<void> {
  return withMetadata(settings, async (metadata) => {
    const loaded = await loadMap(metadata, settings.cluster.name);
    const paused = await readPauses(metadata, settings.cluster.name);
    if (isJson) printJson(mapAsJson(loaded, paused));
    else {
      for (const line of mapAsLines(loaded, paused)) printLine(line);
      for (const line of await absence(metadata, settings.cluster.name)) printLine(line);
      for (const line of await silence(metadata, settings.cluster.name)) printLine(line);
    }
  });
}

/** Storage nodes whose processes are gone, as far as the metadata store knows: this command asks no node. */
async function absence(metadata: MetadataStore, clusterName: string): Promise<string[]> {
  const [members, registered] = await Promise.all([
    listMembers(metadata, clusterName),
    listNodes(metadata, clusterName),
  ]);
  const isThere = new Set(registered.map(({ nodeId }) => nodeId));
  return members
    .filter(({ role, nodeId }) => role === 'storage' && !isThere.has(nodeId))
    .map(({ nodeId, stoppedAtMs }) =>
      stoppedAtMs === undefined
        ? `node ${nodeId} is dead: its process has not been heard of for ten seconds or more`
        : `node ${nodeId} is stopped since ${asTime(stoppedAtMs)}`,
    );
}

/** What the coordinator found when it last planned: this command asks no node. */
async function silence(metadata: MetadataStore, clusterName: string): Promise<string[]> {
  const entry = await metadata.get(proposalKey(clusterName));
  if (entry === undefined) return [];
  let proposal: ProposalRecord;
  try {
    proposal = decodeProposal(entry.value);
  } catch (error) {
    // The map is what was asked for: another version's proposal takes nothing from it.
    if (!(error instanceof ForeshardError) || error.code !== 'FORESHARD_CORRUPT') throw error;
    return [`whether a node is silent is not known: ${error.message}`];
  }
  return silenceLines(proposal).map((line) => `${line}, seen at ${asTime(proposal.atMs)}`);
}

function mapAsJson({ map, records, quarantined }: LoadedMap, pauses: Pauses): unknown {
  return {
    partitionCount: map.partitionCount,
    ...pauses,
    ownerOf: [...map.ownerOf],
    ownerStoreOf: records.map((record) => record?.ownerStoreId ?? null),
    epochOf: [...map.epochOf],
    migrations: records.flatMap((record) => {
      if (!record?.migration) return [];
      const { migrationId, sourceNodeId, targetNodeId, phase, readWeight, reason } = record.migration;
      const { partitionId } = record;
      return [{ partitionId, migrationId, sourceNodeId, targetNodeId, phase, readWeight, reason }];
    }),
    // Two reasons for one word: a record that cannot be read, and a partition that its record says to leave alone.
    quarantined: [...quarantined, ...leftAlone(records)],
  };
}

function mapAsLines({ map, records, quarantined }: LoadedMap, pauses: Pauses): string[] {
  const partitionsOf = new Map<number, number[]>();
  map.ownerOf.forEach((owner, partition) => {
    partitionsOf.set(owner, [...(partitionsOf.get(owner) ?? []), partition]);
  });
  const { isPaused, pausedPartitionIds } = pauses;
  const lines = [`${counted(map.partitionCount, 'partition')}${isPaused ? ', migrations paused' : ''}`];
  if (pausedPartitionIds.length > 0) lines.push(`paused by themselves: ${asRanges(pausedPartitionIds)}`);
  for (const owner of [...partitionsOf.keys()].sort((a, b) => a - b)) {
    const partitions = partitionsOf.get(owner) as number[];
    lines.push(`node ${owner}: ${counted(partitions.length, 'partition')}: ${asRanges(partitions)}`);
  }
  const open = records.filter((record) => record?.migration != null);
  lines.push(`${counted(open.length, 'migration')} open`);
  for (const record of open)
    if (record?.migration) {
      const { sourceNodeId, targetNodeId, phase, reason } = record.migration;
      lines.push(
        `partition ${record.partitionId}: node ${sourceNodeId} -> ${targetNodeId}, ${phase}: ${reason}`,
      );
    }
  for (const { partitionId, why } of quarantined) lines.push(`partition ${partitionId}: quarantined: ${why}`);
  for (const { partitionId, why, untilMs } of leftAlone(records)) {
    const until =
      untilMs === null ? 'until it is cleared (foreshard quarantine)' : `until ${asTime(untilMs)}`;
    lines.push(`partition ${partitionId}: quarantined ${until}: ${why}`);
  }
  lines.push(...storeLines(records));
  return lines;
}

/** Who gives a lost store up has to name it: a node that got an empty disk is the same node with another store. */
function storeLines(records: LoadedMap['records']): string[] {
  const ownerOf = new Map<string, number>();
  const partyOf = new Map<string, number>();
  for (const record of records) {
    if (!record) continue;
    ownerOf.set(record.ownerStoreId, record.ownerNodeId);
    const { migration } = record;
    if (!migration) continue;
    partyOf.set(migration.sourceStoreId, migration.sourceNodeId);
    partyOf.set(migration.targetStoreId, migration.targetNodeId);
  }
  return [...new Map([...partyOf, ...ownerOf])]
    .sort(([, a], [, b]) => a - b)
    .map(
      ([storeId, nodeId]) =>
        `store ${storeId}: on node ${nodeId}${ownerOf.has(storeId) ? '' : ', owns nothing'}`,
    );
}
