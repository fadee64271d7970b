import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import { asNodeId, asPartitionId } from '../model/ids.ts';
import type { Move, Proposal, Refusal } from '../model/proposal.ts';
import { lowerBound } from './bound.ts';
import { PlacementState } from './cost-model.ts';
import { explainMove } from './explain.ts';
import { greedy } from './greedy.ts';
import { buildInstance, type PlacementInputs, type PlacementInstance } from './instance.ts';
import type { Optimiser } from './optimiser.ts';
import { type AffinitySettings, assertAffinitySettings } from './settings.ts';

export interface AffinityComponents {
  readonly random: Random;
  readonly logger: Logger;
  /** Searches on from what the greedy descent found; usually the annealer. */
  readonly optimiser: Optimiser;
}

/** A map that was found, and what it is worth. */
interface Candidate {
  readonly ownerOf: Int32Array;
  readonly cost: number;
  readonly iterations: number;
}

/**
 * DATA AFFINITY MANAGER: current map + forecast + nodes -> proposal.
 *
 *   greedy descent -> search (kernel, f32) -> best by the f64 objective -> leave out what does not pay -> order -> explain
 *
 * The kernel suggests whole maps and nothing else; which of them is proposed, which moves stay in and in what order is
 * decided here, in f64, from integers alone. So a rounding difference can change what is suggested, never how it is judged.
 */
export class AffinityManager {
  readonly #settings: AffinitySettings;
  readonly #components: AffinityComponents;

  constructor(settings: AffinitySettings, components: AffinityComponents) {
    assertAffinitySettings(settings);
    this.#settings = settings;
    this.#components = components;
  }

  /**
   * The same inputs, settings and seed give the same bytes.
   *
   * @throws ForeshardError FORESHARD_CORRUPT for numbers that cannot be (NaN or negative load, no capacity, an unknown
   *   node), FORESHARD_NOT_READY for a forecast without a step.
   */
  async propose(inputs: PlacementInputs): Promise<Proposal> {
    const { logger, optimiser, random } = this.#components;
    const instance = buildInstance(inputs, this.#settings);
    let bound = lowerBound(instance, instance.home);
    const stay = new PlacementState(instance);
    const costStay = stay.cost();
    const refuse = (refusal: Refusal, iterations = 0): Proposal =>
      this.#proposal(inputs, {
        moves: [],
        costBefore: costStay,
        costAfter: costStay,
        bound,
        iterations,
        refusal,
      });

    if (costStay - bound <= this.#settings.boundTolerance * bound) return refuse('near-bound');
    if (!instance.isMovable.includes(1))
      return refuse((inputs.openMigrations?.size ?? 0) > 0 ? 'migrations-open' : 'residence');

    // The search sees prices raised by the ratio a plan has to earn, so that it does not look for what will be left out.
    const raised: PlacementInstance = {
      ...instance,
      movePrice: instance.movePrice.map((price) => price * this.#settings.benefitCostRatio),
    };
    const fork = random.fork('affinity');
    const fromGreedy = await candidateOf(raised, greedy, raised.home, fork);
    const found = await candidateOf(raised, optimiser, fromGreedy.ownerOf, fork);
    const best = found.cost < fromGreedy.cost ? found : fromGreedy;
    bound = Math.max(bound, lowerBound(instance, best.ownerOf));
    const pruned = leaveOutWhatDoesNotPay(raised, best.ownerOf);
    // Pruning keeps what is worth its raised price, so that the plan as a whole is; equal is not better.
    if (pruned.movedCount === 0 || pruned.cost() >= new PlacementState(raised).cost())
      return refuse('below-minimum-gain', best.iterations);

    const moves = this.#orderMoves(inputs, instance, pruned.ownerOf);
    const costAfter = new PlacementState(instance, pruned.ownerOf).cost();
    logger.debug({ moves: moves.length, costStay, costAfter, bound }, 'proposal made');
    return this.#proposal(inputs, {
      moves,
      costBefore: costStay,
      costAfter,
      bound,
      iterations: best.iterations,
    });
  }

  #proposal(
    { map }: PlacementInputs,
    plan: {
      moves: readonly Move[];
      costBefore: number;
      costAfter: number;
      bound: number;
      iterations: number;
      refusal?: Refusal;
    },
  ): Proposal {
    const targetOwnerOf = map.ownerOf.slice();
    for (const move of plan.moves) targetOwnerOf[move.partitionId] = move.targetNodeId;
    return {
      baseOwnerOf: map.ownerOf.slice(),
      baseEpochOf: map.epochOf.slice(),
      targetOwnerOf,
      moves: plan.moves,
      costBefore: plan.costBefore,
      costAfter: plan.costAfter,
      lowerBound: plan.bound,
      ...(plan.refusal === undefined ? {} : { refusal: plan.refusal }),
      algorithm: `greedy+${this.#components.optimiser.name}`,
      seed: this.#components.random.seed,
      iterations: plan.iterations,
    };
  }

  /** Largest relief first, each against the map the moves before it leave: so a prefix is worth having on its own. */
  #orderMoves(inputs: PlacementInputs, instance: PlacementInstance, ownerOf: Int32Array): Move[] {
    const final = new PlacementState(instance, ownerOf);
    const now = new PlacementState(instance);
    const open = [...ownerOf.keys()].filter((p) => ownerOf[p] !== instance.home[p]);
    const moves: Move[] = [];
    while (open.length > 0) {
      const index = nextMove(now, open, ownerOf);
      const p = open[index] as number;
      open.splice(index, 1);
      const source = instance.home[p] as number;
      const target = ownerOf[p] as number;
      const price = instance.movePrice[p] as number;
      moves.push({
        partitionId: asPartitionId(p),
        sourceNodeId: asNodeId(source),
        targetNodeId: asNodeId(target),
        sizeBytes: instance.bytes[p] as number,
        // What the whole plan would lose if this move alone were left out.
        gain: final.moveDelta(p, source) + price,
        cost: price,
        reason: explainMove(now, {
          partition: p,
          source,
          target,
          isSourceDown: !(inputs.nodes[source] as { isAlive: boolean }).isAlive,
          startMs: inputs.forecast.startMs,
          stepMs: inputs.forecast.stepMs,
          dimensions: this.#settings.dimensions.map(({ dimension }) => dimension),
        }),
      });
      now.move(p, target);
    }
    return moves;
  }
}

async function candidateOf(
  instance: PlacementInstance,
  optimiser: Optimiser,
  start: Int32Array,
  random: Random,
): Promise<Candidate> {
  const { ownerOf, iterations } = await optimiser.optimise(instance, start, { random });
  return { ownerOf, iterations, cost: new PlacementState(instance, ownerOf).cost() };
}

/**
 * Returns partitions home, the least useful first, while the plan without them costs no more. With prices raised by the
 * ratio, what stays earns its price so many times over, each move by itself when it is left out of the plan.
 */
export function leaveOutWhatDoesNotPay(raised: PlacementInstance, ownerOf: Int32Array): PlacementState {
  const state = new PlacementState(raised, ownerOf);
  for (;;) {
    let least = -1;
    let deltaMin = 0;
    for (let p = 0; p < raised.partitionCount; p++) {
      const home = raised.home[p] as number;
      if (state.ownerOf[p] === home) continue;
      const delta = state.moveDelta(p, home);
      if (delta <= deltaMin) {
        deltaMin = delta;
        least = p;
      }
    }
    if (least < 0) return state;
    state.move(least, raised.home[least] as number);
  }
}

/** Drains first, the busiest before the others: whatever the load, an outage is worse. Then the move that lowers the cost most now. */
function nextMove(now: PlacementState, open: readonly number[], ownerOf: Int32Array): number {
  const { home, holdPenalty, load, depth } = now.instance;
  const totalLoad = (p: number): number =>
    load.subarray(p * depth, (p + 1) * depth).reduce((sum, own) => sum + own, 0);
  let best = { index: 0, isDrain: false, delta: Number.POSITIVE_INFINITY };
  open.forEach((p, index) => {
    const isDrain = (holdPenalty[home[p] as number] as number) > 0;
    const delta = isDrain ? -totalLoad(p) : now.loadDelta(p, ownerOf[p] as number);
    if (isDrain === best.isDrain ? delta < best.delta : isDrain) best = { index, isDrain, delta };
  });
  return best.index;
}
