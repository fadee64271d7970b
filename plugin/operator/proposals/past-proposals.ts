import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { type PastProposal, readPastProposals } from '../../host/records/past-proposals.ts';
import { pastProposalsPrefix } from '../../host/records/record-keys.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { loadMap } from '../../metadata/cluster-map.ts';
import { readDecisions } from '../../metadata/decisions.ts';
import { orNothing } from '../../metadata/json-values.ts';
import { decodeHistory } from '../../metadata/record-codec.ts';
import { whyNoProposal } from '../approval/approve.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { printJson, printLine } from '../output.ts';
import { asTime, counted } from '../units-text.ts';
import { FATES, type Fate, fatesOf, type MoveFate } from './fates.ts';
import { gapOf } from './latest-proposal.ts';
import { REFUSAL_MEANING } from './refusal-meaning.ts';

export interface ToldProposal extends Omit<PastProposal, 'v' | 'moves'> {
  readonly gap: number | null;
  readonly moves: readonly MoveFate[];
}

/** `foreshard proposals`: what was proposed of late, and what has become of it. */
export function describeProposals(
  settings: Settings,
  { isJson, limit }: { readonly isJson: boolean; readonly limit: number },
): Promise<void> {
  return withMetadata(settings, async (metadata) => {
    const proposals = await gatherProposals(metadata, settings.cluster.name, Date.now());
    const shown = proposals.slice(0, limit);
    if (isJson) return printJson({ proposals: shown });
    if (shown.length === 0)
      printLine(`nothing has been proposed yet: ${whyNoProposal(settings.plugin.mode)}`);
    for (const proposal of shown) for (const line of proposalLines(proposal)) printLine(line);
  });
}

/** The latest first. */
export async function gatherProposals(
  metadata: MetadataStore,
  clusterName: string,
  nowMs: number,
): Promise<ToldProposal[]> {
  const past = await readPastProposals(metadata, pastProposalsPrefix(clusterName));
  const { records } = await loadMap(metadata, clusterName);
  const { entries } = await metadata.list(clusterKeys(clusterName).historyPrefix);
  const history = entries.flatMap(({ value }) => orNothing(() => decodeHistory(value)));
  const decisions = await readDecisions(metadata, clusterName, nowMs);
  return past.map((proposal, index) => {
    const { v: _, ...told } = proposal;
    const isLatest = index === 0 && proposal.untilMs >= nowMs;
    const moves = fatesOf(proposal, { history, records, decisions, isLatest });
    return { ...told, gap: gapOf(proposal), moves };
  });
}

export const FATE_MEANING: Readonly<Record<Fate, string>> = {
  done: 'done',
  aborted: 'aborted',
  open: 'being moved',
  approved: 'approved, not begun',
  rejected: 'rejected',
  proposed: 'waits for approval, or for its hour',
  dropped: 'not done; later proposals replace it',
};

export function proposalLines(proposal: ToldProposal): string[] {
  const { fromMs, untilMs, costBefore, costAfter, refusal, moveCount, moves } = proposal;
  const when = `${asTime(fromMs)} to ${asTime(untilMs)}`;
  if (moveCount === 0) return [`${when}: no moves${refusal === null ? '' : `: ${meaningOf(refusal)}`}`];
  const counts = FATES.map((fate) => ({ fate, count: moves.filter((move) => move.fate === fate).length }))
    .filter(({ count }) => count > 0)
    .map(({ fate, count }) => `${count} ${FATE_MEANING[fate]}`);
  const rest = moveCount > moves.length ? `, of ${moveCount - moves.length} nothing is kept` : '';
  return [
    `${when}: ${counted(moveCount, 'move')}, cost ${costBefore.toFixed(4)} -> ${costAfter.toFixed(4)} points: ${counts.join(', ')}${rest}`,
    ...moves.map(moveLine),
  ];
}

function moveLine({ partitionId, sourceNodeId, targetNodeId, fate, endedAtMs, reason }: MoveFate): string {
  const when = endedAtMs === null ? '' : ` at ${asTime(endedAtMs)}`;
  const why = reason === null ? '' : `: ${reason}`;
  return `  partition ${partitionId}: node ${sourceNodeId} -> ${targetNodeId}: ${FATE_MEANING[fate]}${when}${why}`;
}

const meaningOf = (refusal: string): string =>
  (REFUSAL_MEANING as Readonly<Record<string, string>>)[refusal] ?? refusal;
