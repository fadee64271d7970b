import { type NodeView, parseClusterNodes } from '../server/cluster-nodes.ts';
import { parseInfo } from '../server/node-info.ts';
import { type RedisReply, textOf } from '../server/redis-node.ts';
import { type SlotMove, SlotMoveStopped } from '../steps/slot-move.ts';
import { ask, type Steps } from '../steps/steps.ts';

/**
 * How far the move of one slot is, by what source and target say of themselves:
 *
 *   closed --IMPORTING, MIGRATING--> open --keys moved, NODE at the target--> taken --NODE at the source--> done
 *
 * `lost`: neither of them owns it.
 */
export type SlotStanding = 'closed' | 'open' | 'taken' | 'done' | 'lost';

export interface MoveStanding {
  readonly standingOf: ReadonlyMap<number, SlotStanding>;
  /** `run_id` of the source. */
  readonly sourceRunId: string;
}

/**
 * Looks at both sides, so that a move begins, and goes on after any death, by what is there and not by what is remembered.
 *
 * @throws SlotMoveStopped when a slot is open with somebody else: that is not ours to touch.
 */
export function* standingsOf(move: SlotMove): Steps<MoveStanding> {
  const { sourceId, targetId, slots } = move;
  const replies = yield {
    to: [sourceId, targetId],
    commands: [
      ['CLUSTER', 'NODES'],
      ['INFO', 'server'],
    ],
  };
  const [source, target] = [viewIn(sourceId, replies[0]?.[0]), viewIn(targetId, replies[1]?.[0])];
  return {
    standingOf: new Map(slots.map((slot) => [slot, standingOfSlot(slot, { source, target, move })])),
    sourceRunId: runIdIn(replies[0]?.[1]),
  };
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

/** @throws SlotMoveStopped when the source was restarted since the first slot was opened, and the move does not say so. */
export function assertSourceIsKnown(move: SlotMove, sourceRunId: string): void {
  if (!move.isSourcePromoted && move.sourceRunId !== null && sourceRunId !== move.sourceRunId)
    throw new SlotMoveStopped(`source ${move.sourceId} was restarted since its slots were opened`);
}

export function* runIdOf(nodeId: string): Steps<string> {
  const [reply] = yield* ask(nodeId, [['INFO', 'server']]);
  return runIdIn(reply);
}

export const runIdIn = (reply: RedisReply | undefined): string =>
  parseInfo(textOf(reply)).get('run_id') ?? '';

const owns = (view: NodeView, slot: number): boolean =>
  view.slots.some(([first, last]) => first <= slot && slot <= last);

/** What a node says of itself. */
export function* viewOf(nodeId: string): Steps<NodeView> {
  const [reply] = yield* ask(nodeId, [['CLUSTER', 'NODES']]);
  return viewIn(nodeId, reply);
}

function viewIn(nodeId: string, reply: RedisReply | undefined): NodeView {
  const view = parseClusterNodes(textOf(reply), '').find(({ isMyself }) => isMyself);
  if (view?.nodeId !== nodeId)
    throw new SlotMoveStopped(`node ${nodeId} says that it is ${view?.nodeId ?? 'nobody'}`);
  if (view.role !== 'master') throw new SlotMoveStopped(`node ${nodeId} is a replica now`);
  return view;
}
