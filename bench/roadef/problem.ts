/** The instance in kernel memory, once for all searches on it, and the state of one search. */
import { assert } from '../../src/base/assert.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import type { Arena, TypedBlock } from '../../src/kernels/arena.ts';
import type { Pointer } from '../../src/kernels/exports.ts';
import {
  JOURNAL_COUNT,
  NEGATIVE_LOG_COUNT,
  OPERATOR_DRAWS,
  OPERATORS,
  ROADEF,
  ROADEF_BLOCK_BYTES,
} from './layout.ts';
import type { Model } from './model.ts';

const LANES = 4;
const INT32_MAX = 2 ** 31 - 1;
/** Capacity of a balance objective's column, which nothing may exceed: half the range, so that usage of either sign fits. */
const UNBOUNDED = 2 ** 30;

type Field = keyof typeof ROADEF;
type Integers = Int32Array | Uint8Array | Uint32Array;

/** The arrays of an instance that searches share, and their shapes. */
export interface SharedProblem {
  readonly fields: ReadonlyMap<Field, number>;
  readonly columnCount: number;
  readonly richCount: number;
  /** Processes of the largest service. */
  readonly serviceSizeMax: number;
  readonly listCapacity: number;
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
  place('weight', weight);
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
  place('location', model.locationOf);
  place('neighbourhood', model.neighbourhoodOf);
  const negativeLog = arena.f32(NEGATIVE_LOG_COUNT);
  for (let i = 0; i < NEGATIVE_LOG_COUNT; i++)
    negativeLog.view[i] = -Math.log((i + 0.5) / NEGATIVE_LOG_COUNT);
  fields.set('negativeLog', negativeLog.pointer);

  const sizes = new Int32Array(model.serviceCount);
  for (const service of model.serviceOf) sizes[service]!++;
  const richCount = placeServices(model, sizes, place);
  const scalars: readonly (readonly [Field, number])[] = [
    ['processCount', processCount],
    ['machineCount', machineCount],
    ['columnCount', columnCount],
    ['serviceCount', model.serviceCount],
    ['richCount', richCount],
    ['locationCount', model.locationCount],
    ['neighbourhoodCount', model.neighbourhoodCount],
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
    columnCount,
    richCount,
    listCapacity,
    serviceSizeMax: sizes.reduce((most, own) => Math.max(most, own), 0),
  };
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
    Array.from(model.dependsOn[s] as Int32Array, (other) => richOf[other] as number),
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

/** One search on a placed instance. Everything in it belongs to one thread at a time. */
export class SearchState {
  readonly pointer: Pointer;
  /** i32[process] */
  readonly bestOwnerOf: Int32Array;
  readonly #owner: Int32Array;
  readonly #fields: DataView;
  readonly #operators: Uint8Array;
  readonly #stats: Uint32Array;

  /** @param block from {@link placeSearch}; workers make their own view of it. */
  constructor(memory: WebAssembly.Memory, pointer: Pointer) {
    this.pointer = pointer;
    const buffer = memory.buffer;
    this.#fields = new DataView(buffer, pointer, ROADEF_BLOCK_BYTES);
    const processCount = this.#fields.getUint32(ROADEF.processCount, true);
    const at = (field: Field): number => this.#fields.getUint32(ROADEF[field], true);
    this.#owner = new Int32Array(buffer, at('owner'), processCount);
    this.bestOwnerOf = new Int32Array(buffer, at('bestOwner'), processCount);
    this.#operators = new Uint8Array(buffer, at('operators'), OPERATOR_DRAWS);
    this.#stats = new Uint32Array(buffer, at('operatorStats'), 2 * OPERATORS.length);
  }

  get cost(): bigint {
    return this.#fields.getBigInt64(ROADEF.cost, true);
  }

  get bestCost(): bigint {
    return this.#fields.getBigInt64(ROADEF.bestCost, true);
  }

  get awayCount(): number {
    return this.#fields.getUint32(ROADEF.awayCount, true);
  }

  set temperature(value: number) {
    this.#fields.setFloat64(ROADEF.temperature, value, true);
  }

  set tournament(value: number) {
    this.#fields.setUint32(ROADEF.tournament, value, true);
  }

  /** Proposed and accepted per operator since the last call. */
  takeStats(): { readonly proposed: number; readonly accepted: number }[] {
    const stats = OPERATORS.map((_, i) => ({
      proposed: this.#stats[2 * i] as number,
      accepted: this.#stats[2 * i + 1] as number,
    }));
    this.#stats.fill(0);
    return stats;
  }

  /** @param shares f64[operator], at least one above 0. */
  setOperators(shares: readonly number[]): void {
    const total = shares.reduce((sum, own) => sum + own, 0);
    assert(total > 0, 'some operator is drawn');
    let sum = 0;
    let first = 0;
    shares.forEach((share, operator) => {
      sum += share;
      const end = Math.round((sum / total) * OPERATOR_DRAWS);
      this.#operators.fill(operator, first, end);
      first = end;
    });
  }

  /** The next reset starts from this map, which has to be legal. */
  start(ownerOf: Int32Array): void {
    this.#owner.set(ownerOf);
  }
}

/** Makes the state of one search; it needs a start and a reset before it runs. */
export function placeSearch(arena: Arena, problem: SharedProblem, random: Random): Pointer {
  const block = arena.u8(ROADEF_BLOCK_BYTES);
  const fields = new DataView(block.view.buffer, block.pointer, ROADEF_BLOCK_BYTES);
  for (const [field, value] of problem.fields) fields.setInt32(ROADEF[field], value, true);
  const count = (field: Field): number => problem.fields.get(field) as number;
  const [processes, machines, rich] = [count('processCount'), count('machineCount'), problem.richCount];
  const place = (field: Field, placed: TypedBlock<Integers | Float64Array>): void =>
    fields.setUint32(ROADEF[field], placed.pointer, true);
  const words: readonly (readonly [Field, number])[] = [
    ['owner', processes + 1],
    ['bestOwner', processes],
    ['over', machines * problem.columnCount],
    ['free', machines * problem.columnCount],
    ['list', machines * problem.listCapacity],
    ['listLength', machines],
    ['listIndex', processes],
    ['away', processes],
    ['awayIndex', processes],
    ['locationUse', rich * count('locationCount')],
    ['locationSpread', rich],
    ['neighbours', rich * count('neighbourhoodCount')],
    ['missing', rich * count('neighbourhoodCount')],
    ['needing', rich * count('neighbourhoodCount')],
    ['moved', count('serviceCount')],
    ['movedHistogram', problem.serviceSizeMax + 2],
    ['journal', 2 * JOURNAL_COUNT],
    ['operatorStats', 2 * OPERATORS.length],
  ];
  for (const [field, length] of words) place(field, arena.i32(length));
  place('machineCost', arena.f64(machines));
  place('present', arena.u8(rich * machines));
  place('operators', arena.u8(OPERATOR_DRAWS));
  fields.setBigUint64(ROADEF.random, random.nextU64(), true);
  fields.setUint32(ROADEF.tournament, 3, true);
  return block.pointer;
}
