import { fenceShares } from './fence.ts';
import type { PlacementInstance } from './instance.ts';
import { phi } from './phi.ts';
import type { AffinitySettings } from './settings.ts';

/**
 * Seconds that copying takes: a copy has the bandwidth of its slower end, and what is written meanwhile has to be copied
 * again. Infinity if that never ends.
 */
export function copySeconds(
  instance: PlacementInstance,
  partition: number,
  source: number,
  target: number,
): number {
  const { bandwidth, dirtyRate, bytes } = instance;
  const most = Math.min(bandwidth[source] as number, bandwidth[target] as number);
  const net = most - (dirtyRate[partition] as number);
  return net > 0 ? (bytes[partition] as number) / net : Number.POSITIVE_INFINITY;
}

/**
 * Index points for `partition` being on `node` instead of at home. `movePrice` is what the cheapest target costs, which is
 * near enough for a search; here copying takes its time from the very two nodes.
 */
export function movePriceTo(instance: PlacementInstance, partition: number, node: number): number {
  const { home, movePrice, leastCopyPrice } = instance;
  const source = home[partition] as number;
  if (source === node) return 0;
  const fixed = movePrice[partition] as number;
  const least = leastCopyPrice[partition] as number;
  return least > 0 ? fixed - least + copyPrice(instance, partition, source, node) : fixed;
}

function copyPrice(instance: PlacementInstance, partition: number, source: number, target: number): number {
  const perSecond = (instance.secondPrice[source] as number) + (instance.secondPrice[target] as number);
  return perSecond * copySeconds(instance, partition, source, target);
}

/**
 * f64[partition]: copying from home to the node where that costs least. 0 for a partition that no node could take: the rules
 * keep it home.
 */
function leastCopyPrices(instance: Unpriced & Pick<PlacementInstance, 'secondPrice'>): Float64Array {
  const { partitionCount, nodeCount, bandwidth, secondPrice, bytes, dirtyRate, home } = instance;
  // Nodes differ in bandwidth and price only: the best pair of the two, taken apart, is a bound that is met where either is
  // the same for all.
  let bandwidthMax = 0;
  let priceMin = Number.POSITIVE_INFINITY;
  for (let n = 0; n < nodeCount; n++) {
    bandwidthMax = Math.max(bandwidthMax, bandwidth[n] as number);
    priceMin = Math.min(priceMin, secondPrice[n] as number);
  }
  return Float64Array.from({ length: partitionCount }, (_, p) => {
    const source = home[p] as number;
    const net = Math.min(bandwidth[source] as number, bandwidthMax) - (dirtyRate[p] as number);
    const price = (secondPrice[source] as number) + priceMin;
    return net > 0 ? ((bytes[p] as number) / net) * price : 0;
  });
}

/** The instance with every price of moving multiplied: what a plan has to earn. */
export function withRaisedPrices(instance: PlacementInstance, factor: number): PlacementInstance {
  const raise = (prices: Float64Array): Float64Array => prices.map((price) => price * factor);
  return {
    ...instance,
    movePrice: raise(instance.movePrice),
    leastCopyPrice: raise(instance.leastCopyPrice),
    secondPrice: raise(instance.secondPrice),
  };
}

/** An instance that has not been given its prices. */
type Unpriced = Omit<PlacementInstance, 'movePrice' | 'leastCopyPrice' | 'secondPrice'>;

/**
 * The three prices of moving, in index points: of the network while copying, of what copying adds to the load of both nodes,
 * and of the latency of a partition's own queries while it is fenced; and a fixed one.
 *
 * @param horizonHours a price is paid once, and divided by them.
 */
export function withPrices(
  unpriced: Unpriced,
  settings: Pick<
    AffinitySettings,
    'moveFixedIndexHours' | 'moveIndexHoursPerSecond' | 'moveBlipIndexHours' | 'copyUtilisation'
  >,
  horizonHours: number,
): PlacementInstance {
  const secondPrice = copyLoadPrices(unpriced, settings.copyUtilisation).map(
    (perHour) => (settings.moveIndexHoursPerSecond / 2 + perHour / 3600) / horizonHours,
  );
  const leastCopyPrice = leastCopyPrices({ ...unpriced, secondPrice });
  const shares = fenceShares(unpriced);
  const movePrice = leastCopyPrice.map((copying, p) => {
    const fence = settings.moveBlipIndexHours * shares.mean(p);
    return (settings.moveFixedIndexHours + fence) / horizonHours + copying;
  });
  return { ...unpriced, secondPrice, leastCopyPrice, movePrice };
}

/**
 * f64[node]: index points that the node's queries lose while a copy takes a share of it, in the mean over the horizon and with
 * the map at home: copying is dear where it is hot.
 */
function copyLoadPrices(instance: Unpriced, copyUtilisation: number): Float64Array {
  const { partitionCount, nodeCount, depth, slotStride, resourceCount, home, capacity } = instance;
  const sums = instance.background.slice();
  for (let p = 0; p < partitionCount; p++)
    for (let d = 0; d < depth; d++)
      sums[(home[p] as number) * depth + d]! += instance.load[p * depth + d] as number;
  return Float64Array.from({ length: nodeCount }, (_, n) => {
    let price = 0;
    for (let d = 0; d < depth; d++) {
      const own = sums[n * depth + d] as number;
      const rho = own / (capacity[n * resourceCount + Math.floor(d / slotStride)] as number);
      price += (instance.slotWeight[d] as number) * own * (phi(rho + copyUtilisation) - phi(rho));
    }
    return price;
  });
}
