import { atOnce, type Sliced } from '../../base/slices.ts';
import type { Forecast } from '../../model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadDimension } from '../../model/load-profile.ts';
import type { Proposal } from '../../model/proposal.ts';
import type { ProposalEvidence, StayReason } from '../../model/proposal-evidence.ts';
import { paceAt } from '../calibration.ts';
import { PlacementState } from '../cost-model.ts';
import { doubtfulPartitions } from '../doubt.ts';
import {
  BANDWIDTH_DEFAULT,
  buildInstance,
  type PlacementInputs,
  type PlacementInstance,
} from '../instance.ts';
import { normalQuantile } from '../normal-quantile.ts';
import { NO_MEMORY, withoutReturns } from '../plan-memory.ts';
import type { AffinitySettings } from '../settings.ts';
import { explainMoves, frontierOf } from './move-evidence.ts';
import { explainingStays } from './stays.ts';
import { firstBreach, utilisationTable } from './utilisation-table.ts';

/**
 * Everything that stands behind a proposal, for people who are to approve it. Apart from planning: a plan has to be quick,
 * and in mode `observe` nobody reads it.
 *
 * @param inputs what the proposal was made from.
 */
export const gatherEvidence = (
  inputs: PlacementInputs,
  proposal: Proposal,
  settings: AffinitySettings,
): ProposalEvidence => atOnce(gatheringEvidence(inputs, proposal, settings));

/** {@link gatherEvidence} in slices. */
export function* gatheringEvidence(
  inputs: PlacementInputs,
  proposal: Proposal,
  settings: AffinitySettings,
): Sliced<ProposalEvidence> {
  const { forecast } = inputs;
  const dimensions = settings.dimensions.map(({ dimension }) => dimension);
  const horizon = { dimensions, startMs: forecast.startMs, stepMs: forecast.stepMs };
  const built = buildInstance(inputs, settings);
  yield;
  const instance = { ...built, allowed: withoutReturns(built, inputs.memory ?? NO_MEMORY) };
  const moves = proposal.moves.map(({ partitionId, sourceNodeId, targetNodeId }) => ({
    partition: partitionId as number,
    source: sourceNodeId as number,
    target: targetNodeId as number,
  }));
  const before = new PlacementState(instance);
  const after = new PlacementState(instance);
  for (const { partition, target } of moves) after.move(partition, target);
  const pace = paceAt(inputs.memory?.samples ?? [], BANDWIDTH_DEFAULT);
  const stays = yield* explainingStays(after, {
    benefitCostRatio: settings.benefitCostRatio,
    doubtful: doubtfulPartitions(built, forecast, settings),
  });
  return {
    firstBreach: firstBreach(before, { ...horizon, relief: settings.relief }),
    utilisation: utilisationTable(before, after, {
      ...horizon,
      upperZ: normalQuantile((1 + forecast.level) / 2),
    }),
    moves: explainMoves(instance, moves, {
      ...horizon,
      lower: atLowerBound(instance, forecast, dimensions),
      skill: forecast.skill,
    }),
    fence: {
      seconds: pace.fenceSeconds,
      secondsHigh: pace.fenceSecondsHigh,
      sampleCount: pace.sampleCount,
    },
    experience: {
      latencyRatio: pace.latencyRatio,
      realisedShare: pace.realisedShare,
      bytesPerSecond: pace.bytesPerSecond,
      benefitCostRatio: settings.benefitCostRatio,
    },
    frontier: frontierOf(instance, moves),
    binding: bindingOf(stays),
    stays,
  };
}

/** The instance with each partition's load at the lower bound of its forecast, which is known to be that low. */
function atLowerBound(
  instance: PlacementInstance,
  forecast: Forecast,
  dimensions: readonly LoadDimension[],
): PlacementInstance {
  const { partitionCount, slotCount, slotStride, depth } = instance;
  const load = new Float64Array(instance.load.length);
  dimensions.forEach((dimension, r) => {
    for (let t = 0; t < slotCount; t++)
      for (let p = 0; p < partitionCount; p++) {
        const at = (t * partitionCount + p) * LOAD_DIMENSION_COUNT + dimensionIndex(dimension);
        const mean = forecast.mean[at] as number;
        const cell = p * depth + r * slotStride + t;
        if (mean > 0)
          load[cell] = (instance.load[cell] as number) * Math.min(1, (forecast.lower[at] as number) / mean);
      }
  });
  return { ...instance, load, variance: new Float64Array(instance.variance.length) };
}

/** Rules that forbid a gain, the most frequent first. */
export function bindingOf(stays: readonly StayReason[]): ProposalEvidence['binding'] {
  const counts = new Map<string, number>();
  for (const { code } of stays)
    if (code !== 'no-gain' && code !== 'not-found') counts.set(code, (counts.get(code) ?? 0) + 1);
  return [...counts]
    .map(([code, partitionCount]) => ({ code, partitionCount }))
    .sort((a, b) => b.partitionCount - a.partitionCount || a.code.localeCompare(b.code));
}
