import { PlacementState } from './cost-model.ts';
import type { PlacementInstance } from './instance.ts';
import { movePriceTo } from './move-price.ts';
import { phi } from './phi.ts';
import { forbidden } from './rules/rule-state.ts';

/**
 * Gives breaches of rules their price: of partitions on a node that has to be emptied, where rules do not want them, or beside
 * those they have to be apart from. It is more than all that mending one can cost: then what stays in breach stays because
 * no rule lets it go, never because its going makes others wait.
 *
 * So much can mending cost: the load of the whole cluster at the highest utilisation that hard capacity allows, and the
 * dearest move, raised as plans have to earn it. Not more, as kernels add prices in f32.
 *
 * @param counted penalties of 1 for each breach.
 */
export function withBreachPrice(counted: PlacementInstance, benefitCostRatio: number): PlacementInstance {
  const { holdPenalty, stayPenalty, spreadPenalty, groupZonesMin } = counted;
  const isBreached = [holdPenalty, stayPenalty, spreadPenalty].some((penalties) =>
    penalties.some((own) => own > 0),
  );
  // Where nothing is in breach the price is asked for only by moves that would bring a group together, which rules forbid.
  if (!isBreached && groupZonesMin.length === 0) return counted;
  const price = loadCostMax(counted) + benefitCostRatio * dearestMend(counted);
  const priced = (penalties: Float64Array): Float64Array => penalties.map((own) => own * price);
  return {
    ...counted,
    breachPrice: price,
    holdPenalty: priced(holdPenalty),
    stayPenalty: priced(stayPenalty),
    spreadPenalty: priced(spreadPenalty),
  };
}

/** What no map that keeps to hard capacity costs more than, prices of moving left aside. */
function loadCostMax(instance: PlacementInstance): number {
  const { nodeCount, resourceCount, slotCount, slotStride, capacityZ, riskZ, slotWeight } = instance;
  const { safeUtilisation, overloadFactor, peakWeight } = instance;
  const state = new PlacementState(instance);
  // A node that is above its capacity may stay so.
  let rhoMax = 1;
  for (let n = 0; n < nodeCount; n++)
    for (let r = 0; r < resourceCount; r++)
      for (let t = 0; t < slotCount; t++)
        rhoMax = Math.max(rhoMax, state.utilisation(n, r, t, Math.max(riskZ, capacityZ ?? 0)));
  // Weights make the load of everything one unit.
  let cost = phi(rhoMax) + peakWeight * rhoMax;
  for (let r = 0; r < resourceCount; r++)
    for (let t = 0; t < slotCount; t++)
      cost +=
        (slotWeight[r * slotStride + t] as number) *
        (overloadFactor[r] as number) *
        nodeCount *
        (rhoMax - safeUtilisation);
  return cost;
}

/** The dearest of the moves that would mend a breach. */
function dearestMend(instance: PlacementInstance): number {
  const { partitionCount, nodeCount, home, holdPenalty, stayPenalty, groupOf } = instance;
  let dearest = 0;
  for (let p = 0; p < partitionCount; p++) {
    const own = home[p] as number;
    if (holdPenalty[own] === 0 && stayPenalty[p] === 0 && (groupOf[p] as number) < 0) continue;
    for (let n = 0; n < nodeCount; n++)
      if (n !== own && forbidden(instance, p, n) === null)
        dearest = Math.max(dearest, movePriceTo(instance, p, n));
  }
  return dearest;
}
