import { asNodeId, asPartitionId } from '../../model/ids.ts';
import type { LoadProfile } from '../../model/load-profile.ts';
import type { Move, Proposal } from '../../model/proposal.ts';
import { PlacementState } from '../cost-model.ts';
import { buildInstance, type PlacementInputs } from '../instance.ts';
import { NO_MEMORY, withoutReturns } from '../plan-memory.ts';
import type { AffinitySettings } from '../settings.ts';
import { isWithin, parseMoveWindows } from '../timetable/windows.ts';
import { measuredForecast } from './measured-forecast.ts';
import { type ReliefMove, relieve } from './relieve.ts';

/** Moves that begin at once, and the objective on the load of the last day. */
export interface Relief {
  readonly moves: readonly Move[];
  readonly costBefore: number;
  readonly costAfter: number;
}

/**
 * Relief for nodes that were measured outside their comfort zone, by what was measured alone: it goes on when no forecast
 * can be made, or none is any good.
 *
 * @param inputs without a forecast; its resting partitions stay.
 * @param options.dueMoves moves of the plan that begin now count as done: relief adds to a plan, it does not repeat it.
 * @throws ForeshardError FORESHARD_NOT_READY where nothing of the last day was measured, and as buildInstance.
 */
export function planRelief(
  inputs: Omit<PlacementInputs, 'forecast'>,
  profile: LoadProfile,
  settings: AffinitySettings,
  options: { readonly dueMoves: readonly Pick<Move, 'partitionId' | 'targetNodeId'>[] },
): Relief {
  const forecast = measuredForecast(profile);
  const openMigrations = new Map(inputs.openMigrations);
  for (const { partitionId, targetNodeId } of options.dueMoves) openMigrations.set(partitionId, targetNodeId);
  const built = buildInstance({ ...inputs, openMigrations, forecast }, settings);
  const instance = { ...built, allowed: withoutReturns(built, inputs.memory ?? NO_MEMORY) };
  const dimensions = settings.dimensions.map(({ dimension }) => dimension);
  const state = new PlacementState(instance);
  const costBefore = state.cost();
  const windows = parseMoveWindows(settings.timetable.windows);
  const isOpen = isWithin(
    windows,
    forecast.startMs,
    forecast.startMs + 1000 * settings.timetable.fixedSeconds,
  );
  const found = isOpen ? relieve(state, dimensions, settings.relief, settings) : [];
  const moves = found.map(
    (move): Move => ({
      partitionId: asPartitionId(move.partition),
      sourceNodeId: asNodeId(move.source),
      targetNodeId: asNodeId(move.target),
      sizeBytes: instance.bytes[move.partition] as number,
      gain: move.gain,
      cost: move.price,
      reason: reasonOf(move, dimensions),
      schedule: null,
    }),
  );
  return { moves, costBefore, costAfter: state.cost() };
}

/** The plan with relief before it, of which the plan knew nothing: whom relief moves, the plan leaves where relief puts him. */
export function withRelief(plan: Proposal, { moves }: Relief): Proposal {
  if (moves.length === 0) return plan;
  const relieved = new Set(moves.map(({ partitionId }) => partitionId));
  const targetOwnerOf = plan.targetOwnerOf.slice();
  for (const { partitionId, targetNodeId } of moves) targetOwnerOf[partitionId] = targetNodeId;
  const { refusal: _, ...rest } = plan;
  return {
    ...rest,
    targetOwnerOf,
    moves: [...moves, ...plan.moves.filter(({ partitionId }) => !relieved.has(partitionId))],
  };
}

/** Where no plan can be made. */
export function reliefAlone({ map }: Pick<PlacementInputs, 'map'>, relief: Relief): Proposal {
  const { costBefore, costAfter } = relief;
  const nothing: Proposal = {
    baseOwnerOf: map.ownerOf.slice(),
    baseEpochOf: map.epochOf.slice(),
    targetOwnerOf: map.ownerOf.slice(),
    moves: [],
    leftOut: [],
    growth: [],
    costBefore,
    costAfter,
    costOverTime: costAfter,
    lowerBound: 0,
    algorithm: 'relief',
    seed: 0n,
    iterations: 0,
  };
  return withRelief(nothing, relief);
}

function reasonOf(
  { source, target, stress, sourceAfter, targetAfter }: ReliefMove,
  dimensions: readonly string[],
): string {
  return (
    `relief: node ${source} was at ${percent(stress.utilisation)} of its ${dimensions[stress.resource]}, above ` +
    `${percent(stress.high)}: ${percent(sourceAfter)} without it; node ${target}: ${percent(targetAfter)} with it`
  );
}

const percent = (share: number): string => `${(100 * Math.max(0, share)).toFixed(1)} %`;
