import { atOnce, type Sliced } from '../../base/slices.ts';
import { PlacementState } from '../cost-model.ts';
import type { PlacementInstance } from '../instance.ts';
import { movingLegally } from './crossover.ts';

export interface Elite {
  /** i32[partition]; not to be changed. */
  readonly ownerOf: Int32Array;
  /** By the f64 objective. */
  readonly cost: number;
}

/** The best different maps met so far, best first. Its content depends on the order in which maps are offered. */
export class Elites {
  readonly instance: PlacementInstance;
  readonly #most: number;
  readonly #elites: Elite[] = [];
  readonly #start: Elite;

  /** @param start the best of them until the first is offered. */
  constructor(instance: PlacementInstance, start: Int32Array, most: number) {
    this.instance = instance;
    this.#most = most;
    this.#start = { ownerOf: start, cost: Number.POSITIVE_INFINITY };
  }

  get best(): Elite {
    return this.#elites[0] ?? this.#start;
  }

  get all(): readonly Elite[] {
    return this.#elites.length > 0 ? this.#elites : [this.#start];
  }

  /**
   * Takes a map in if it is new and good enough. Moves that the rules forbid are left out first: a search may not know all of
   * them. Returns whether it is the new best.
   */
  offer(suggested: Int32Array): boolean {
    return atOnce(this.offering(suggested));
  }

  /** {@link offer} in slices; what is kept changes in the last of them alone. */
  *offering(suggested: Int32Array): Sliced<boolean> {
    const ownerOf = (yield* movingLegally(this.instance, suggested)).ownerOf;
    yield;
    const cost = (yield* PlacementState.building(this.instance, ownerOf)).cost();
    const place = this.#elites.findIndex((elite) => cost <= elite.cost);
    const at = place < 0 ? this.#elites.length : place;
    if (at >= this.#most) return false;
    // The same map has the same cost to the last bit, as the sums are taken in the same order.
    for (let i = at; i < this.#elites.length && this.#elites[i]?.cost === cost; i++)
      if (isSameMap((this.#elites[i] as Elite).ownerOf, ownerOf)) return false;
    this.#elites.splice(at, 0, { ownerOf, cost });
    if (this.#elites.length > this.#most) this.#elites.pop();
    return at === 0;
  }
}

function isSameMap(a: Int32Array, b: Int32Array): boolean {
  for (let p = 0; p < a.length; p++) if (a[p] !== b[p]) return false;
  return true;
}
