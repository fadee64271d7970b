import type { Clock } from '../../../../src/base/clock.ts';
import { numberOf } from '../server/redis-node.ts';
import type { ScannedSlots } from '../slots/big-keys.ts';
import { moveSlots } from '../slots/move-slots.ts';
import type { SlotMover } from '../slots/slot-mover.ts';
import { runIdOf, standingsOf, viewOf } from '../slots/slot-standing.ts';
import type { SlotMove, SlotMoveOutcome } from '../steps/slot-move.ts';
import { askEach, type Steps } from '../steps/steps.ts';
import { compareCopies } from './compare-copies.ts';
import { HAND_OVER_MS_MAX, handOver, timeOf } from './hand-over.ts';
import { copySlots, dropCopies, listCopies } from './slot-copies.ts';

/**
 * What is written down of copies before they are made: whoever finds keys of an unopened slot at its target has to know what they are.
 *
 *   (none) --> copying --> handing-over --> (none)
 *
 * While `copying`, the source alone answers, whatever the target has. From `handing-over` on, a slot that is open at the source has
 * been handed over: what its target has are the keys.
 */
export interface CopiesRecord {
  readonly slots: readonly number[];
  readonly stage: 'copying' | 'handing-over';
  /** While `handing-over`: who is asked to. A failover changes the epoch, and makes the node forget what is open. */
  readonly source?: { readonly nodeId: string; readonly configEpoch: number };
}

export interface CopyFirstOrders {
  /** Resolves when it is written down. */
  readonly note: (copies: CopiesRecord) => Promise<void>;
  /** Whether to hand over what has been copied: giving up costs nothing until then. */
  readonly mayHandOver: () => Promise<boolean>;
}

/** What is added to the wait for a hand-over of a dead agent to be too late. */
const LATE_MS = 100;

/**
 * Copies the keys of a window of slots while the source goes on as if nothing were, compares them, and then makes the copies the keys,
 * slot by slot at one moment each: what has changed since its copy is all that moves while the slot is open.
 */
export class CopyFirstMover {
  readonly #components: { readonly mover: Pick<SlotMover, 'run' | 'limits'>; readonly clock: Clock };

  constructor(components: { readonly mover: Pick<SlotMover, 'run' | 'limits'>; readonly clock: Clock }) {
    this.#components = components;
  }

  /**
   * @param scanned keys of the window, and what must not be moved.
   * @throws SlotMoveStopped, ForeshardError FORESHARD_UNAVAILABLE: copies may be at the target then; `reclaim` comes before all else.
   */
  async moveWindow(
    window: SlotMove,
    scanned: ScannedSlots,
    { note, mayHandOver }: CopyFirstOrders,
  ): Promise<SlotMoveOutcome> {
    const { mover } = this.#components;
    const limits = mover.limits();
    const keysOf = await mover.run(closedKeys(window, scanned));
    const slots = [...keysOf.keys()];
    await note({ slots, stage: 'copying' });
    const targetRunId = await mover.run(runIdOf(window.targetId));
    const copies = await mover.run(copySlots(window, keysOf, limits));
    const { alike, report } = await mover.run(compareCopies(window, copies));
    if (!(await mayHandOver())) {
      await mover.run(dropCopies(window, slots));
      return { ...NOTHING_MOVED, sample: report };
    }
    const { nodeId, configEpoch } = await mover.run(viewOf(window.sourceId));
    await note({ slots, stage: 'handing-over', source: { nodeId, configEpoch } });
    const handed = await mover.run(handOver(window, alike, { ...limits, targetRunId }));
    const left = new Map([...keysOf].map(([slot, keys]) => [slot, handed.refused.has(slot) ? keys : []]));
    const rest = window.slots.filter((slot) => !handed.committedSlots.includes(slot));
    const outcome =
      rest.length === 0
        ? NOTHING_MOVED
        : await mover.run(moveSlots({ ...window, slots: rest }, limits, { ...scanned, keysOf: left }));
    return {
      ...outcome,
      committedSlots: [...handed.committedSlots, ...outcome.committedSlots].sort((a, b) => a - b),
      movedKeyCount: outcome.movedKeyCount + handed.keyCount,
      sample: {
        checkedCount: outcome.sample.checkedCount + report.checkedCount,
        differing: [...report.differing, ...outcome.sample.differing],
      },
    };
  }

  /**
   * Removes the copies that an agent has left behind. What it has sent to the source may still be on its way: a hand-over that is carried
   * out after its copies were removed would be a loss, so that none can be any more when that begins.
   *
   * @returns the slots that are as if nothing had been.
   */
  async reclaim(move: SlotMove, copies: CopiesRecord): Promise<readonly number[]> {
    const { mover, clock } = this.#components;
    const { slots, stage } = copies;
    const ours = slots.filter((slot) => move.slots.includes(slot));
    if (ours.length === 0) return [];
    if (stage === 'handing-over') {
      const fromMs = await mover.run(timeOf(move.sourceId));
      while ((await mover.run(timeOf(move.sourceId))) <= fromMs + HAND_OVER_MS_MAX)
        await clock.sleep(LATE_MS);
    }
    return mover.run(dropUnopened({ ...move, slots: ours }, copies));
  }
}

/**
 * A source that was promoted since does not know what had been handed over: what its target has may be the keys, and counts, as in any
 * open slot. One that was restarted knows, unless its machine died as well.
 */
function* dropUnopened(move: SlotMove, { stage, source }: CopiesRecord): Steps<readonly number[]> {
  const { nodeId, configEpoch, openSlots } = yield* viewOf(move.sourceId);
  const isTheSame = nodeId === source?.nodeId && configEpoch === source.configEpoch;
  if (stage === 'handing-over' && !isTheSame) return [];
  const isOpen = new Set(openSlots.filter(({ kind }) => kind === 'migrating').map(({ slot }) => slot));
  const { standingOf } = yield* standingsOf(move);
  const isTheSources = (slot: number): boolean =>
    standingOf.get(slot) === 'open' || standingOf.get(slot) === 'closed';
  const unopened = move.slots.filter((slot) => isTheSources(slot) && !isOpen.has(slot));
  const isDoubtful = stage === 'handing-over' && move.isSourcePromoted;
  const dropped = isDoubtful ? yield* withKeysLeft(move, unopened) : unopened;
  yield* dropCopies(move, dropped);
  return dropped;
}

/** A hand-over deletes all keys that were copied: where one of them is at the source, what the source remembers is older. */
function* withKeysLeft(move: SlotMove, slots: readonly number[]): Steps<readonly number[]> {
  const copied = (yield* listCopies(move, slots)).flatMap((keys, index) =>
    keys.map((key) => ({ slot: slots[index] as number, key })),
  );
  const there = yield* askEach(move.sourceId, copied, ({ key }) => ['EXISTS', key]);
  const kept = new Set(copied.filter((_, index) => numberOf(there[index]) > 0).map(({ slot }) => slot));
  return slots.filter((slot) => kept.has(slot));
}

function* closedKeys(
  move: SlotMove,
  { keysOf }: ScannedSlots,
): Steps<ReadonlyMap<number, readonly Buffer[]>> {
  const { standingOf } = yield* standingsOf(move);
  return new Map([...keysOf].filter(([slot]) => standingOf.get(slot) === 'closed'));
}

const NOTHING_MOVED: SlotMoveOutcome = {
  committedSlots: [],
  bigKeys: [],
  fullSlots: [],
  conflictingKeys: [],
  lostSlots: [],
  movedKeyCount: 0,
  sample: { checkedCount: 0, differing: [] },
};
