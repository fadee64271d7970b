import { type NodeView, parseClusterNodes } from './cluster-nodes.ts';
import { parseInfo } from './node-info.ts';
import { textOf } from './redis-node.ts';
import { type SlotMove, SlotMoveStopped } from './slot-move.ts';
import { ask, type Steps } from './steps.ts';

/**
 * How far the move of one slot is, by what source and target say of themselves:
 *
 *   closed --IMPORTING, MIGRATING--> open --keys moved, NODE at the target--> taken --NODE at the source--> done
 *
 * `lost`: neither of them owns it.
 */
export type SlotStanding = 'closed' | 'open' | 'taken' | 'done' | 'lost';

/**
 * Looks at both sides, so that a move begins, and goes on after any death, by what is there and not by what is remembered.
 *
 * @throws SlotMoveStopped when a slot is open with somebody else: that is not ours to touch.
 */
export function* standingOf(move: SlotMove): Steps<ReadonlyMap<number, SlotStanding>> {
  const [source, target] = [yield* viewOf(move.sourceId), yield* viewOf(move.targetId)];
  return new Map(move.slots.map((slot) => [slot, standingOfSlot(slot, { source, target, move })]));
}

function standingOfSlot(
  slot: number,
  { source, target, move }: { readonly source: NodeView; readonly target: NodeView; readonly move: SlotMove },
): SlotStanding {
  const flags = [
    ...source.openSlots.map((open) => ({ ...open, expectedPeerId: move.targetId, kindOfSide: 'migrating' })),
    ...target.openSlots.map((open) => ({ ...open, expectedPeerId: move.sourceId, kindOfSide: 'importing' })),
  ].filter((open) => open.slot === slot);
  for (const { kind, kindOfSide, peerId, expectedPeerId } of flags)
    if (kind !== kindOfSide || (peerId !== expectedPeerId && !move.formerIds.includes(peerId)))
      throw new SlotMoveStopped(
        `slot ${slot} is ${kind} with node ${peerId}, which is not this move: somebody else has opened it`,
      );
  if (owns(target, slot)) return owns(source, slot) ? 'taken' : 'done';
  if (!owns(source, slot)) return 'lost';
  return flags.length > 0 ? 'open' : 'closed';
}

/**
 * @returns the `run_id` of the source.
 * @throws SlotMoveStopped when it was restarted since the first slot was opened, and the move does not say so.
 */
export function* sourceRunOf(move: SlotMove): Steps<string> {
  const runId = yield* runIdOf(move.sourceId);
  if (!move.isSourcePromoted && move.sourceRunId !== null && runId !== move.sourceRunId)
    throw new SlotMoveStopped(`source ${move.sourceId} was restarted since its slots were opened`);
  return runId;
}

export function* runIdOf(nodeId: string): Steps<string> {
  const [reply] = yield* ask(nodeId, [['INFO', 'server']]);
  return parseInfo(textOf(reply)).get('run_id') ?? '';
}

const owns = (view: NodeView, slot: number): boolean =>
  view.slots.some(([first, last]) => first <= slot && slot <= last);

/** What a node says of itself. */
export function* viewOf(nodeId: string): Steps<NodeView> {
  const [reply] = yield* ask(nodeId, [['CLUSTER', 'NODES']]);
  const view = parseClusterNodes(textOf(reply), '').find(({ isMyself }) => isMyself);
  if (view?.nodeId !== nodeId)
    throw new SlotMoveStopped(`node ${nodeId} says that it is ${view?.nodeId ?? 'nobody'}`);
  if (view.role !== 'master') throw new SlotMoveStopped(`node ${nodeId} is a replica now`);
  return view;
}
