import { type NodeView, parseClusterNodes } from '../server/cluster-nodes.ts';
import { type SettledEpochs, type SlotMove, SlotMoveStopped } from '../steps/slot-move.ts';

/** What CLUSTER NODES of both sides say, as text. */
export interface ClaimTexts {
  readonly source: string;
  readonly target: string;
}

/** How many slots a message names. */
const NAMED_SLOTS_MAX = 5;
/** Of a node that takes no new epoch. */
const GONE_FLAGS = ['fail', 'handshake', 'noaddr'];
const LATER = 'nothing is lost, and the move goes on by itself once that is over';

/**
 * Looks whether the target will be believed when it takes slots, a moment before it does: the source owns what it gives, and makes no keys in
 * it, the target takes these slots to be the source's, and the next epoch of the target is the greatest. It reads the lines of source and target alone, and the epochs of the others: of
 * hundreds of nodes, each with its slots in pieces, all else would take longer than the commit.
 *
 * @throws SlotMoveStopped naming slot or nodes, and the remedy. The slots stay open, and serve by ASK redirects.
 */
export function assertMayCommit(
  { sourceId, targetId, formerIds, settledEpochs }: CommittedMove,
  slots: readonly number[],
  texts: ClaimTexts,
): void {
  const [source, target] = [texts.source.split('\n'), texts.target.split('\n')];
  const own = lineOf(source, sourceId);
  if (own === null || own.role !== 'master')
    throw new SlotMoveStopped(`source ${sourceId} is no master any more: ${LATER}`);
  const taker = lineOf(target, targetId);
  if (taker === null || taker.role !== 'master')
    throw new SlotMoveStopped(`target ${targetId} is no master any more: ${LATER}`);
  const seen = lineOf(target, sourceId);
  const lost = slots.filter((slot) => !owns(own, slot));
  if (lost.length > 0)
    throw new SlotMoveStopped(
      `source ${sourceId} does not own ${named(lost)} any more: somebody else moves slots (redis-cli --cluster reshard, fix): let it end, or end it`,
    );
  // In a closed slot clients make keys at the source, which deletes them when it hears of the target's claim.
  const migrating = new Set(
    own.openSlots.flatMap(({ slot, kind, peerId }) =>
      kind === 'migrating' && peerId === targetId ? [slot] : [],
    ),
  );
  const closed = slots.filter((slot) => !migrating.has(slot));
  if (closed.length > 0)
    throw new SlotMoveStopped(
      `source ${sourceId} is not migrating ${named(closed)} to target ${targetId} any more: somebody else has closed it (CLUSTER SETSLOT STABLE, redis-cli --cluster fix): ${LATER}`,
    );
  const elsewhere = slots.filter((slot) => seen === null || !owns(seen, slot));
  if (elsewhere.length > 0)
    assertOwnersKnown(elsewhere, { targetId, formerIds: [...formerIds, sourceId] }, texts.target);
  const trouble = epochTrouble(
    { sourceId, targetId },
    { own, seen, taker, settledEpochs, told: [source, target] },
  );
  if (trouble !== null) throw new SlotMoveStopped(`${trouble}: ${LATER}`);
}

type CommittedMove = Pick<SlotMove, 'sourceId' | 'targetId' | 'formerIds' | 'settledEpochs'>;

/** After a failover of the source a target that imports a slot knows its former owner, or none. */
function assertOwnersKnown(
  slots: readonly number[],
  { targetId, formerIds }: { readonly targetId: string; readonly formerIds: readonly string[] },
  text: string,
): void {
  for (const node of parseClusterNodes(text, '')) {
    if (formerIds.includes(node.nodeId)) continue;
    const claimed = slots.filter((slot) => owns(node, slot));
    if (claimed.length === 0) continue;
    throw new SlotMoveStopped(
      `target ${targetId} takes ${named(claimed)} to be node ${node.nodeId}'s: somebody else moves slots (redis-cli --cluster reshard, fix): let it end, or end it`,
    );
  }
}

function epochTrouble(
  { sourceId, targetId }: Pick<SlotMove, 'sourceId' | 'targetId'>,
  {
    own,
    seen,
    taker,
    settledEpochs,
    told,
  }: {
    readonly own: NodeView;
    readonly seen: NodeView | null;
    readonly taker: NodeView;
    readonly settledEpochs: SettledEpochs | undefined;
    /** Lines of source and target. */
    readonly told: readonly (readonly string[])[];
  },
): string | null {
  const epoch = own.configEpoch;
  if (seen !== null && seen.health !== 'ok')
    return `target ${targetId} cannot reach source ${sourceId}, and a failover may run; see that they reach each other's cluster bus ports`;
  if (seen === null || seen.configEpoch !== epoch)
    return `target ${targetId} knows epoch ${seen?.configEpoch ?? 'none'} of source ${sourceId}, which has ${epoch}: it might take no greater one; see that they reach each other's cluster bus ports`;
  for (const lines of told) {
    const other = mastersOfEpoch(lines, epoch).find((nodeId) => nodeId !== sourceId);
    if (other !== undefined)
      return `node ${other} and source ${sourceId} both have epoch ${epoch}, and one takes a new one at any moment`;
  }
  if (settledEpochs === undefined) return null;
  if (settledEpochs.source !== epoch)
    return `epoch of source ${sourceId} was ${settledEpochs.source} when the move began and is ${epoch}: somebody else changes who owns its slots (redis-cli --cluster reshard)`;
  if (taker.configEpoch < settledEpochs.target)
    return `epoch of target ${targetId} was ${settledEpochs.target} when the move began and is ${taker.configEpoch}: it has come back with an older nodes.conf`;
  return null;
}

function lineOf(lines: readonly string[], nodeId: string): NodeView | null {
  const line = lines.find((one) => one.startsWith(`${nodeId} `));
  return line === undefined ? null : (parseClusterNodes(line, '')[0] ?? null);
}

/** Ids of the masters that a node takes to be there, and to have an epoch. */
function mastersOfEpoch(lines: readonly string[], epoch: number): readonly string[] {
  return lines.flatMap((line) => {
    const [nodeId, , flagList, , , , configEpoch] = line.split(' ', 7);
    const flags = flagList?.split(',') ?? [];
    const isThere = flags.includes('master') && !GONE_FLAGS.some((flag) => flags.includes(flag));
    return isThere && Number(configEpoch) === epoch ? [nodeId as string] : [];
  });
}

const owns = ({ slots }: NodeView, slot: number): boolean =>
  slots.some(([first, last]) => first <= slot && slot <= last);

function named(slots: readonly number[]): string {
  const more = slots.length > NAMED_SLOTS_MAX ? ` and ${slots.length - NAMED_SLOTS_MAX} more` : '';
  return `slot${slots.length === 1 ? '' : 's'} ${slots.slice(0, NAMED_SLOTS_MAX).join(', ')}${more}`;
}
