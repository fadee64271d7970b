import type { Clock } from '../../../src/base/clock.ts';
import type { IoredisNode } from './ioredis-node.ts';
import { LatencyProbe } from './latency-probe.ts';
import { moveSlots } from './move-slots.ts';
import { Pace } from './pace.ts';
import { numberOf, type RedisNodes } from './redis-node.ts';
import type { RedisSettings } from './redis-settings.ts';
import type { MoveLimits, SlotMove, SlotMoveOutcome } from './slot-move.ts';
import { runSteps, type StepComponents } from './step-runner.ts';
import { askEach, type Steps } from './steps.ts';

/** Slots stay open for as long as their window's keys take: a second or two of this many small ones. */
const WINDOW_KEYS_MAX = 20_000;

export interface SlotMoverComponents {
  readonly nodes: RedisNodes & {
    /** A connection that nothing else uses. */
    dedicated(nodeId: string): IoredisNode;
  };
  readonly clock: Clock;
  /** Asked before every write. @throws when this process must send nothing more. */
  readonly assertMaySend: () => void;
}

export interface MoveProgress {
  /** Whether another window may be opened. False for a pause or a cancel: what is open is finished, never parked. */
  readonly mayOpenWindow: () => boolean | Promise<boolean>;
  readonly onWindow?: (outcome: SlotMoveOutcome) => void;
}

/** Moves slots window by window, at a pace that clients bear. */
export class SlotMover {
  readonly #settings: RedisSettings;
  readonly #components: SlotMoverComponents;
  readonly #pace: Pace;

  constructor(settings: RedisSettings, components: SlotMoverComponents) {
    this.#settings = settings;
    this.#components = components;
    this.#pace = new Pace(settings.slotMove);
  }

  get pace(): Pick<Pace, 'pieceKeys' | 'pauseMs'> {
    return this.#pace;
  }

  /**
   * @returns what became of each window that was begun, in order.
   * @throws SlotMoveStopped, ForeshardError FORESHARD_UNAVAILABLE: slots of the last window may be open, and serve.
   */
  async move(move: SlotMove, { mayOpenWindow, onWindow }: MoveProgress): Promise<readonly SlotMoveOutcome[]> {
    const { nodes, clock } = this.#components;
    const outcomes: SlotMoveOutcome[] = [];
    const probe = new LatencyProbe([nodes.dedicated(move.sourceId), nodes.dedicated(move.targetId)], {
      clock,
      onLatency: (p99Ms) => this.#pace.onLatency(p99Ms),
    });
    try {
      for (const slots of await this.run(windowsOf(move, this.#settings.slotMove.windowSlotsMax))) {
        if (!(await mayOpenWindow())) break;
        const outcome = await this.run(moveSlots({ ...move, slots }, this.limits()));
        outcomes.push(outcome);
        onWindow?.(outcome);
      }
    } finally {
      await probe.close();
    }
    return outcomes;
  }

  run<Result>(steps: Steps<Result>): Promise<Result> {
    const { nodes, clock, assertMaySend } = this.#components;
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

/** Parts of a move that are open together: of so many slots, and not too many keys, at most. */
function* windowsOf(move: SlotMove, slotsMax: number): Steps<readonly (readonly number[])[]> {
  const counts = yield* askEach(move.sourceId, move.slots, (slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot]);
  const windows: number[][] = [];
  let keyCount = 0;
  move.slots.forEach((slot, index) => {
    const keys = numberOf(counts[index]);
    const last = windows.at(-1);
    if (last === undefined || last.length >= slotsMax || keyCount + keys > WINDOW_KEYS_MAX) {
      windows.push([slot]);
      keyCount = keys;
    } else {
      last.push(slot);
      keyCount += keys;
    }
  });
  return windows;
}
