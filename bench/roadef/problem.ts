/** The instance in kernel memory, once for all searches on it, and what one search has for itself. */
import { assert } from '../../src/base/assert.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import { atOnce } from '../../src/base/slices.ts';
import type { Arena } from '../../src/kernels/arena.ts';
import { loopArrays, type SearchArray, SearchBlock } from '../../src/kernels/search-block.ts';
import { OPERATOR_NUMBERS } from '../../src/kernels/search-layout.ts';
import { OVERFLOW_UNITS, ROADEF_FIELDS, ROADEF_OPERATORS } from './layout.ts';
import type { Model } from './model.ts';

const LANES = 4;
/** Machines drawn for the hottest of them: of 100, the hottest fifth gets half of the draws. */
const TOURNAMENT = 3;
/** Of all processes, those counted as about the same size on either side. */
const NEAR_SHARE = 0.02;
const INT32_MAX = 2 ** 31 - 1;
/** Capacity of a balance objective's column, which nothing may exceed: half the range, so that usage of either sign fits. */
const UNBOUNDED = 2 ** 30;

type Field = keyof typeof ROADEF_FIELDS;

/** The arrays of an instance that searches share, and their shapes. */
export interface SharedProblem {
  readonly fields: ReadonlyMap<Field, number>;
  readonly processCount: number;
  /** f64[column]: what a unit beyond the safety capacity costs. */
  readonly weights: Float64Array;
  /** Processes of the largest service. */
  readonly serviceSizeMax: number;
}

/**
 * Places the instance.
 *
 * A balance objective becomes a column beside the resources: target A1 - A2 falls by target R1 - R2 with every process, so
 * that its requirement is R2 - target R1, and its safety capacity is where the difference is 0.
 *
 * @throws ForeshardError FORESHARD_LIMIT when a number of the instance does not fit the kernel's 32 bits.
 */
export function placeProblem(arena: Arena, model: Model, initial: Int32Array): SharedProblem {
  const { processCount, machineCount, resourceCount, balances } = model;
  const columnCount = Math.ceil((resourceCount + balances.length) / LANES) * LANES;
  const fields = new Map<Field, number>();
  const place = (field: Field, values: ArrayLike<number>): void => {
    const block = arena.i32(values.length);
    for (let i = 0; i < values.length; i++) block.view[i] = int32(values[i] as number, field);
    fields.set(field, block.pointer);
  };
  const rows = (
    source: Float64Array,
    count: number,
    balanceOf: (first: number, second: number, target: number) => number,
  ) => {
    const placed = new Float64Array(count * columnCount);
    for (let i = 0; i < count; i++) {
      for (let r = 0; r < resourceCount; r++)
        placed[i * columnCount + r] = source[i * resourceCount + r] as number;
      balances.forEach(({ firstResource, secondResource, target }, index) => {
        const first = source[i * resourceCount + firstResource] as number;
        const second = source[i * resourceCount + secondResource] as number;
        placed[i * columnCount + resourceCount + index] = balanceOf(first, second, target);
      });
    }
    return placed;
  };
  assertRange(model);

  const requirement = new Float64Array((processCount + 1) * columnCount);
  requirement.set(rows(model.requirement, processCount, (first, second, target) => second - target * first));
  place('requirement', requirement);
  place(
    'capacity',
    rows(model.capacity, machineCount, () => UNBOUNDED),
  );
  const safety = rows(model.safetyCapacity, machineCount, () => 0);
  const zero = rows(model.capacity, machineCount, (first, second, target) => second - target * first);
  for (let m = 0; m < machineCount; m++)
    for (let c = resourceCount; c < resourceCount + balances.length; c++)
      safety[m * columnCount + c] = zero[m * columnCount + c] as number;
  place('safety', safety);
  const weight = new Float64Array(columnCount);
  weight.set([...model.loadWeight, ...balances.map((balance) => balance.weight)]);
  place('overflowWeight', overflowWeights(model, columnCount));
  place(
    'staying',
    Int32Array.from({ length: columnCount }, (_, c) => (model.isTransient[c] === 1 ? 0 : -1)),
  );

  place('home', [...initial, -1]);
  place('service', [...model.serviceOf, -1]);
  place('processPrice', [...model.processMoveCost.map((cost) => cost * model.processMoveWeight), 0]);
  place(
    'machinePrice',
    model.machineMoveCost.map((cost) => cost * model.machineMoveWeight),
  );
  const bySize = processesBySize(model);
  const rankOf = new Int32Array(processCount);
  bySize.forEach((p, rank) => {
    rankOf[p] = rank;
  });
  place('bySize', bySize);
  place('rankOf', rankOf);
  place('location', model.locationOf);
  place('neighbourhood', model.neighbourhoodOf);

  const sizes = new Int32Array(model.serviceCount);
  for (const service of model.serviceOf) sizes[service]!++;
  const richCount = placeServices(model, sizes, place);
  const scalars: readonly (readonly [Field, number])[] = [
    ['machineCount', machineCount],
    ['columnCount', columnCount],
    ['serviceCount', model.serviceCount],
    ['richCount', richCount],
    ['locationCount', model.locationCount],
    ['neighbourhoodCount', model.neighbourhoodCount],
    ['nearRanks', Math.max(1, Math.round(NEAR_SHARE * processCount))],
    ['servicePrice', int32(model.serviceMoveWeight, 'servicePrice')],
  ];
  for (const [field, value] of scalars) fields.set(field, value);

  const onMachine = new Int32Array(machineCount);
  for (const machine of initial) onMachine[machine]!++;
  // Twice the fullest machine of the start is more than a good solution uses; a list that is full is only not proposed.
  const listCapacity =
    Math.min(processCount, 2 * onMachine.reduce((most, own) => Math.max(most, own), 0) + 64) + 1;
  fields.set('listCapacity', listCapacity);
  return {
    fields,
    processCount,
    weights: weight,
    serviceSizeMax: sizes.reduce((most, own) => Math.max(most, own), 0),
  };
}

function totalCapacity({ resourceCount, capacity }: Model): Float64Array {
  const total = new Float64Array(resourceCount);
  capacity.forEach((own, i) => {
    total[i % resourceCount]! += own;
  });
  return total;
}

/** i32[column]: what a unit beyond the capacity counts for, the same for each resource in shares of a mean machine. */
function overflowWeights(model: Model, columnCount: number): Int32Array {
  const weights = new Int32Array(columnCount);
  totalCapacity(model).forEach((total, r) => {
    const perUnit = Math.round((OVERFLOW_UNITS * model.machineCount) / Math.max(1, total));
    weights[r] = Math.min(OVERFLOW_UNITS, Math.max(1, perUnit));
  });
  return weights;
}

/** Smallest first: the sum over resources of what a process needs, as a share of all there is. */
function processesBySize(model: Model): Int32Array {
  const { processCount, resourceCount, requirement } = model;
  const total = totalCapacity(model);
  const size = Float64Array.from({ length: processCount }, (_, p) => {
    let sum = 0;
    for (let r = 0; r < resourceCount; r++)
      if ((total[r] as number) > 0)
        sum += (requirement[p * resourceCount + r] as number) / (total[r] as number);
    return sum;
  });
  return Int32Array.from(size.keys()).sort((p, q) => (size[p] as number) - (size[q] as number) || p - q);
}

/** Services that can forbid a move, in a numbering of their own, as lists of both directions of dependency. */
function placeServices(
  model: Model,
  sizes: Int32Array,
  place: (field: Field, values: ArrayLike<number>) => void,
): number {
  const isNeeded = new Uint8Array(model.serviceCount);
  for (const others of model.dependsOn) for (const other of others) isNeeded[other] = 1;
  const richOf = new Int32Array(model.serviceCount).fill(-1);
  const rich: number[] = [];
  for (let s = 0; s < model.serviceCount; s++)
    if ((sizes[s] as number) > 1 || isNeeded[s] === 1 || model.dependsOn[s]!.length > 0) {
      richOf[s] = rich.length;
      rich.push(s);
    }
  const needs = rich.map((s) =>
    // A service that depends on itself is always there where it is.
    Array.from(model.dependsOn[s] as Int32Array)
      .filter((other) => other !== s)
      .map((other) => richOf[other] as number),
  );
  const neededBy = rich.map((): number[] => []);
  needs.forEach((others, service) => {
    for (const other of others) neededBy[other]!.push(service);
  });
  const placeLists = (starts: Field, list: Field, lists: readonly number[][]): void => {
    let end = 0;
    place(starts, [0, ...lists.map((own) => (end += own.length))]);
    place(list, lists.flat());
  };
  placeLists('needsStart', 'needs', needs);
  placeLists('neededByStart', 'neededBy', neededBy);
  place(
    'spreadMin',
    rich.map((s) => model.spreadMin[s] as number),
  );
  place('rich', [...Array.from(model.serviceOf, (s) => richOf[s] as number), -1]);
  return rich.length;
}

function int32(value: number, field: string): number {
  if (!Number.isInteger(value) || Math.abs(value) > INT32_MAX)
    throw new ForeshardError(
      'FORESHARD_LIMIT',
      'abort',
      `${field} of ${value} does not fit the kernel's 32 bits`,
    );
  return value;
}

/** A machine's usage, with one process too many in it, fits 31 bits, and that of a balance column half of it. */
function assertRange(model: Model): void {
  const { resourceCount } = model;
  const most = (rows: Float64Array, r: number): number => {
    let value = 0;
    for (let i = r; i < rows.length; i += resourceCount) value = Math.max(value, rows[i] as number);
    return value;
  };
  const reach = Array.from(
    { length: resourceCount },
    (_, r) =>
      2 * (Math.max(most(model.capacity, r), most(model.safetyCapacity, r)) + most(model.requirement, r)),
  );
  reach.forEach((own, r) => {
    int32(own, `the range of resource ${r}`);
  });
  model.balances.forEach(({ firstResource, secondResource, target }, b) => {
    int32(
      2 * (target * (reach[firstResource] as number) + (reach[secondResource] as number)),
      `the range of balance ${b}`,
    );
  });
}

export type RoadefBlock = SearchBlock<typeof ROADEF_FIELDS>;

/** The state of one search; it needs a start in `owner` and a reset before it runs. */
export function placeSearch(arena: Arena, problem: SharedProblem, random: Random): RoadefBlock {
  const count = (field: Field): number => problem.fields.get(field) as number;
  const processes = problem.processCount;
  const machines = count('machineCount');
  const rich = count('richCount');
  const i32 = (length: number): SearchArray => ({ kind: 'i32', count: length });
  const block = new SearchBlock(
    arena,
    ROADEF_FIELDS,
    {
      ...loopArrays({ itemCount: processes, operatorCount: ROADEF_OPERATORS.length }),
      over: i32(machines * count('columnCount')),
      free: i32(machines * count('columnCount')),
      machineCost: { kind: 'f64', count: machines },
      list: i32(machines * count('listCapacity')),
      listLength: i32(machines),
      listIndex: i32(processes),
      away: i32(processes),
      awayIndex: i32(processes),
      present: { kind: 'u8', count: rich * machines },
      locationUse: i32(rich * count('locationCount')),
      locationSpread: i32(rich),
      neighbours: i32(rich * count('neighbourhoodCount')),
      missing: i32(rich * count('neighbourhoodCount')),
      needing: i32(rich * count('neighbourhoodCount')),
      moved: i32(count('serviceCount')),
      movedHistogram: i32(problem.serviceSizeMax + 2),
      weight: { ...i32(problem.weights.length), values: problem.weights },
    },
    ROADEF_OPERATORS.map(() => ({ price: 1, share: 1 / ROADEF_OPERATORS.length })),
  );
  atOnce(block.filling());
  for (const [field, value] of problem.fields) block.set(field, value);
  block.set('tournament', TOURNAMENT);
  block.set('moveWeight', 1);
  const low = random.nextU64();
  const high = random.nextU64();
  // An all-zero state would stay zero.
  const words = [low & 0xffffffffn, low >> 32n, high & 0xffffffffn, (high >> 32n) | 1n];
  (['random0', 'random1', 'random2', 'random3'] as const).forEach((field, i) => {
    block.set(field, Number(words[i]));
  });
  return block;
}

/** @param shares f64[operator], at least one above 0; an operator of share 0 is never tried. */
export function setOperators(block: RoadefBlock, shares: readonly number[]): void {
  const total = shares.reduce((sum, own) => sum + own, 0);
  assert(total > 0 && shares.length === ROADEF_OPERATORS.length, 'every operator has a share, some above 0');
  shares.forEach((share, operator) => {
    const own = share / total;
    block.operators.set([own, 0, 0, 1, own], OPERATOR_NUMBERS * operator);
  });
}
