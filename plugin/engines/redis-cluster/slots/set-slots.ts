import { type RedisCommand, RedisRefusal } from '../server/redis-node.ts';
import { SlotMoveStopped } from '../steps/slot-move.ts';
import { ask, type Steps } from '../steps/steps.ts';

/** One command for each slot, in one write. @throws SlotMoveStopped with what the node has refused first. */
export function* setSlots(
  nodeId: string,
  slots: readonly number[],
  command: (slot: number) => RedisCommand,
): Steps<void> {
  const replies = yield* ask(nodeId, slots.map(command));
  for (const [index, slot] of slots.entries()) {
    const reply = replies[index];
    if (!(reply instanceof RedisRefusal)) continue;
    throw new SlotMoveStopped(
      `slot ${slot}: node ${nodeId}: ${command(slot).slice(1).join(' ')}: ${reply.message}`,
    );
  }
}
