import type { PlanMemory } from '../../../src/affinity/plan-memory.ts';
import { latencyRatioOf, realisedShareOf } from '../../../src/migration/progress/scorecard.ts';
import type { ClusterKeys, MigrationHistory } from '../../../src/migration/records/records.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { orNothing } from '../../metadata/json-values.ts';
import { decodeHistory } from '../../metadata/record-codec.ts';
import { decodeProposal } from './proposal-record.ts';

const DAY_MS = 86_400_000;

/**
 * What a coordinator has to know of the plans before it, from the metadata store alone: it may have been elected a moment ago.
 *
 * @param options.nowMs in a replay long before the machine's time, by which migrations are stamped: then all are recent.
 */
export async function readPlanMemory(
  metadata: MetadataStore,
  options: {
    readonly keys: Pick<ClusterKeys, 'historyPrefix'>;
    readonly proposalKey: string;
    readonly horizonMs: number;
    readonly nowMs: number;
  },
): Promise<PlanMemory> {
  const [last, history] = await Promise.all([
    metadata.get(options.proposalKey),
    readHistory(metadata, options.keys),
  ]);
  const isRecent = ({ outcome, endedAtMs }: MigrationHistory): boolean =>
    outcome === 'done' && options.nowMs - endedAtMs < Math.max(options.horizonMs, DAY_MS);
  return {
    lastMoves: last === undefined ? [] : lastMovesOf(last.value, history),
    recentMoves: history
      .filter(isRecent)
      .map(({ partitionId, sourceNodeId, endedAtMs }) => ({ partitionId, sourceNodeId, endedAtMs })),
    samples: history
      .filter(({ outcome }) => outcome === 'done')
      .sort((a, b) => a.endedAtMs - b.endedAtMs)
      .map(({ copiedBytes, copySeconds, fenceSeconds, scorecard }) => ({
        copiedBytes,
        copySeconds,
        fenceSeconds,
        latencyRatio: scorecard ? latencyRatioOf(scorecard.measured) : null,
        realisedShare: scorecard ? realisedShareOf(scorecard) : null,
      })),
  };
}

/** Records that do not validate are left out: they only say what was. */
async function readHistory(
  metadata: MetadataStore,
  { historyPrefix }: Pick<ClusterKeys, 'historyPrefix'>,
): Promise<MigrationHistory[]> {
  const { entries } = await metadata.list(historyPrefix);
  return entries.flatMap(({ value }) => orNothing(() => decodeHistory(value)));
}

/** A proposal of another version is no memory. */
function lastMovesOf(value: Uint8Array, history: readonly MigrationHistory[]): PlanMemory['lastMoves'] {
  const [proposal] = orNothing(() => decodeProposal(value));
  if (proposal === undefined) return [];
  return proposal.moves.map(({ partitionId, sourceNodeId, targetNodeId, schedule }) => {
    const isGivenUp = history.some(
      (ended) =>
        ended.outcome === 'aborted' &&
        ended.endedAtMs >= proposal.atMs &&
        ended.partitionId === partitionId &&
        ended.targetNodeId === targetNodeId,
    );
    return {
      ...{ partitionId, sourceNodeId, targetNodeId },
      startMs: schedule?.startMs ?? 0,
      ...(isGivenUp && { isGivenUp }),
    };
  });
}
