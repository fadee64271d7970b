import { assertMayCommit } from '../claims/commit-guard.ts';
import { type RedisCommand, RedisRefusal, textOf } from '../server/redis-node.ts';
import { type SlotMove, SlotMoveStopped } from '../steps/slot-move.ts';
import { ask, type Steps } from '../steps/steps.ts';
import { setSlots } from './set-slots.ts';
import { assertSourceIsKnown, runIdIn } from './slot-standing.ts';

/**
 * The target first: it takes a new configuration epoch, by which all nodes believe it. If the source went first, and the
 * target died, nobody would own the slot. The other masters would learn by gossip; being told spares their clients a redirect.
 * One after the other: each may sync its config file, which holds it for longer while another does.
 *
 * @throws SlotMoveStopped before anything is sent, when the target would not be believed, and when a node refuses.
 */
export function* commitSlots(
  move: SlotMove,
  { drained, taken, done }: Readonly<Record<'drained' | 'taken' | 'done', readonly number[]>>,
): Steps<void> {
  const { sourceId, targetId, otherMasterIds } = move;
  const assign = (slot: number): RedisCommand => ['CLUSTER', 'SETSLOT', slot, 'NODE', targetId];
  yield* takeSlots(move, drained, assign);
  // The source may hear again of what it has handed over.
  const all = [...drained, ...taken, ...done];
  yield* setSlots(sourceId, all, assign);
  // What the others answer decides nothing.
  if (all.length > 0) yield { to: otherMasterIds, commands: all.map(assign) };
}

/**
 * A target that takes a slot while it imports it tells all nodes at once, slot by slot, and each of them goes through all 16,384 slots
 * for each message: with 16 slots together that held source and other masters for 1.3 ms, which was most of what clients noticed of a move.
 * A slot that is not imported any more is taken without a word. So all but the last are closed and taken first, and the last tells
 * of all. It is a transaction: closed and not taken, a slot whose keys have arrived would be served by nobody. The last is opened once more: if
 * somebody else had closed it, the target would take no epoch, and give back all of them, with their keys, for any word of a source of a greater one.
 *
 * @see https://redis.io/docs/latest/commands/cluster-setslot/ (NODE: the epoch is taken, and told, where a slot is being imported)
 */
function* takeSlots(
  move: SlotMove,
  slots: readonly number[],
  assign: (slot: number) => RedisCommand,
): Steps<void> {
  if (slots.length === 0) return;
  const { sourceId, targetId } = move;
  if (yield* mayTakeAtOnce(move, slots)) {
    const silent = slots.slice(0, -1);
    const commands = [
      ...silent.flatMap((slot) => [stable(slot), assign(slot)]),
      ['CLUSTER', 'SETSLOT', slots.at(-1) as number, 'IMPORTING', sourceId],
      assign(slots.at(-1) as number),
    ];
    const taken = (yield* ask(targetId, [['MULTI'], ...commands, ['EXEC']])).at(-1);
    const refusal = Array.isArray(taken) ? taken.find((reply) => reply instanceof RedisRefusal) : undefined;
    if (refusal !== undefined)
      throw new SlotMoveStopped(`node ${targetId} refuses to take its slots: ${refusal.message}`);
    if (Array.isArray(taken)) return;
    // Our user may not be allowed transactions: nothing has happened then, or all has, and may again.
  }
  yield* setSlots(targetId, slots, assign);
}

const stable = (slot: number): RedisCommand => ['CLUSTER', 'SETSLOT', slot, 'STABLE'];

/**
 * Looks at both sides once more, in one round trip.
 *
 * @returns whether slots may be taken in a transaction: a Valkey with replicas has them acknowledge each SETSLOT before it does as it is
 *   told, and that is no matter for one.
 */
function* mayTakeAtOnce(move: SlotMove, slots: readonly number[]): Steps<boolean> {
  const { sourceId, targetId } = move;
  const [ofSource = [], ofTarget = []] = yield {
    to: [sourceId, targetId],
    commands: [
      ['CLUSTER', 'NODES'],
      ['INFO', 'server'],
      ['INFO', 'replication'],
    ],
  };
  assertMayCommit(move, slots, { source: textOf(ofSource[0]), target: textOf(ofTarget[0]) });
  // With the older data of its file it may have keys again that it has handed over.
  assertSourceIsKnown(move, runIdIn(ofSource[1]));
  const [, server, replication] = ofTarget;
  return !/^valkey_version:/m.test(textOf(server)) || /^connected_slaves:0\r?$/m.test(textOf(replication));
}
