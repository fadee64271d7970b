/**
 * What an annealing by other weights than the true ones looks at. The terms whose cost is furthest above what no map can
 * avoid count for more, so that they are settled first, while it is hot; the others fall into place as it cools.
 *
 * Where one resource of twelve holds nearly all that is left (a2_5), or the price of moves does (a1_2), a search by the true
 * weights settles that term at temperatures at which all others melt with it.
 *
 * @see Charon & Hudry, "The noising method: a new method for combinatorial optimization", 1993
 * @see Gavranović & Buljubašić, "An efficient local search with noising strategy for Google machine reassignment problem", 2016
 */
import type { Random } from '../../src/base/random.ts';
import type { Model } from './model.ts';

/** For each column (resources, then balances) and for the price of moves: a factor, or a cost, or a weight. */
export interface Terms {
  readonly columns: readonly number[];
  readonly moves: number;
}

/** Factors of the weights: whole numbers of 1 and more. */
export type Emphasis = Terms;

/** A search in six is by the true weights. */
const PLAIN_SHARE = 1 / 6;
const FACTORS = [5, 10, 20] as const;
/** A move is worth little beside a load: which ones are made is settled while it is hot, when nobody looks at their price. */
const MOVE_FACTORS = [10, 30, 100] as const;
const MOVES_CHANCE = 0.25;
/** A term without an excess to speak of may be the next one to have it, once others count for more. */
const EASY_CHANCE = 0.15;
const EASY_FACTOR = 4;

/** @param excess of the map from which the annealing begins. */
export function drawEmphasis(random: Random, excess: Terms): Emphasis {
  const most = Math.max(1, excess.moves, ...excess.columns);
  const isPlain = random.nextFloat() < PLAIN_SHARE;
  const draw = (own: number, factors: readonly number[], least = 0): number => {
    const isChosen = random.nextFloat() < Math.max(least, Math.sqrt(own / most));
    const factor = factors[random.nextBelow(factors.length)] as number;
    const isEasyChosen = random.nextFloat() < EASY_CHANCE;
    if (isPlain) return 1;
    return isChosen ? factor : isEasyChosen ? EASY_FACTOR : 1;
  };
  return {
    columns: excess.columns.map((own) => draw(own, FACTORS)),
    moves: draw(excess.moves, MOVE_FACTORS, MOVES_CHANCE),
  };
}

/** @returns weights of the columns and of moves, the true ones without an emphasis. */
export function weightsOf({ loadWeight, balances }: Model, emphasis?: Emphasis): Terms {
  const weights = [...loadWeight, ...balances.map(({ weight }) => weight)];
  return {
    columns: weights.map((weight, column) => weight * (emphasis?.columns[column] ?? 1)),
    moves: emphasis?.moves ?? 1,
  };
}

/**
 * The cost of each column above its bound, which is its cost if all machines were one, and that of the moves.
 *
 * @param cost of the map.
 */
export function excessOf(model: Model, machineOf: Int32Array, cost: number): Terms {
  const { machineCount } = model;
  const overs = columnsOver(model, machineOf);
  const { columns: weights } = weightsOf(model);
  let moves = cost;
  const columns = overs.map((over, column) => {
    let sum = 0;
    let positive = 0;
    for (let machine = 0; machine < machineCount; machine++) {
      sum += over(machine);
      positive += Math.max(0, over(machine));
    }
    const weight = weights[column] as number;
    moves -= weight * positive;
    return weight * (positive - Math.max(0, sum));
  });
  return { columns, moves };
}

/** For each column, how far a machine is above its safety capacity, or short of what a balance asks for. */
function columnsOver(model: Model, machineOf: Int32Array): readonly ((machine: number) => number)[] {
  const { machineCount, resourceCount, capacity, safetyCapacity, requirement, balances } = model;
  const usage = new Float64Array(machineCount * resourceCount);
  machineOf.forEach((machine, p) => {
    for (let r = 0; r < resourceCount; r++)
      usage[machine * resourceCount + r]! += requirement[p * resourceCount + r] as number;
  });
  const cell = (rows: Float64Array, machine: number, r: number): number =>
    rows[machine * resourceCount + r] as number;
  const available = (machine: number, r: number): number =>
    cell(capacity, machine, r) - cell(usage, machine, r);
  return [
    ...Array.from(
      { length: resourceCount },
      (_, r) => (machine: number) => cell(usage, machine, r) - cell(safetyCapacity, machine, r),
    ),
    ...balances.map(
      ({ firstResource, secondResource, target }) =>
        (machine: number) =>
          target * available(machine, firstResource) - available(machine, secondResource),
    ),
  ];
}
