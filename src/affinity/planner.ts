import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import { assertWanted, type Pace, paced } from '../base/slices.ts';
import type { Forecast } from '../model/forecast.ts';
import { asNodeId, asPartitionId } from '../model/ids.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadProfile } from '../model/load-profile.ts';
import type { GrowthAdvice, LeftOutMove, Move, Proposal } from '../model/proposal.ts';
import type { ProposalEvidence } from '../model/proposal-evidence.ts';
import { calibrated } from './calibration.ts';
import { PlacementState } from './cost-model.ts';
import { type DayPlan, movesLeft, planWithinDay, type WaitingMove, withinDayAsTimed } from './day-budget.ts';
import { doubtfulPartitions, withoutDoubtful } from './doubt.ts';
import { gatheringEvidence } from './evidence/gather-evidence.ts';
import { explainMove, numberedNames } from './explain.ts';
import { adviseGrowth } from './growth.ts';
import {
  buildRuledInstance,
  type PlacementInputs,
  type PlacementInstance,
  type RuledInstance,
} from './instance.ts';
import { movePriceTo } from './move-price.ts';
import { MoveUnits } from './move-units.ts';
import type { Optimiser } from './optimisers/optimiser.ts';
import { type BoundEffort, type InstancePlan, planInstance } from './plan-instance.ts';
import { carryOver, NO_MEMORY, withoutReturns } from './plan-memory.ts';
import { planRelief, type Relief, type ReliefOptions, withRelief } from './relief/plan-relief.ts';
import { SearchTimes } from './search-times.ts';
import { type AffinitySettings, assertAffinitySettings } from './settings.ts';
import { type TimedPlan, timePlan } from './timed-plan.ts';
import { makeTimetableProblem } from './timetable/make-problem.ts';
import { priceSum } from './timetable/problem.ts';
import { mergeUnits } from './units.ts';

export interface AffinityComponents {
  readonly random: Random;
  readonly logger: Logger;
  /** Searches on from what the greedy descent found; usually the annealer. */
  readonly optimiser: Optimiser;
  /** Copies out of a node, and as many into it, that the executor has open at one time; 1 if absent. */
  readonly copiesPerNodeMax?: number;
  /** Poured, where many plans are made and nobody reads how good they are. */
  readonly bound?: BoundEffort;
  /** Where it is given, planning rests every few milliseconds, so that its thread does not stand still. */
  readonly pace?: Pace;
  /** To make a plan again that ran out of time: what its `endedAfter` says. Else its searches end by the pace's clock. */
  readonly endAfter?: readonly number[];
}

/**
 * DATA AFFINITY MANAGER: current map + forecast + nodes -> proposal.
 *
 *   greedy descent -> search (kernel, f32) -> leave out what does not pay -> order -> best by the f64 objective,
 *   or the last plan where that is as good -> timetable -> explain
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
   *   node), FORESHARD_CONFIG for rules that cannot all hold, FORESHARD_NOT_READY for a forecast without a step,
   *   FORESHARD_UNAVAILABLE when it was cancelled.
   */
  async propose(measured: PlacementInputs): Promise<Proposal> {
    const { logger, optimiser, random, pace, bound } = this.#components;
    const { inputs, settings } = calibrated(measured, this.#settings);
    const { memory = NO_MEMORY } = inputs;
    const { instance: built, units } = buildRuledInstance(inputs, settings);
    const doubtful = doubtfulPartitions(built, inputs.forecast, settings);
    const free = { ...built, allowed: withoutReturns(built, memory) };
    const instance = withoutDoubtful(free, doubtful);
    const times = this.#searchTimes(settings);
    const planFor = async (rules: PlacementInstance): Promise<InstancePlan> => {
      const found = await planInstance(rules, {
        optimiser,
        context: {
          random: random.fork('affinity'),
          ...(pace?.clock && { clock: pace.clock }),
          ...(pace && { isCancelled: () => pace.isCancelled?.() ?? false }),
          ...times?.next(),
        },
        ...(pace && { pace }),
        ...(bound && { bound }),
        benefitCostRatio: settings.benefitCostRatio,
        boundTolerance: settings.boundTolerance,
        units,
        lastPlan: carryOver(rules, memory),
      });
      times?.noteEnd(found.iterations);
      return found;
    };
    const ofDay = await planWithinDay(instance, planFor, {
      settings,
      units,
      movesLeft: movesLeft(inputs, settings),
    });
    assertWanted(pace);
    const { plan, waiting, timed } = this.#timeWithinDay(inputs, { instance, units }, { ofDay, settings });
    const moves = this.#describe(inputs, { instance, units }, timed);
    const { costBefore, lowerBound } = plan;
    const costAfter = new PlacementState(instance, timed.ownerOf).cost();
    logger.debug({ moves: moves.length, costBefore, costAfter, lowerBound }, 'proposal made');
    const growth = adviseGrowth(new PlacementState(instance, timed.ownerOf), {
      dimensions: this.#settings.dimensions.map(({ dimension }) => dimension),
      relief: this.#settings.relief,
      startMs: inputs.forecast.startMs,
      stepMs: inputs.forecast.stepMs,
    });
    const isInDoubt = doubtful.size > 0 && !instance.isMovable.includes(1);
    const refusal = isInDoubt ? 'wide-bounds' : plan.refusal;
    const told = { ...plan, costAfter, ...(refusal === undefined ? {} : { refusal }) };
    return this.#proposal(inputs, told, { moves, timed, growth, waiting, endedAfter: times?.endedAfter });
  }

  /** What nodes outside their comfort zone need at once: see `relief/`. */
  relieve(inputs: Omit<PlacementInputs, 'forecast'>, profile: LoadProfile, options: ReliefOptions): Relief {
    const known = calibrated(inputs, this.#settings);
    return planRelief(known.inputs, profile, known.settings, options);
  }

  /** The plan with relief before it, and what it costs with that: of the relief the plan knew nothing. */
  relieved(inputs: PlacementInputs, plan: Proposal, relief: Relief): Proposal {
    if (relief.moves.length === 0) return plan;
    const proposal = withRelief(plan, relief);
    const known = calibrated(inputs, this.#settings);
    const { instance } = buildRuledInstance(known.inputs, known.settings);
    const ownerOf = instance.home.slice();
    for (const { partitionId, targetNodeId } of proposal.moves) ownerOf[partitionId] = targetNodeId;
    const costAfter = new PlacementState(instance, ownerOf).cost();
    // Relief begins at once: it is worth the same at every hour of the timetable, but for the first.
    return { ...proposal, costAfter, costOverTime: plan.costOverTime + costAfter - plan.costAfter };
  }

  /** What stands behind a proposal that was made from these inputs. */
  evidence(inputs: PlacementInputs, proposal: Proposal): Promise<ProposalEvidence> {
    const known = calibrated(inputs, this.#settings);
    return paced(gatheringEvidence(known.inputs, proposal, known.settings), this.#components.pace);
  }

  /** Null where nothing but the budget of iterations ends a search. */
  #searchTimes({ searchSeconds }: AffinitySettings): SearchTimes | null {
    const { endAfter, pace } = this.#components;
    if (endAfter !== undefined) return new SearchTimes({ endAfter });
    return pace?.clock ? new SearchTimes({ clock: pace.clock, seconds: searchSeconds }) : null;
  }

  /** What finds no hour may leave others that were not counted for its sake: then there are fewer, and all are timed again. */
  #timeWithinDay(
    inputs: PlacementInputs,
    ruled: RuledInstance,
    { ofDay, settings }: { readonly ofDay: DayPlan; readonly settings: AffinitySettings },
  ): { readonly plan: InstancePlan; readonly waiting: readonly WaitingMove[]; readonly timed: TimedPlan } {
    let { plan, waiting } = ofDay;
    const left = movesLeft(inputs, settings);
    for (let leftOut: TimedPlan['leftOut'] = []; ; ) {
      const timed = this.#time(inputs, ruled, { plan, settings });
      leftOut = [...leftOut, ...timed.leftOut];
      const fewer = ofDay.isUrgent
        ? null
        : withinDayAsTimed(ruled.instance, plan, {
            ownerOf: timed.ownerOf,
            movesLeft: left,
            units: ruled.units,
          });
      if (fewer === null) return { plan, waiting, timed: { ...timed, leftOut } };
      plan = fewer.plan;
      waiting = [...waiting, ...fewer.waiting];
    }
  }

  #time(
    inputs: PlacementInputs,
    { instance, units }: RuledInstance,
    { plan, settings }: { readonly plan: InstancePlan; readonly settings: AffinitySettings },
  ): TimedPlan {
    const merged = mergeUnits(instance, units);
    const problem = makeTimetableProblem(inputs, merged, {
      settings,
      copiesPerNodeMax: this.#components.copiesPerNodeMax ?? 1,
    });
    return timePlan(problem, merged, plan, {
      benefitCostRatio: settings.benefitCostRatio,
      lastMoves: inputs.memory?.lastMoves ?? [],
      startKeepShare: settings.timetable.startKeepShare,
    });
  }

  #proposal(
    { map, openMigrations }: PlacementInputs,
    plan: InstancePlan,
    said: {
      readonly moves: readonly Move[];
      readonly timed: TimedPlan;
      readonly growth: readonly GrowthAdvice[];
      readonly waiting: readonly WaitingMove[];
      readonly endedAfter: readonly number[] | undefined;
    },
  ): Proposal {
    const { moves, timed, growth, waiting, endedAfter } = said;
    const targetOwnerOf = map.ownerOf.slice();
    for (const move of moves) targetOwnerOf[move.partitionId] = move.targetNodeId;
    const isMoving = plan.refusal === 'residence' && (openMigrations?.size ?? 0) > 0;
    const isTooLate = plan.order.length > 0 && moves.length === 0;
    const refusal = isMoving ? 'migrations-open' : isTooLate ? 'no-time' : plan.refusal;
    return {
      baseOwnerOf: map.ownerOf.slice(),
      baseEpochOf: map.epochOf.slice(),
      targetOwnerOf,
      moves,
      leftOut: [...timed.leftOut, ...waiting].map(
        ({ partition, source, target, code }): LeftOutMove => ({
          partitionId: asPartitionId(partition),
          sourceNodeId: asNodeId(source),
          targetNodeId: asNodeId(target),
          code,
        }),
      ),
      growth,
      costBefore: plan.costBefore,
      costAfter: plan.costAfter,
      costOverTime: timed.cost,
      lowerBound: plan.lowerBound,
      ...(refusal === undefined ? {} : { refusal }),
      algorithm: `greedy+${this.#components.optimiser.name}`,
      seed: this.#components.random.seed,
      iterations: plan.iterations,
      ...(endedAfter && { endedAfter }),
    };
  }

  /** What is said of each move, in order of time, each against the map that those before it leave. */
  #describe(inputs: PlacementInputs, { instance, units }: RuledInstance, timed: TimedPlan): Move[] {
    const { startMs, stepMs } = inputs.forecast;
    const final = new PlacementState(instance, timed.ownerOf);
    const now = new PlacementState(instance);
    const moveUnits = new MoveUnits(final, units);
    return timed.moves.map((scheduled): Move => {
      const { partition: p, source, target } = scheduled;
      const cost = movePriceTo(instance, p, target);
      const reason = explainMove(now, {
        partition: p,
        source,
        target,
        isSourceDown: !(inputs.nodes[source] as { isAlive: boolean }).isAlive,
        ...(inputs.nodes[source]?.isDraining && { downReason: 'is being drained' }),
        ...numberedNames(startMs, stepMs),
        dimensions: this.#settings.dimensions.map(({ dimension }) => dimension),
      });
      now.move(p, target);
      const { partitions, ...worth } = moveUnits.unitOf(p);
      return {
        partitionId: asPartitionId(p),
        sourceNodeId: asNodeId(source),
        targetNodeId: asNodeId(target),
        sizeBytes: instance.bytes[p] as number,
        // What the whole plan would lose if this move alone were left out.
        gain: final.moveDelta(p, source) + cost,
        cost,
        queriesPerSecond: queriesPerSecondOf(inputs.forecast, p),
        ...(partitions.length > 1 ? { unit: { ...worth, partitionIds: partitions.map(asPartitionId) } } : {}),
        reason,
        schedule: {
          startMs: startMs + scheduled.startSlot * stepMs,
          endMs: startMs + Math.round((scheduled.endSlot + scheduled.endShare) * stepMs),
          seconds: scheduled.seconds,
          bytesPerSecond: scheduled.bytesPerSecond,
          price: priceSum(scheduled.price),
          gain: scheduled.gain,
        },
      };
    });
  }
}

/** In the mean over the horizon. */
function queriesPerSecondOf({ mean, partitionCount, horizonSteps, stepMs }: Forecast, p: number): number {
  const offset = p * LOAD_DIMENSION_COUNT + dimensionIndex('queries');
  let sum = 0;
  for (let t = 0; t < horizonSteps; t++)
    sum += mean[t * partitionCount * LOAD_DIMENSION_COUNT + offset] as number;
  return (sum / horizonSteps / stepMs) * 1000;
}
