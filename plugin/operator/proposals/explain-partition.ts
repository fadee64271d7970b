import { MOVE_REFUSALS, type MoveRefusal } from '../../../src/affinity/refusals.ts';
import { LEFT_OUT_MEANING, type LeftOutCode } from '../../../src/affinity/timetable/problem.ts';
import type { StayReason } from '../../../src/model/proposal-evidence.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { decodeStays, type ProposalRecord } from '../../host/records/proposal-record.ts';
import { staysKey } from '../../host/records/record-keys.ts';
import { type Decisions, readDecisions } from '../../metadata/decisions.ts';
import { decisionLines } from '../approval/decision-lines.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { printJson, printLine } from '../output.ts';
import { silenceLines } from '../silent-nodes.ts';
import { asTime } from '../units-text.ts';
import { assertPartitions } from '../what-is-there.ts';
import { moveLines, readProposal } from './latest-proposal.ts';
import { REFUSAL_MEANING } from './refusal-meaning.ts';

/** `foreshard explain PARTITION`: why the latest proposal moves a partition, or why it stays where it is. */
export function explainPartition(
  settings: Settings,
  { partitionId, isJson }: { readonly partitionId: number; readonly isJson: boolean },
): Promise<void> {
  return withMetadata(settings, async (metadata) => {
    await assertPartitions(metadata, settings.cluster.name, [partitionId]);
    const proposal = await readProposal(metadata, settings.cluster.name, settings.plugin.mode);
    const key = staysKey(settings.cluster.name);
    const entry = await metadata.get(key);
    const stays = entry === undefined ? [] : decodeStays(key, entry.value);
    const index = proposal.moves.findIndex((move) => move.partitionId === partitionId);
    // What relief moves now was said to stay when the plan was made.
    const stay = index >= 0 ? undefined : stays.find((reason) => reason.partitionId === partitionId);
    const leftOut = proposal.leftOut.find((move) => move.partitionId === partitionId);
    const decisions = await decisionsOf(metadata, settings.cluster.name, partitionId);
    if (isJson)
      return printJson({
        partitionId,
        atMs: proposal.atMs,
        move: proposal.moves[index] ?? null,
        evidence: proposal.evidence?.moves[index] ?? null,
        leftOut: leftOut ?? null,
        stay: stay ?? null,
        decisions,
      });
    for (const line of decisionLines(decisions)) printLine(line);
    for (const line of lines(proposal, settings, { partitionId, index, stay, leftOut })) printLine(line);
  });
}

async function decisionsOf(
  metadata: MetadataStore,
  clusterName: string,
  partitionId: number,
): Promise<Decisions> {
  const { approvals, rejections } = await readDecisions(metadata, clusterName, Date.now());
  const isAbout = (decision: { readonly partitionId: number }): boolean =>
    decision.partitionId === partitionId;
  return { approvals: approvals.filter(isAbout), rejections: rejections.filter(isAbout) };
}

function lines(
  proposal: ProposalRecord,
  settings: Settings,
  found: {
    readonly partitionId: number;
    readonly index: number;
    readonly stay: StayReason | undefined;
    readonly leftOut: ProposalRecord['leftOut'][number] | undefined;
  },
): string[] {
  const { partitionId, index, stay, leftOut } = found;
  const said: string[] = [];
  if (index >= 0) said.push(...moveLines(proposal, index, settings));
  if (leftOut !== undefined)
    said.push(
      `partition ${partitionId} would go to node ${leftOut.targetNodeId}, but ${LEFT_OUT_MEANING[leftOut.code as LeftOutCode] ?? leftOut.code}`,
    );
  if (stay !== undefined)
    said.push(`partition ${partitionId} stays on node ${stay.nodeId}: ${whyStay(stay, proposal)}`);
  if (stay !== undefined && proposal.refusal === 'no-order')
    said.push(`of the plan as a whole: ${REFUSAL_MEANING['no-order']}`);
  if (said.length === 0)
    said.push(
      `the proposal of ${asTime(proposal.atMs)} was relief alone: it says nothing of partition ${partitionId}`,
    );
  return said;
}

export function whyStay({ nodeId, ...best }: StayReason, { silentNodes = [] }: ProposalRecord): string {
  const own = silentNodes.filter((node) => node.nodeId === nodeId);
  if (own.length > 0)
    return `${silenceLines({ silentNodes: own })[0]}: ownership moves only with its consent`;
  const others = silenceLines({ silentNodes });
  return [whyNoBetter(best), ...others].join('; ');
}

function whyNoBetter({ alternativeNodeId, gain, price, code }: Omit<StayReason, 'nodeId'>): string {
  if (alternativeNodeId === null) return 'there is no other node that it could go to';
  if (code === 'no-gain')
    return `no other node is better; node ${alternativeNodeId} would cost ${(-gain).toFixed(5)} points more`;
  const alternative = `node ${alternativeNodeId} would gain ${gain.toFixed(5)} points`;
  if (code === 'price')
    return `${alternative}, which is not enough for its price of ${price.toFixed(5)} points`;
  if (code === 'not-found')
    return `${alternative} for ${price.toFixed(5)} points, which the search did not find, or an older plan is kept`;
  return `${alternative}, but ${MOVE_REFUSALS[code as MoveRefusal] ?? code} (${code})`;
}
