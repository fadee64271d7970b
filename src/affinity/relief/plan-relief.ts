import { asNodeId, asPartitionId } from '../../model/ids.ts';
import type { LoadDimension, LoadProfile } from '../../model/load-profile.ts';
import type { Move, Proposal } from '../../model/proposal.ts';
import type { MoveEvidence } from '../../model/proposal-evidence.ts';
import { PlacementState } from '../cost-model.ts';
import { buildInstance, type PlacementInputs, type PlacementInstance } from '../instance.ts';
import { NO_MEMORY, withoutReturns } from '../plan-memory.ts';
import type { AffinitySettings } from '../settings.ts';
import { isWithin, parseMoveWindows } from '../timetable/windows.ts';
import { measuredForecast } from './measured-forecast.ts';
import { type ReliefMove, relieve, stressedNodes } from './relieve.ts';
import type { LastingStress } from './stress-watch.ts';

/** Why relief moves nothing. */
export const RELIEF_REFUSALS = [
  'on-its-way', // with the moves that count as done nobody is outside
  'outside-windows',
  'silent-nodes', // none has a target but nodes that do not tell what they are asked
  'no-move', // none pays, or none has a target that stays inside its own zone
] as const;
export type ReliefRefusal = (typeof RELIEF_REFUSALS)[number];

/** Moves that begin at once, and the objective on the load of the last day. */
export interface Relief {
  readonly moves: readonly Move[];
  /** One for each move. */
  readonly evidence: readonly MoveEvidence[];
  /** Null where anything moves. */
  readonly refusal: ReliefRefusal | null;
  readonly costBefore: number;
  readonly costAfter: number;
}

export interface ReliefOptions {
  /** Moves of the plan that begin now count as done: relief adds to a plan, it does not repeat it. */
  readonly dueMoves: readonly { readonly partitionId: number; readonly targetNodeId: number }[];
  /** Between cycles: who is relieved, and nobody else. Without it whoever was outside in the last window. */
  readonly lasting?: readonly LastingStress[];
  /** Between cycles: nothing goes to those that do not tell what they are asked now, however idle they were. */
  readonly silentNodeIds?: ReadonlySet<number>;
  /** Wall clock, where the last window of the profile has not ended yet. */
  readonly nowMs?: number;
}

/**
 * Relief for nodes that were measured outside their comfort zone, by what was measured alone: it goes on when no forecast
 * can be made, or none is any good.
 *
 * @param inputs without a forecast; its resting partitions stay.
 * @throws ForeshardError FORESHARD_NOT_READY where nothing of the last day was measured, and as buildInstance.
 */
export function planRelief(
  inputs: Omit<PlacementInputs, 'forecast'>,
  profile: LoadProfile,
  settings: AffinitySettings,
  { dueMoves, lasting, silentNodeIds = new Set(), nowMs }: ReliefOptions,
): Relief {
  const forecast = measuredForecast(profile);
  const openMigrations = new Map(inputs.openMigrations);
  for (const { partitionId, targetNodeId } of dueMoves) openMigrations.set(partitionId, targetNodeId);
  const built = buildInstance({ ...inputs, openMigrations, forecast }, settings);
  const anywhere = { ...built, allowed: withoutReturns(built, inputs.memory ?? NO_MEMORY) };
  const instance = withoutTargets(anywhere, silentNodeIds);
  const dimensions = settings.dimensions.map(({ dimension }) => dimension);
  const state = new PlacementState(instance);
  const costBefore = state.cost();
  const windows = parseMoveWindows(settings.timetable.windows);
  const atMs = nowMs ?? forecast.startMs;
  const isOpen = isWithin(windows, atMs, atMs + 1000 * settings.timetable.fixedSeconds);
  const nodeIds = lasting && new Set(lasting.map(({ nodeId }) => nodeId));
  const stresses = stressedNodes(state, dimensions, settings.relief, nodeIds);
  const found = isOpen ? relieve(state, stresses, dimensions, settings) : [];
  const isAtEase = stresses.length === 0;
  const wouldMove = (): boolean =>
    relieve(new PlacementState(anywhere), stresses, dimensions, settings).length > 0;
  const noTarget = (): ReliefRefusal => (silentNodeIds.size > 0 && wouldMove() ? 'silent-nodes' : 'no-move');
  const nothing = (): ReliefRefusal => (isAtEase ? 'on-its-way' : isOpen ? noTarget() : 'outside-windows');
  const moves = found.map(
    (move): Move => ({
      partitionId: asPartitionId(move.partition),
      sourceNodeId: asNodeId(move.source),
      targetNodeId: asNodeId(move.target),
      sizeBytes: instance.bytes[move.partition] as number,
      gain: move.gain,
      cost: move.price,
      reason: reasonOf(move, dimensions, lasting),
      schedule: null,
    }),
  );
  const evidence = found.map((move) => evidenceOf(move, { dimensions, atMs }));
  const refusal = found.length > 0 ? null : nothing();
  return { moves, evidence, refusal, costBefore, costAfter: state.cost() };
}

/** Nobody goes to these nodes; whoever is there may stay. */
function withoutTargets(instance: PlacementInstance, nodeIds: ReadonlySet<number>): PlacementInstance {
  if (nodeIds.size === 0) return instance;
  const { partitionCount, nodeCount, home } = instance;
  const allowed = instance.allowed?.slice() ?? new Uint8Array(partitionCount * nodeCount).fill(1);
  for (let p = 0; p < partitionCount; p++)
    for (const node of nodeIds) if (node < nodeCount && home[p] !== node) allowed[p * nodeCount + node] = 0;
  return { ...instance, allowed };
}

/** Where nothing was measured. */
export const NO_RELIEF: Relief = {
  moves: [],
  evidence: [],
  refusal: 'on-its-way',
  costBefore: 0,
  costAfter: 0,
};

/** By what was measured: there are no bounds, and no forecast whose skill could be told. */
const evidenceOf = (
  { partition, source, stress, gain }: ReliefMove,
  { dimensions, atMs }: { readonly dimensions: readonly LoadDimension[]; readonly atMs: number },
): MoveEvidence => ({
  partitionId: asPartitionId(partition),
  relief: {
    nodeId: asNodeId(source),
    dimension: dimensions[stress.resource] as LoadDimension,
    atMs,
    utilisation: stress.utilisation,
  },
  gainAlone: gain,
  gainLower: gain,
  after: [],
  skill: null,
});

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
  dimensions: readonly LoadDimension[],
  lasting: readonly LastingStress[] = [],
): string {
  const dimension = dimensions[stress.resource] as LoadDimension;
  const own = lasting.find(({ nodeId, dimension: of }) => nodeId === source && of === dimension);
  return (
    `relief: node ${source} was at ${percent(stress.utilisation)} of its ${dimension}${own ? durationOf(own) : ''}, above ` +
    `${percent(stress.high)}: ${percent(sourceAfter)} without it; node ${target}: ${percent(targetAfter)} with it`
  );
}

/** Of nodes that are outside for so long, for people. */
export const stressText = (lasting: readonly LastingStress[]): string =>
  lasting
    .map(
      (stress) =>
        `node ${stress.nodeId} was at ${percent(stress.utilisation)} of its ${stress.dimension}${durationOf(stress)}, above ${percent(stress.high)}`,
    )
    .join('; ');

const durationOf = ({ forMs }: LastingStress): string =>
  forMs < 120_000 ? ` for ${Math.round(forMs / 1000)} s` : ` for ${Math.round(forMs / 60_000)} min`;

const percent = (share: number): string => `${(100 * Math.max(0, share)).toFixed(1)} %`;
