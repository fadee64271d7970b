import { button, h, table } from './dom.ts';
import { bytes, time } from './format.ts';
import type { Orders } from './orders.ts';
import type { ProposalAnswer, ProposedMove } from './records.ts';

/** Nothing is left to decide of moves that have come so far. */
const BEYOND_DECISION: ReadonlySet<string> = new Set(['done', 'open']);

/**
 * The proposal in force, what was decided of it, and what has become of each move.
 *
 * @param chosen partitions that are ticked. The panel is made anew whenever something changes, and nobody loses a choice by that.
 */
export function proposalPanel(
  answer: ProposalAnswer,
  orders: Orders | null,
  chosen: Set<number>,
): HTMLElement {
  const { proposal, decisions } = answer;
  const panel = h('section', { class: 'wide', 'aria-label': 'proposal' }, h('h2', {}, 'Proposal'));
  panel.append(...decisionLines(decisions, orders));
  if (proposal === null) {
    panel.append(h('p', { class: 'quiet' }, 'None yet: modes propose and auto make one each cycle.'));
    return panel;
  }
  const { moves } = proposal;
  panel.append(h('p', {}, headline(proposal)));
  if (moves.length === 0) return panel;
  const fateOf = new Map(answer.fates.map((move) => [move.partitionId, move]));
  const rows = moves.map((move) => {
    const { partitionId } = move;
    const { fate = 'proposed', text = '' } = fateOf.get(partitionId) ?? {};
    const isOpen = !BEYOND_DECISION.has(fate);
    if (!isOpen) chosen.delete(partitionId);
    return moveRow(move, orders !== null && isOpen ? tick(partitionId, chosen) : null, text);
  });
  panel.append(table(['', 'Partition#', 'Node', 'Begins', 'Size#', 'Gain#', 'Price#', 'State', 'Why'], rows));
  if (orders !== null) panel.append(decisionButtons(orders, moves, chosen));
  return panel;
}

const decisionButtons = (
  orders: Orders,
  moves: readonly ProposedMove[],
  chosen: ReadonlySet<number>,
): HTMLElement => {
  const picked = (): number[] =>
    moves.map(({ partitionId }) => partitionId).filter((partitionId) => chosen.has(partitionId));
  return h(
    'div',
    { class: 'row' },
    button('Approve all', () => orders.approve(null), 'main'),
    button('Approve chosen', () => picked().length > 0 && orders.approve(picked())),
    button('Reject chosen', () => picked().length > 0 && orders.reject(picked())),
  );
};

const decisionLines = (
  { approvals, rejections }: ProposalAnswer['decisions'],
  orders: Orders | null,
): HTMLElement[] => [
  ...approvals.map(({ partitionId, targetNodeId, by, reason, notBeforeMs, notAfterMs }) =>
    h(
      'p',
      {},
      `Approved by ${by} (${reason}), not begun: partition ${partitionId} to node ${targetNodeId}, from ${time(notBeforeMs)} to ${time(notAfterMs)} `,
      orders && button('Take back', () => orders.reject([partitionId])),
    ),
  ),
  ...rejections.map(({ partitionId, by, reason, untilMs }) =>
    h(
      'p',
      { class: 'quiet' },
      `Rejected by ${by} (${reason}): partition ${partitionId} stays until ${time(untilMs)}`,
    ),
  ),
];

function headline(proposal: NonNullable<ProposalAnswer['proposal']>): string {
  const { moves, costBefore, costAfter, lowerBound, refusal, atMs, expiresAtMs } = proposal;
  const costs = `cost ${costBefore.toFixed(3)} to ${costAfter.toFixed(3)} points, no map below ${lowerBound.toFixed(3)}`;
  const none = `no moves${refusal === null ? '' : `: ${refusal}`}`;
  const what = moves.length === 0 ? none : `${moves.length} moves, ${costs}`;
  return `Made ${time(atMs)}, holds until ${time(expiresAtMs)}: ${what}.`;
}

function tick(partitionId: number, chosen: Set<number>): HTMLElement {
  const box = h('input', {
    type: 'checkbox',
    checked: chosen.has(partitionId),
    'aria-label': `partition ${partitionId}`,
    change: () => {
      if (box.checked) chosen.add(partitionId);
      else chosen.delete(partitionId);
    },
  });
  return box;
}

const moveRow = (move: ProposedMove, box: HTMLElement | null, state: string) => [
  box,
  String(move.partitionId),
  `${move.sourceNodeId} → ${move.targetNodeId}`,
  move.schedule === null ? 'as there is a place' : time(move.schedule.startMs),
  bytes(move.sizeBytes),
  move.gain.toFixed(4),
  move.cost.toFixed(4),
  state,
  move.reason,
];
