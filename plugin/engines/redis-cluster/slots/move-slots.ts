import { numberOf } from '../server/redis-node.ts';
import { type MoveLimits, type SlotMove, type SlotMoveOutcome, SlotMoveStopped } from '../steps/slot-move.ts';
import { askEach, type Steps } from '../steps/steps.ts';
import { type ScannedSlots, scanForBigKeys } from './big-keys.ts';
import { commitSlots } from './commit-slots.ts';
import { drainSlots, migrateCommand } from './drain-slots.ts';
import { moveSample } from './key-sample.ts';
import { waitForReplicas } from './replica-wait.ts';
import { setSlots } from './set-slots.ts';
import { assertSourceIsKnown, type SlotStanding, standingsOf } from './slot-standing.ts';

/**
 * Moves slots, all of them through each stage together: one write a stage and node, and one sync of a node's config file,
 * whatever their number. It begins by looking, so that it also goes on with what another has begun and not ended.
 *
 * @param scanned what has been found in the slots a moment ago, where somebody has looked.
 * @throws SlotMoveStopped when the cluster is not as it has to be; what is open stays open and serves, by ASK redirects.
 * @see https://redis.io/docs/latest/commands/cluster-setslot/ (live resharding)
 */
export function* moveSlots(
  move: SlotMove,
  limits: MoveLimits,
  scanned?: ScannedSlots,
): Steps<SlotMoveOutcome> {
  const { standingOf, sourceRunId } = yield* standingsOf(move);
  assertSourceIsKnown(move, sourceRunId);
  const inStanding = (standing: SlotStanding): number[] =>
    move.slots.filter((slot) => standingOf.get(slot) === standing);

  const closed = inStanding('closed');
  const { keysOf, bigKeys, fullSlots } =
    scanned === undefined ? yield* scanForBigKeys(move.sourceId, closed, limits) : ofSlots(scanned, closed);
  const open = [...inStanding('open'), ...keysOf.keys()];
  yield* openSlots(move, open);
  const sample = yield* moveSample(move, sampledKeys(keysOf, limits.sampleShare), (key) =>
    migrateCommand(move, [key], { ...limits, replaces: false }),
  );
  const gone = new Set(sample.movedKeys);
  const leftOf = new Map([...keysOf].map(([slot, keys]) => [slot, keys.filter((key) => !gone.has(key))]));
  const drainage = yield* drainSlots({ ...move, sourceRunId }, open, { keysOf: leftOf, limits });
  const { movedKeyCount, conflictingKeys } = drainage;
  const stuck = new Set(conflictingKeys.map(({ slot }) => slot));
  const drained = open.filter((slot) => !stuck.has(slot));
  yield* assertNothingLeft(move.sourceId, drained);
  yield* waitForReplicas(move.targetId, limits);
  yield* commitSlots(
    { ...move, sourceRunId },
    { drained, taken: inStanding('taken'), done: inStanding('done') },
  );
  return {
    committedSlots: [...drained, ...inStanding('taken'), ...inStanding('done')].sort((a, b) => a - b),
    bigKeys,
    fullSlots,
    conflictingKeys,
    lostSlots: inStanding('lost'),
    movedKeyCount: movedKeyCount + sample.movedKeys.length,
    sample: sample.report,
  };
}

function ofSlots({ keysOf, bigKeys, fullSlots }: ScannedSlots, slots: readonly number[]): ScannedSlots {
  const wanted = new Set(slots);
  return {
    keysOf: new Map([...keysOf].filter(([slot]) => wanted.has(slot))),
    bigKeys: bigKeys.filter(({ slot }) => wanted.has(slot)),
    fullSlots: fullSlots.filter(({ slot }) => wanted.has(slot)),
  };
}

/**
 * While it imports a slot, a target does not learn that the source has failed over: of the slot nobody is the owner then, for which it
 * refuses every query of every slot, MIGRATEs of ours among them (CLUSTERDOWN), until it is told. So it is told of all that is open
 * before any window of the move begins, whose slots may be fewer.
 */
export function* nameOwnerOfOpenSlots(move: SlotMove): Steps<void> {
  if (!move.isSourcePromoted) return;
  const { standingOf } = yield* standingsOf(move);
  const open = move.slots.filter((slot) => standingOf.get(slot) === 'open');
  yield* nameOwner(move, open);
  yield* setSlots(move.targetId, open, (slot) => ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', move.sourceId]);
}

const nameOwner = ({ sourceId, targetId }: SlotMove, slots: readonly number[]): Steps<void> =>
  setSlots(targetId, slots, (slot) => ['CLUSTER', 'SETSLOT', slot, 'NODE', sourceId]);

/** The target first: a client that is redirected must find it ready. Repeating it changes nothing. */
function* openSlots(move: SlotMove, slots: readonly number[]): Steps<void> {
  const { sourceId, targetId, isSourcePromoted } = move;
  if (isSourcePromoted) yield* nameOwner(move, slots);
  yield* setSlots(targetId, slots, (slot) => ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId]);
  yield* setSlots(sourceId, slots, (slot) => ['CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId]);
}

function* assertNothingLeft(sourceId: string, slots: readonly number[]): Steps<void> {
  const counts = yield* askEach(sourceId, slots, (slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot]);
  const left = slots.filter((_, index) => numberOf(counts[index]) > 0);
  if (left.length > 0) throw new SlotMoveStopped(`slot ${left[0]}: keys have come back at the source`);
}

/**
 * Gives up slots that were opened: possible only while no key has moved.
 *
 * @returns those that have to go on, since keys are at the target.
 */
export function* closeUnmoved(move: SlotMove): Steps<readonly number[]> {
  const { standingOf } = yield* standingsOf(move);
  const open = move.slots.filter((slot) => standingOf.get(slot) === 'open');
  const begun = move.slots.filter((slot) => standingOf.get(slot) === 'taken');
  const untouched = yield* emptyAt(move.targetId, open);
  // The target first: it sends clients back from now on, so that none can make a key there, nor a late MIGRATE put one. If
  // the source went first, a key that is made there again would hide the one that a client has just made at the target.
  yield* setSlots(move.targetId, untouched, (slot) => ['CLUSTER', 'SETSLOT', slot, 'STABLE']);
  const closed = new Set(yield* emptyAt(move.targetId, untouched));
  yield* setSlots(move.sourceId, [...closed], (slot) => ['CLUSTER', 'SETSLOT', slot, 'STABLE']);
  const reopened = untouched.filter((slot) => !closed.has(slot));
  yield* setSlots(move.targetId, reopened, (slot) => [
    'CLUSTER',
    'SETSLOT',
    slot,
    'IMPORTING',
    move.sourceId,
  ]);
  return [...open.filter((slot) => !closed.has(slot)), ...begun];
}

function* emptyAt(nodeId: string, slots: readonly number[]): Steps<number[]> {
  const counts = yield* askEach(nodeId, slots, (slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot]);
  return slots.filter((_, index) => numberOf(counts[index]) === 0);
}

/** Every so many keys, at least one where there are any. */
function sampledKeys(keysOf: ReadonlyMap<number, readonly Buffer[]>, share: number): readonly Buffer[] {
  if (share <= 0) return [];
  const keys = [...keysOf.values()].flat();
  const stride = Math.max(1, Math.floor(1 / share));
  return keys.filter((_, index) => index % stride === 0);
}
