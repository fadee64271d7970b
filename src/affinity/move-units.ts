import type { PlacementState } from './cost-model.ts';
import { movePriceTo } from './move-price.ts';
import { groupsOf } from './rules/rule-state.ts';

/** Moves that stand or fall together, and what they are worth together. */
export interface MoveUnit {
  /** The one that was asked about first. */
  readonly partitions: readonly number[];
  /** Rise of the objective if all of them were left out, prices not counted; index points. */
  readonly gain: number;
  /** Prices of all of them. */
  readonly cost: number;
}

/** Looked at to make way for one that goes home: a full node may have received thousands, and any few of them will do. */
const COMERS_MAX = 64;

/**
 * What a move is worth, on a map that it is a part of. Most can be left out alone. One whose place was taken by others, or
 * whose going lets others come, cannot: what comes after it goes home with it, and so do the members of a set that keeps
 * together. So a move that only makes room has a loss of its own, and a gain as a part of its unit.
 */
export class MoveUnits {
  readonly #state: PlacementState;
  readonly #membersOf: ReadonlyMap<number, readonly number[]>;

  /**
   * @param state the map with all moves; changed while a unit is looked at, and put back.
   * @param together sets of partitions that move as one.
   */
  constructor(state: PlacementState, together: readonly (readonly number[])[] = []) {
    this.#state = state;
    this.#membersOf = new Map(together.flatMap((members) => members.map((p) => [p, members] as const)));
  }

  /** @param partition away from home. */
  unitOf(partition: number): MoveUnit {
    const state = this.#state;
    const { home } = state.instance;
    const targets = new Map<number, number>();
    const isAlone = !this.#membersOf.has(partition) && state.canMove(partition, home[partition] as number);
    let loss: number;
    if (isAlone) {
      targets.set(partition, state.ownerOf[partition] as number);
      loss = state.moveDelta(partition, home[partition] as number);
    } else {
      const before = state.cost();
      this.#sendHome(partition, targets);
      loss = state.cost() - before;
      for (const [p, target] of [...targets].reverse()) state.move(p, target);
    }
    let cost = 0;
    for (const [p, target] of targets) cost += movePriceTo(state.instance, p, target);
    return {
      partitions: [partition, ...[...targets.keys()].filter((p) => p !== partition)],
      gain: loss + cost,
      cost,
    };
  }

  /** Sends a partition home, and before it whoever is in its way there; `targets` says where they were, in that order. */
  #sendHome(partition: number, targets: Map<number, number>): void {
    const state = this.#state;
    const members = this.#membersOf.get(partition) ?? [partition];
    const going = members.filter((p) => !targets.has(p) && state.ownerOf[p] !== state.instance.home[p]);
    // Noted before they go, so that two in each other's way do not wait for each other.
    for (const p of going) targets.set(p, state.ownerOf[p] as number);
    for (const p of going) {
      for (const comer of this.#inTheWay(p)) {
        if (state.canMove(p, state.instance.home[p] as number)) break;
        if (!targets.has(comer)) this.#sendHome(comer, targets);
      }
    }
    for (const p of going) state.move(p, state.instance.home[p] as number);
  }

  /** Who has come to where it was, or belongs to its group; those first whose return costs least. */
  #inTheWay(partition: number): number[] {
    const state = this.#state;
    const { home, partitionCount } = state.instance;
    const own = home[partition] as number;
    const refusal = state.refusal(partition, own);
    if (refusal === null) return [];
    const groups = new Set(groupsOf(state.instance, partition));
    const isOfGroup = (p: number): boolean => groupsOf(state.instance, p).some((group) => groups.has(group));
    const found: { partition: number; loss: number }[] = [];
    for (let p = 0; p < partitionCount && found.length < COMERS_MAX; p++) {
      if (p === partition || state.ownerOf[p] === home[p]) continue;
      const isThere = state.ownerOf[p] === own;
      if (refusal === 'zones-min' ? !isOfGroup(p) : !isThere || (refusal === 'apart' && !isOfGroup(p)))
        continue;
      found.push({ partition: p, loss: state.moveDelta(p, home[p] as number) });
    }
    return found.sort((a, b) => a.loss - b.loss || a.partition - b.partition).map((comer) => comer.partition);
  }
}
