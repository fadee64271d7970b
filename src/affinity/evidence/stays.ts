import type { Sliced } from '../../base/slices.ts';
import { asNodeId, asPartitionId } from '../../model/ids.ts';
import type { StayReason } from '../../model/proposal-evidence.ts';
import type { PlacementState } from '../cost-model.ts';
import { movePriceTo } from '../move-price.ts';

/** Alternatives are sought among so many of the coolest nodes: a fuller one is hardly ever better. */
const NODES_TRIED = 16;

/**
 * Why each partition that is at home on the proposed map stays there: of its other places the one with the largest gain, and
 * what speaks against it. O(partitions x 16 x depth).
 */
export function* explainingStays(
  state: PlacementState,
  {
    benefitCostRatio,
    doubtful = new Set(),
  }: { readonly benefitCostRatio: number; readonly doubtful?: ReadonlySet<number> },
): Sliced<StayReason[]> {
  const { home, partitionCount } = state.instance;
  const nodes = coolestNodes(state);
  const reasons: StayReason[] = [];
  for (let p = 0; p < partitionCount; p++) {
    const owner = home[p] as number;
    if (state.ownerOf[p] !== owner) continue;
    yield;
    let best: { node: number; gain: number } | null = null;
    for (const node of nodes) {
      if (node === owner) continue;
      const gain = -state.loadDelta(p, node);
      if (best === null || gain > best.gain) best = { node, gain };
    }
    const price = best === null ? 0 : movePriceTo(state.instance, p, best.node);
    reasons.push({
      partitionId: asPartitionId(p),
      nodeId: asNodeId(owner),
      alternativeNodeId: best === null ? null : asNodeId(best.node),
      gain: best?.gain ?? 0,
      price,
      code:
        best === null
          ? 'no-gain'
          : codeOf(state, p, { ...best, price, benefitCostRatio, isDoubtful: doubtful.has(p) }),
    });
  }
  return reasons;
}

function codeOf(
  state: PlacementState,
  partition: number,
  best: {
    readonly node: number;
    readonly gain: number;
    readonly price: number;
    readonly benefitCostRatio: number;
    readonly isDoubtful: boolean;
  },
): string {
  if (best.gain <= 0) return 'no-gain';
  if (best.isDoubtful) return 'wide-bounds';
  const refusal = state.refusal(partition, best.node);
  if (refusal !== null) return refusal;
  return best.gain < best.benefitCostRatio * best.price ? 'price' : 'not-found';
}

/** Live nodes by their highest utilisation, the lowest first. */
function coolestNodes(state: PlacementState): number[] {
  const { nodeCount, resourceCount, slotCount, isTarget } = state.instance;
  const peaks = Array.from({ length: nodeCount }, (_, n) => {
    let peak = 0;
    for (let r = 0; r < resourceCount; r++)
      for (let t = 0; t < slotCount; t++) peak = Math.max(peak, state.utilisation(n, r, t));
    return peak;
  });
  return [...peaks.keys()]
    .filter((n) => isTarget[n] === 1)
    .sort((a, b) => (peaks[a] as number) - (peaks[b] as number) || a - b)
    .slice(0, NODES_TRIED);
}
