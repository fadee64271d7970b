import { ForeshardError } from '../base/errors.ts';
import type { PlacementInstance } from './instance.ts';
import type { AffinitySettings } from './settings.ts';

/** What loads partitions and nodes, whatever it was read from; in any unit, the same for all of a resource. */
export interface LoadTable {
  readonly partitionCount: number;
  readonly nodeCount: number;
  readonly slotCount: number;
  readonly slotHours: number;
  /** Weights relative, at least one above 0; a resource of weight 0 is a limit and no cost. */
  readonly resources: readonly { readonly name: string; readonly weight: number }[];
  /** Standard deviations from `point` to `upper`. */
  readonly upperZ: number;
  /** What nodes carry are sums, and sums are made of means. */
  mean(partition: number, resource: number, slot: number): number;
  /** The middle of what may come; not above `upper`, as a mean may be. */
  point(partition: number, resource: number, slot: number): number;
  upper(partition: number, resource: number, slot: number): number;
  background(node: number, resource: number, slot: number): number;
  capacity(node: number, resource: number): number;
  isAlive(node: number): boolean;
  /** How they are called where a number is refused. */
  partitionName(partition: number): string;
  nodeName(node: number): string;
}

export type Loads = Pick<
  PlacementInstance,
  | 'slotCount'
  | 'slotStride'
  | 'resourceCount'
  | 'depth'
  | 'load'
  | 'variance'
  | 'background'
  | 'capacity'
  | 'slotWeight'
  | 'overloadFactor'
>;

const badInput = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CORRUPT', 'report', `placement input: ${message}`);

function badCell(
  place: string,
  { mean, point, upper }: { readonly mean: number; readonly point: number; readonly upper: number },
): ForeshardError {
  const isMeanWrong = point >= 0 && upper >= point && Number.isFinite(upper);
  return badInput(isMeanWrong ? `${place} has a mean of ${mean}` : `${place} is ${point} (upper ${upper})`);
}

/**
 * Loads in units of the mean capacity of live nodes, and weights that make the objective a load-weighted mean over the
 * horizon.
 *
 * @throws ForeshardError FORESHARD_CORRUPT naming the first number that cannot be.
 */
export function buildLoads(
  table: LoadTable,
  settings: Pick<AffinitySettings, 'discountPerDay' | 'overloadWeight'>,
): Loads {
  const { partitionCount, nodeCount, slotCount, slotHours, resources, upperZ } = table;
  const resourceCount = resources.length;
  const slotStride = (slotCount + 3) & ~3;
  const depth = resourceCount * slotStride;
  const load = new Float64Array(partitionCount * depth);
  const variance = new Float64Array(partitionCount * depth);
  const background = new Float64Array(nodeCount * depth);
  const capacity = new Float64Array(nodeCount * resourceCount);
  const slotWeight = new Float64Array(depth);
  const overloadFactor = new Float64Array(resourceCount);
  const weightSum = resources.reduce((sum, { weight }) => sum + weight, 0);

  resources.forEach(({ name, weight }, r) => {
    const unit = 1 / scaleCapacity(table, r, capacity);
    let discountSum = 0;
    let loadSum = 0;
    for (let t = 0; t < slotCount; t++) {
      const discount = settings.discountPerDay ** ((t * slotHours) / 24);
      let slotLoad = 0;
      for (let p = 0; p < partitionCount; p++) {
        const mean = table.mean(p, r, t);
        const point = table.point(p, r, t);
        const upper = table.upper(p, r, t);
        // Tens of thousands of cells: infinite ones and NaN fail the comparisons, and whoever is refused is named elsewhere.
        if (
          !(
            point >= 0 &&
            upper >= point &&
            upper <= Number.MAX_VALUE &&
            mean >= 0 &&
            mean <= Number.MAX_VALUE
          )
        )
          throw badCell(`load of ${name}, ${table.partitionName(p)}, step ${t}`, { mean, point, upper });
        const cell = p * depth + r * slotStride + t;
        load[cell] = mean * unit;
        variance[cell] = (((upper - point) * unit) / upperZ) ** 2;
        slotLoad += mean * unit;
      }
      for (let n = 0; n < nodeCount; n++) {
        const own = table.background(n, r, t) * unit;
        background[n * depth + r * slotStride + t] = own;
        slotLoad += own;
      }
      slotWeight[r * slotStride + t] = discount;
      discountSum += discount;
      loadSum += discount * slotLoad;
    }
    const share = weight / weightSum;
    // A forecast of no load at all is legal: every map is as good as any other then.
    const scale = loadSum > 0 ? share / loadSum : 0;
    for (let t = 0; t < slotCount; t++) slotWeight[r * slotStride + t]! *= scale;
    overloadFactor[r] = (settings.overloadWeight * loadSum) / discountSum;
  });
  return {
    slotCount,
    slotStride,
    resourceCount,
    depth,
    load,
    variance,
    background,
    capacity,
    slotWeight,
    overloadFactor,
  };
}

/**
 * Fills capacity[node][r] in units of the mean, which it returns. Where nothing has been asked yet, nobody knows what nodes carry:
 * the mean is Infinity then, any load is none of it, and every map as good as any other.
 */
function scaleCapacity(table: LoadTable, r: number, capacity: Float64Array): number {
  const { nodeCount, resources } = table;
  // A node that cannot say what it could carry counts as an average one: one that is down, as a source only.
  let sum = 0;
  let knownCount = 0;
  for (let n = 0; n < nodeCount; n++) {
    if (!table.isAlive(n)) continue;
    const own = table.capacity(n, r);
    if (!(own > 0))
      throw badInput(
        `capacity of ${table.nodeName(n)} in ${resources[r]?.name} is ${own}: it must be above 0`,
      );
    if (!Number.isFinite(own)) continue;
    sum += own;
    knownCount++;
  }
  const mean = knownCount > 0 ? sum / knownCount : Number.POSITIVE_INFINITY;
  for (let n = 0; n < nodeCount; n++) {
    const own = table.capacity(n, r);
    capacity[n * resources.length + r] = own > 0 && Number.isFinite(own) ? own / mean : 1;
  }
  return mean;
}
