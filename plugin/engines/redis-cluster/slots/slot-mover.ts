import type { Clock } from '../../../../src/base/clock.ts';
import type { RedisSettings } from '../../../../src/redis-settings.ts';
import { whyUnprotected } from '../claims/settle-claims.ts';
import { SettledPairs } from '../claims/settled-pairs.ts';
import type { RedisConnection } from '../server/redis-connection.ts';
import { numberOf, type RedisNodes } from '../server/redis-node.ts';
import { ClientLoad } from '../steps/client-load.ts';
import { LatencyProbe } from '../steps/latency-probe.ts';
import { Pace } from '../steps/pace.ts';
import type { MoveLimits, SettledEpochs, SlotMove, SlotMoveOutcome } from '../steps/slot-move.ts';
import { runSteps, type StepComponents } from '../steps/step-runner.ts';
import { askEach, type Steps } from '../steps/steps.ts';
import { type ScannedSlots, scanForBigKeys } from './big-keys.ts';
import { moveSlots, nameOwnerOfOpenSlots } from './move-slots.ts';

/** Slots stay open for as long as their window's keys take: a second or two of this many small ones. */
const WINDOW_KEYS_MAX = 20_000;

export interface SlotMoverComponents {
  readonly nodes: RedisNodes & {
    /** A connection that nothing else uses. */
    dedicated(nodeId: string): RedisConnection;
    /** What changes something is told, and not sent: nodes are not made to hear of each other first. */
    readonly isOnlyTold?: boolean;
  };
  readonly clock: Clock;
  /** Asked before every write. @throws when this process must send nothing more. */
  readonly assertMaySend: () => void;
  /** Told why a target may give slots back that it takes (`settleClaims`). */
  readonly onUnprotected?: (why: string) => void;
}

export interface MoveProgress {
  /** Whether another window may be opened. False for a pause or a cancel: what is open is finished, never parked. */
  readonly mayOpenWindow: () => boolean | Promise<boolean>;
  readonly onWindow?: (outcome: SlotMoveOutcome) => void;
  /** How the slots of one window move, where they do not move by ASK from the beginning. */
  readonly moveWindow?: (window: SlotMove, scanned: ScannedSlots) => Promise<SlotMoveOutcome>;
}

/** Moves slots window by window, at a pace that clients bear. */
export class SlotMover {
  readonly #settings: RedisSettings;
  readonly #components: SlotMoverComponents;
  readonly #pace: Pace;
  readonly #settledPairs = new SettledPairs();

  constructor(settings: RedisSettings, components: SlotMoverComponents) {
    this.#settings = settings;
    this.#components = components;
    this.#pace = new Pace(settings.slotMove);
  }

  get pace(): Pick<Pace, 'pieceKeys' | 'pauseMs' | 'windowSlots'> {
    return this.#pace;
  }

  /**
   * @returns what became of each window that was begun, in order.
   * @throws SlotMoveStopped, ForeshardError FORESHARD_UNAVAILABLE: slots of the last window may be open, and serve.
   */
  async move(
    move: SlotMove,
    {
      mayOpenWindow,
      onWindow,
      moveWindow = (window, scanned) => this.#moveByAsk(window, scanned),
    }: MoveProgress,
  ): Promise<readonly SlotMoveOutcome[]> {
    const { nodes, clock } = this.#components;
    const outcomes: SlotMoveOutcome[] = [];
    const clients = new ClientLoad([move.sourceId, move.targetId], clock);
    // Looks do not queue up behind MIGRATEs.
    const scanner = nodes.dedicated(move.sourceId);
    const begin = (left: CountedSlot[]): NextWindow => {
      const slots = takeWindow(left, this.#pace.windowSlots);
      const scanned = this.#run(scanForBigKeys(move.sourceId, slots, this.limits()), { node: () => scanner });
      // Somebody waits for it below; until then a failure is nobody's surprise.
      scanned.catch(() => undefined);
      return { slots, scanned };
    };
    let next: NextWindow | null = null;
    const probe = new LatencyProbe([nodes.dedicated(move.sourceId), nodes.dedicated(move.targetId)], {
      clock,
      onLatency: (p99Ms) => this.#pace.onLatency(p99Ms),
    });
    try {
      this.#pace.beCareful();
      await this.run(clients.look(0));
      if (nodes.isOnlyTold !== true) await this.run(nameOwnerOfOpenSlots(move));
      const left = await this.run(countKeys(move));
      let settledEpochs: SettledEpochs | undefined;
      while (left.length > 0 || next !== null) {
        if (!(await mayOpenWindow())) break;
        const perSecond = await this.run(clients.look(sampleReadsOf(outcomes.at(-1))));
        if (perSecond !== null) this.#pace.onClients(perSecond);
        if (outcomes.length === 0) settledEpochs = await this.#settle(move);
        const { slots, scanned }: NextWindow = next ?? begin(left);
        // Where nobody asks, the keys of a window are looked at while those of the one before it move.
        next = left.length > 0 && this.#pace.looksAhead ? begin(left) : null;
        const startedMs = clock.monotonicMs();
        const outcome = await moveWindow(
          { ...move, slots, ...(settledEpochs === undefined ? {} : { settledEpochs }) },
          await scanned,
        );
        outcomes.push(outcome);
        onWindow?.(outcome);
        const isLast = left.length === 0 && next === null;
        const restMs = isLast ? 0 : this.#pace.restMs(clock.monotonicMs() - startedMs);
        if (restMs > 0) await clock.sleep(restMs);
      }
    } finally {
      await next?.scanned.catch(() => undefined);
      scanner.close();
      await probe.close();
    }
    return outcomes;
  }

  async #settle(move: SlotMove): Promise<SettledEpochs | undefined> {
    const { clock, nodes, onUnprotected } = this.#components;
    const { settle: mode } = this.#settings.slotMove;
    const run = <Result>(steps: Steps<Result>): Promise<Result> => this.run(steps);
    if (nodes.isOnlyTold === true) {
      const why = mode === 'off' ? null : await run(whyUnprotected(move));
      if (why !== null) onUnprotected?.(why);
      return undefined;
    }
    const { epochs, unprotected } = await this.#settledPairs.settle(move, { run, clock, mode });
    if (unprotected !== null) onUnprotected?.(unprotected);
    return epochs;
  }

  #moveByAsk(window: SlotMove, scanned: ScannedSlots): Promise<SlotMoveOutcome> {
    return this.run(moveSlots(window, this.limits(), scanned));
  }

  run<Result>(steps: Steps<Result>): Promise<Result> {
    return this.#run(steps, this.#components.nodes);
  }

  #run<Result>(steps: Steps<Result>, nodes: RedisNodes): Promise<Result> {
    const { clock, assertMaySend } = this.#components;
    const components: StepComponents = { nodes, clock, assertMaySend, pace: this.#pace };
    return runSteps(steps, components);
  }

  limits(): MoveLimits {
    const { slotMove, username, password } = this.#settings;
    return {
      ...slotMove,
      keysPerMigrate: () => this.#pace.keysPerMigrate,
      migrateLogin:
        password === null ? [] : username === null ? ['AUTH', password] : ['AUTH2', username, password],
    };
  }
}

/** Sampled keys are read on both sides. */
const sampleReadsOf = (outcome: SlotMoveOutcome | undefined): number =>
  (outcome?.sample.checkedCount ?? 0) * 2;

interface NextWindow {
  readonly slots: readonly number[];
  readonly scanned: Promise<ScannedSlots>;
}

interface CountedSlot {
  readonly slot: number;
  readonly keyCount: number;
}

function* countKeys({ sourceId, slots }: SlotMove): Steps<CountedSlot[]> {
  const counts = yield* askEach(sourceId, slots, (slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot]);
  return slots.map((slot, index) => ({ slot, keyCount: numberOf(counts[index]) }));
}

/** The next slots to be open together: so many, or as many as have not too many keys; at least one. */
function takeWindow(left: CountedSlot[], slotsMax: number): readonly number[] {
  let keyCount = 0;
  let slotCount = 0;
  while (slotCount < Math.min(slotsMax, left.length)) {
    keyCount += (left[slotCount] as CountedSlot).keyCount;
    if (slotCount > 0 && keyCount > WINDOW_KEYS_MAX) break;
    slotCount++;
  }
  return left.splice(0, slotCount).map(({ slot }) => slot);
}
