import { ForeshardError } from '../base/errors.ts';
import type { Forecast } from '../model/forecast.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../model/load-profile.ts';
import type { NodeUtilisation } from '../model/node-utilisation.ts';
import type { Move, Proposal } from '../model/proposal.ts';
import type { PlacementInputs } from './instance.ts';
import { measuredForecast } from './relief/measured-forecast.ts';

type Observed = Pick<PlacementInputs, 'map' | 'nodes' | 'restingPartitions'>;

/** Whether a node that is being drained owns what may move now. */
export function hasToEmpty({ map, nodes, restingPartitions }: Observed): boolean {
  return map.ownerOf.some((owner, p) => isDraining(nodes, owner) && !restingPartitions.has(p));
}

/**
 * What a drain is planned on where nothing could be forecast: an operator who empties a node does not wait for a history. The
 * load of the last day, or, where nothing was measured, the same load for every partition, so that each of the other nodes
 * gets its part.
 */
export function drainBasis(
  profile: LoadProfile,
  nodes: readonly NodeUtilisation[],
  startMs: number,
): { readonly forecast: Forecast; readonly nodes: readonly NodeUtilisation[] } {
  const measured = measuredOrNothing(profile);
  const isKnown = nodes.every(({ isAlive, capacity }) => !isAlive || capacity.every(Number.isFinite));
  if (measured?.point.some((load) => load > 0) && isKnown) return { forecast: measured, nodes };
  const { partitionCount, windowMs } = profile;
  const even = new Float64Array(partitionCount * LOAD_DIMENSION_COUNT).fill(1);
  return {
    forecast: {
      startMs,
      stepMs: windowMs,
      horizonSteps: 1,
      partitionCount,
      level: 0.8,
      point: even,
      mean: even,
      lower: even,
      upper: even,
      skill: new Float64Array(partitionCount).fill(Number.NaN),
      members: [{ name: 'even', weight: 1 }],
    },
    // What anybody carries in these units is not known: one node alone could carry everything.
    nodes: nodes.map((node) => ({
      ...node,
      capacity: new Float64Array(LOAD_DIMENSION_COUNT).fill(partitionCount),
    })),
  };
}

/** Of a plan only what empties nodes, and what makes room for that: an order to drain approves so much, and nothing else. */
export function onlyDraining(plan: Proposal, { nodes }: Pick<Observed, 'nodes'>): Proposal {
  const moveOf = new Map(plan.moves.map((move) => [move.partitionId, move]));
  const wanted = new Set<Move>();
  const want = (move: Move | undefined): void => {
    if (move === undefined || wanted.has(move)) return;
    wanted.add(move);
    for (const partitionId of move.after ?? []) want(moveOf.get(partitionId));
  };
  for (const move of plan.moves) if (isDraining(nodes, move.sourceNodeId)) want(move);
  const moves = plan.moves.filter((move) => wanted.has(move));
  const targetOwnerOf = plan.baseOwnerOf.slice();
  for (const { partitionId, targetNodeId } of moves) targetOwnerOf[partitionId] = targetNodeId;
  return { ...plan, moves, targetOwnerOf };
}

const isDraining = (nodes: readonly NodeUtilisation[], node: number): boolean =>
  nodes[node]?.isDraining === true;

function measuredOrNothing(profile: LoadProfile): Forecast | null {
  try {
    return measuredForecast(profile);
  } catch (error) {
    if (error instanceof ForeshardError && error.code === 'FORESHARD_NOT_READY') return null;
    throw error;
  }
}
