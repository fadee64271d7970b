import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import { asNodeId, asPartitionId } from '../model/ids.ts';
import type { Move, Proposal } from '../model/proposal.ts';
import { PlacementState } from './cost-model.ts';
import { explainMove } from './explain.ts';
import { buildRuledInstance, type PlacementInputs, type PlacementInstance } from './instance.ts';
import { movePriceTo } from './move-price.ts';
import type { Optimiser } from './optimiser.ts';
import { type InstancePlan, planInstance } from './plan-instance.ts';
import { type AffinitySettings, assertAffinitySettings } from './settings.ts';

export interface AffinityComponents {
  readonly random: Random;
  readonly logger: Logger;
  /** Searches on from what the greedy descent found; usually the annealer. */
  readonly optimiser: Optimiser;
}

/**
 * DATA AFFINITY MANAGER: current map + forecast + nodes -> proposal.
 *
 *   greedy descent -> search (kernel, f32) -> leave out what does not pay -> order -> best by the f64 objective -> explain
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
   *   node), FORESHARD_CONFIG for rules that cannot all hold, FORESHARD_NOT_READY for a forecast without a step.
   */
  async propose(inputs: PlacementInputs): Promise<Proposal> {
    const { logger, optimiser, random } = this.#components;
    const { instance, units } = buildRuledInstance(inputs, this.#settings);
    const plan = await planInstance(instance, {
      optimiser,
      context: { random: random.fork('affinity') },
      benefitCostRatio: this.#settings.benefitCostRatio,
      boundTolerance: this.#settings.boundTolerance,
      units,
    });
    const moves = this.#movesOf(inputs, instance, plan);
    const { costBefore, costAfter, lowerBound } = plan;
    logger.debug({ moves: moves.length, costBefore, costAfter, lowerBound }, 'proposal made');
    return this.#proposal(inputs, plan, moves);
  }

  #proposal({ map, openMigrations }: PlacementInputs, plan: InstancePlan, moves: readonly Move[]): Proposal {
    const targetOwnerOf = map.ownerOf.slice();
    for (const move of moves) targetOwnerOf[move.partitionId] = move.targetNodeId;
    const isMoving = plan.refusal === 'residence' && (openMigrations?.size ?? 0) > 0;
    const refusal = isMoving ? 'migrations-open' : plan.refusal;
    return {
      baseOwnerOf: map.ownerOf.slice(),
      baseEpochOf: map.epochOf.slice(),
      targetOwnerOf,
      moves,
      costBefore: plan.costBefore,
      costAfter: plan.costAfter,
      lowerBound: plan.lowerBound,
      ...(refusal === undefined ? {} : { refusal }),
      algorithm: `greedy+${this.#components.optimiser.name}`,
      seed: this.#components.random.seed,
      iterations: plan.iterations,
    };
  }

  #movesOf(inputs: PlacementInputs, instance: PlacementInstance, plan: InstancePlan): Move[] {
    const final = new PlacementState(instance, plan.ownerOf);
    const now = new PlacementState(instance);
    return plan.order.map((p) => {
      const source = instance.home[p] as number;
      const target = plan.ownerOf[p] as number;
      const cost = movePriceTo(instance, p, target);
      const move: Move = {
        partitionId: asPartitionId(p),
        sourceNodeId: asNodeId(source),
        targetNodeId: asNodeId(target),
        sizeBytes: instance.bytes[p] as number,
        // What the whole plan would lose if this move alone were left out.
        gain: final.moveDelta(p, source) + cost,
        cost,
        reason: explainMove(now, {
          partition: p,
          source,
          target,
          isSourceDown: !(inputs.nodes[source] as { isAlive: boolean }).isAlive,
          startMs: inputs.forecast.startMs,
          stepMs: inputs.forecast.stepMs,
          dimensions: this.#settings.dimensions.map(({ dimension }) => dimension),
        }),
      };
      now.move(p, target);
      return move;
    });
  }
}
