import type { Proposal } from '../../model/proposal.ts';
import type { ProposalEvidence } from '../../model/proposal-evidence.ts';

/** The proposal with each move's room-makers, so that whoever carries it out begins none before it has room. */
export function inTurn(proposal: Proposal, evidence: ProposalEvidence | null | undefined): Proposal {
  if (!evidence?.moves.some(({ after }) => after.length > 0)) return proposal;
  const afterOf = new Map(evidence.moves.map(({ partitionId, after }) => [partitionId, after]));
  const moves = proposal.moves.map((move) => {
    const after = afterOf.get(move.partitionId) ?? [];
    return after.length === 0 ? move : { ...move, after };
  });
  return { ...proposal, moves };
}
