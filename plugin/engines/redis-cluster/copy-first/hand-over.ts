import { numberOf, type RedisCommand, RedisRefusal, type RedisReply, textOf } from '../server/redis-node.ts';
import { commitSlots } from '../slots/commit-slots.ts';
import { waitForReplicas } from '../slots/replica-wait.ts';
import { runIdOf } from '../slots/slot-standing.ts';
import { type MoveLimits, type SlotMove, SlotMoveStopped } from '../steps/slot-move.ts';
import { ask, LOOK_WEIGHT, type Steps } from '../steps/steps.ts';
import { HAND_OVER_SCRIPT, NOT_HANDED_OVER } from './scripts.ts';
import { dropCopies, type KeyCopy, purgeCopies, type SlotCopies, unlinkCopies } from './slot-copies.ts';

/**
 * A hand-over that the source reads later than this is refused by it: whoever takes over from an agent that has died waits for so long,
 * and knows then that copies are not the keys yet, and never will be.
 */
export const HAND_OVER_MS_MAX = 1_000;
/** A slot whose keys change so fast that some differ each time goes without its copies after so many. */
const ROUNDS_MAX = 8;

export interface HandedOver {
  /** All keys of these were handed over. They are the target's. */
  readonly committedSlots: readonly number[];
  /** Open still: keys are left at the source, which have no copy. */
  readonly openSlots: readonly number[];
  readonly keyCount: number;
  /** Closed as before, and without copies: why the source would not. */
  readonly refused: ReadonlyMap<number, RedisRefusal>;
}

/**
 * Makes copies the keys: slot by slot, at one moment each, and only where no copy is at the target that is not its key's. A slot of which
 * nothing is left becomes the target's at once: the less time between the two, the fewer clients are sent around.
 *
 * @throws SlotMoveStopped when the target was restarted since the copies were sent: what it has is not known then.
 */
export function* handOver(
  move: SlotMove,
  copies: SlotCopies,
  {
    targetRunId,
    ...limits
  }: Pick<MoveLimits, 'replicasMin' | 'replicaWaitMs'> & { readonly targetRunId: string },
): Steps<HandedOver> {
  let pending = new Map(yield* purgeCopies(move, copies));
  const [committedSlots, openSlots]: [number[], number[]] = [[], []];
  const refused = new Map<number, RedisRefusal>();
  let keyCount = 0;
  for (let round = 1; pending.size > 0; round++) {
    if ((yield* runIdOf(move.targetId)) !== targetRunId)
      throw new SlotMoveStopped(`target ${move.targetId} was restarted while copies of keys were at it`);
    // One that takes over from the target must have all copies, and none that is stale.
    yield* waitForReplicas(move.targetId, limits);
    const asked = [...pending];
    const replies = yield* handOverAtOnce(move, asked);
    const again = new Map<number, readonly KeyCopy[]>();
    const stale: KeyCopy[] = [];
    const emptied: number[] = [];
    for (const [index, [slot, of]] of asked.entries()) {
      const reply = replies[index];
      if (reply instanceof RedisRefusal) refused.set(slot, reply);
      else {
        const [left, ...places] = (reply as readonly RedisReply[]).map(numberOf);
        if (left !== NOT_HANDED_OVER) {
          (left === 0 ? emptied : openSlots).push(slot);
          keyCount += of.length;
          continue;
        }
        const changed = new Set(places.map((place) => of[place - 1]));
        const isGivenUp = round >= ROUNDS_MAX;
        stale.push(...of.filter((copy) => isGivenUp || changed.has(copy)));
        again.set(slot, isGivenUp ? [] : of.filter((copy) => !changed.has(copy)));
      }
    }
    yield* commitSlots(move, { drained: emptied, taken: [], done: [] });
    committedSlots.push(...emptied);
    yield* unlinkCopies(
      move,
      stale.map(({ key }) => key),
    );
    pending = again;
  }
  yield* dropCopies(move, [...refused.keys()]);
  return { committedSlots, openSlots, keyCount, refused };
}

function* handOverAtOnce(
  { sourceId, targetId }: SlotMove,
  asked: readonly (readonly [slot: number, copies: readonly KeyCopy[]])[],
): Steps<readonly RedisReply[]> {
  const deadlineMs = (yield* timeOf(sourceId)) + HAND_OVER_MS_MAX;
  return yield* ask(
    sourceId,
    asked.map(
      ([slot, copies]): RedisCommand => [
        ...['EVAL', HAND_OVER_SCRIPT, copies.length, ...copies.map(({ key }) => key)],
        ...[slot, targetId, deadlineMs],
        ...copies.flatMap(({ digest }) => [digest.contents, digest.expiresAtMs]),
      ],
    ),
    // Each looks at all keys of its slot.
    { weights: asked.map(([, copies]) => (1 + copies.length) * LOOK_WEIGHT), setsPace: false },
  );
}

/** Of a server's clock, ms since 1970. */
export function* timeOf(nodeId: string): Steps<number> {
  const [reply] = yield* ask(nodeId, [['TIME']]);
  const [seconds, micros] = reply as readonly RedisReply[];
  return Number(textOf(seconds)) * 1_000 + Math.floor(Number(textOf(micros)) / 1_000);
}
