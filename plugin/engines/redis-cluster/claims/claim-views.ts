import { type NodeView, parseClusterNodes } from '../server/cluster-nodes.ts';
import { isDoubter, parseInfo } from '../server/node-info.ts';
import { textOf } from '../server/redis-node.ts';
import type { SettledEpochs, SlotMove } from '../steps/slot-move.ts';
import { ask, type Steps } from '../steps/steps.ts';

/** What source and target of a move know of each other's claims, by CLUSTER NODES. */
export type Ends = Pick<SlotMove, 'sourceId' | 'targetId'>;

export interface Views {
  readonly source: readonly NodeView[];
  readonly target: readonly NodeView[];
}

export function* viewsOf({ sourceId, targetId }: Ends): Steps<Views> {
  const replies = yield { to: [sourceId, targetId], commands: [['CLUSTER', 'NODES']] };
  const [source, target] = replies.map((of) => parseClusterNodes(textOf(of[0]), ''));
  return { source: source ?? [], target: target ?? [] };
}

/** For the first of 7.2 as well, where it is settled in vain, in a tenth of a second. */
export function* keepsDoubts(nodeId: string): Steps<boolean> {
  const [reply] = yield* ask(nodeId, [['INFO', 'server']]);
  return isDoubter(parseInfo(textOf(reply)));
}

/** Why the target may take no greater epoch than the source's; null when it will. */
export function whyEpochUnheard({ sourceId, targetId }: Ends, { source, target }: Views): string | null {
  const epoch = epochOf(source, sourceId);
  const heard = epochOf(target, sourceId);
  if (heard !== epoch)
    return `target ${targetId} has not heard of epoch ${epoch} of source ${sourceId} (it knows ${Number.isNaN(heard) ? 'none' : heard})`;
  for (const nodes of [source, target]) {
    const same = nodes.filter((node) => isMaster(node) && node.configEpoch === epoch);
    const other = same.find(({ nodeId }) => nodeId !== sourceId);
    if (other !== undefined) return `node ${other.nodeId} and source ${sourceId} both have epoch ${epoch}`;
    if (same.length === 0) return `target ${targetId} cannot reach source ${sourceId}`;
  }
  return null;
}

/** A slot that both know to be the source's, and that nobody is moving. */
export function closedSlotOf({ sourceId }: Ends, { source, target }: Views): number | null {
  const open = new Set([...source, ...target].flatMap(({ openSlots }) => openSlots.map(({ slot }) => slot)));
  for (const [first, last] of slotsOf(source, sourceId))
    for (let slot = first; slot <= last; slot++)
      if (!open.has(slot) && owns(target, sourceId, slot)) return slot;
  return null;
}

/** A master of a lesser epoch than the source's, as both know it: neither would take the slot to be its own for what the target says. */
export function witnessOf(ends: Ends, { source, target }: Views): string | null {
  const epoch = epochOf(source, ends.sourceId);
  const found = othersIn(ends, target).find(
    ({ nodeId, configEpoch }) => configEpoch < epoch && epochOf(source, nodeId) === configEpoch,
  );
  return found?.nodeId ?? null;
}

export const othersIn = ({ sourceId, targetId }: Ends, nodes: readonly NodeView[]): readonly NodeView[] =>
  nodes.filter((node) => isMaster(node) && node.nodeId !== sourceId && node.nodeId !== targetId);

/** Whether there is a third master, within reach or not. One that has failed and has no slots has a successor: it does not come back as a master. */
export const hasThirdMaster = ({ sourceId, targetId }: Ends, nodes: readonly NodeView[]): boolean =>
  nodes.some(
    ({ nodeId, role, isJoining, health, slots }) =>
      role === 'master' &&
      !isJoining &&
      nodeId !== sourceId &&
      nodeId !== targetId &&
      (health !== 'fail' || slots.length > 0),
  );

/** What each says of itself. */
export const epochsIn = ({ sourceId, targetId }: Ends, { source, target }: Views): SettledEpochs => ({
  source: epochOf(source, sourceId),
  target: epochOf(target, targetId),
});

export const slotsOf = (nodes: readonly NodeView[], nodeId: string): NodeView['slots'] =>
  nodes.find((node) => node.nodeId === nodeId)?.slots ?? [];

export const owns = (nodes: readonly NodeView[], nodeId: string, slot: number): boolean =>
  slotsOf(nodes, nodeId).some(([first, last]) => first <= slot && slot <= last);

const isMaster = ({ role, health, isJoining }: NodeView): boolean =>
  role === 'master' && health === 'ok' && !isJoining;

const epochOf = (nodes: readonly NodeView[], nodeId: string): number =>
  nodes.find((node) => node.nodeId === nodeId)?.configEpoch ?? Number.NaN;
