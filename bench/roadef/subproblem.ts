/**
 * A small part of an instance, to be solved exactly: all processes on a few machines may be dealt out among them anew, the
 * rest of the map stays.
 *
 * A process of a service with a spread, a dependency or brothers stays in its neighbourhood and location, so that no spread and no
 * dependency can break; nothing else depends on who else moves. So what is found on two sets of machines without a common one is
 * legal together.
 */
import type { LinearProgram } from '../../src/ports/linear-solver.ts';
import type { Model } from './model.ts';
import { ProgramBuilder } from './program-builder.ts';

/** One variable of the programme: the process on the machine. */
interface Choice {
  readonly process: number;
  readonly machine: number;
  readonly column: number;
}

/** What is counted on every machine: a resource, or what a balance falls short by. */
interface Gauge {
  readonly weight: number;
  /** What a process adds. */
  of(process: number): number;
  /** The cost is weight x max(0, {@link base} + the sum of all that is there). */
  base(machine: number): number;
  /** About the size of what a machine holds of it, above 0. */
  scale(machine: number): number;
}

/** Rows are scaled to this, far above the solver's tolerance of 1e-6. */
const ROW_SCALE = 1000;

export interface Subproblem {
  readonly program: LinearProgram;
  /** The map as it is. */
  readonly start: Float64Array;
  /** @returns the machine of each process on the machines; undefined if a capacity does not hold in whole numbers. */
  decode(values: Float64Array): ReadonlyMap<number, number> | undefined;
}

export class Subproblems {
  readonly #model: Model;
  readonly #initial: Int32Array;
  readonly #gauges: readonly Gauge[];
  /** u8[service]: 1 for those whose processes may forbid a move or be missed. */
  readonly #isBound: Uint8Array;

  /** @param initial i32[process]: where each process is before anything moves. */
  constructor(model: Model, initial: Int32Array) {
    this.#model = model;
    this.#initial = initial;
    this.#gauges = gaugesOf(model);
    this.#isBound = boundServices(model);
  }

  /** What a process pays for being on the machine; what the most moved service pays is not looked at. */
  priceOf(process: number, machine: number): number {
    const { machineCount, machineMoveCost, processMoveCost, machineMoveWeight, processMoveWeight } =
      this.#model;
    const home = this.#initial[process] as number;
    const machinePrice = machineMoveWeight * (machineMoveCost[home * machineCount + machine] as number);
    return machine === home
      ? machinePrice
      : machinePrice + processMoveWeight * (processMoveCost[process] as number);
  }

  /**
   * f64[machine]: the cost of what keeps loads above their bounds there. Where the machines together are above 0 it is whoever is below,
   * else whoever is above.
   */
  faults(machineOf: Int32Array): Float64Array {
    const faults = new Float64Array(this.#model.machineCount);
    for (const gauge of this.#gauges) {
      const overs = Float64Array.from(faults, (_, machine) => gauge.base(machine));
      machineOf.forEach((machine, process) => {
        overs[machine]! += gauge.of(process);
      });
      const side = overs.reduce((sum, over) => sum + over, 0) >= 0 ? -1 : 1;
      overs.forEach((over, machine) => {
        faults[machine]! += gauge.weight * Math.max(0, side * over);
      });
    }
    return faults;
  }

  /**
   * @param machineOf i32[process], legal.
   * @param machines each once.
   */
  at(machineOf: Int32Array, machines: readonly number[]): Subproblem {
    const members = machines.map((): number[] => []);
    const natives = machines.map((): number[] => []);
    const indexOf = new Map(machines.map((machine, index) => [machine, index]));
    machineOf.forEach((machine, process) => {
      members[indexOf.get(machine) ?? -1]?.push(process);
      natives[indexOf.get(this.#initial[process] as number) ?? -1]?.push(process);
    });
    const builder = new ProgramBuilder();
    const start: number[] = [];
    const choices: Choice[] = [];
    for (const process of members.flat()) {
      const row = builder.row(1, 1);
      for (const machine of machines) {
        if (!this.#mayEnter(process, machineOf[process] as number, machine)) continue;
        const column = builder.column({ cost: this.priceOf(process, machine), upper: 1, isInteger: true });
        builder.entry(row, column, 1);
        choices.push({ process, machine, column });
        start[column] = machineOf[process] === machine ? 1 : 0;
      }
    }
    const choicesOf = machines.map((machine) => choices.filter((choice) => choice.machine === machine));
    this.#keepApart(builder, choicesOf);
    machines.forEach((machine, index) => {
      this.#limit(builder, machine, {
        choices: choicesOf[index] as Choice[],
        natives: natives[index] as number[],
      });
    });
    addGauges(builder, this.#gauges, { machines, members, choicesOf, start });
    return {
      program: builder.build(),
      start: Float64Array.from(start),
      decode: (values) => this.#decode(values, { machines, choices, natives }),
    };
  }

  #mayEnter(process: number, from: number, to: number): boolean {
    const { neighbourhoodOf, locationOf, serviceOf, resourceCount, requirement, capacity } = this.#model;
    if (from === to) return true;
    for (let r = 0; r < resourceCount; r++)
      if ((requirement[process * resourceCount + r] as number) > (capacity[to * resourceCount + r] as number))
        return false;
    if (this.#isBound[serviceOf[process] as number] === 0) return true;
    return neighbourhoodOf[from] === neighbourhoodOf[to] && locationOf[from] === locationOf[to];
  }

  /** One process of a service a machine. */
  #keepApart(builder: ProgramBuilder, choicesOf: readonly (readonly Choice[])[]): void {
    for (const choices of choicesOf) {
      const columnsOf = new Map<number, number[]>();
      for (const { process, column } of choices) {
        const service = this.#model.serviceOf[process] as number;
        columnsOf.set(service, [...(columnsOf.get(service) ?? []), column]);
      }
      for (const columns of columnsOf.values()) {
        if (columns.length === 1) continue;
        const row = builder.row(Number.NEGATIVE_INFINITY, 1);
        for (const column of columns) builder.entry(row, column, 1);
      }
    }
  }

  /** Capacities. Of a transient resource all natives use their part, wherever they are. */
  #limit(
    builder: ProgramBuilder,
    machine: number,
    { choices, natives }: { readonly choices: readonly Choice[]; readonly natives: readonly number[] },
  ): void {
    const { resourceCount, requirement, capacity, isTransient } = this.#model;
    for (let r = 0; r < resourceCount; r++) {
      const need = (process: number): number => requirement[process * resourceCount + r] as number;
      const whole = capacity[machine * resourceCount + r] as number;
      const atHome = isTransient[r] === 1 ? natives : [];
      const left = atHome.reduce((sum, process) => sum + need(process), 0);
      const factor = ROW_SCALE / Math.max(1, whole);
      const row = builder.row(Number.NEGATIVE_INFINITY, factor * (whole - left));
      for (const { process, column } of choices)
        if (isTransient[r] === 0 || this.#initial[process] !== machine)
          builder.entry(row, column, factor * need(process));
    }
  }

  #decode(
    values: Float64Array,
    parts: {
      readonly machines: readonly number[];
      readonly choices: readonly Choice[];
      readonly natives: readonly (readonly number[])[];
    },
  ): ReadonlyMap<number, number> | undefined {
    const { resourceCount, requirement, capacity, isTransient } = this.#model;
    const chosen = new Map<number, number>();
    for (const { process, machine, column } of parts.choices)
      if ((values[column] as number) > 0.5) chosen.set(process, machine);
    // The solver holds rows to a tolerance only; here they are whole numbers.
    const holds = parts.machines.every((machine, index) => {
      const there = [...chosen].filter(([, own]) => own === machine).map(([process]) => process);
      const gone = (parts.natives[index] as number[]).filter((process) => !there.includes(process));
      for (let r = 0; r < resourceCount; r++) {
        let used = 0;
        for (const process of isTransient[r] === 1 ? [...there, ...gone] : there)
          used += requirement[process * resourceCount + r] as number;
        if (used > (capacity[machine * resourceCount + r] as number)) return false;
      }
      return true;
    });
    return holds ? chosen : undefined;
  }
}

interface GaugeParts {
  readonly machines: readonly number[];
  readonly members: readonly (readonly number[])[];
  readonly choicesOf: readonly (readonly Choice[])[];
  readonly start: number[];
}

/**
 * The cost of all that is counted. The sum of a gauge over the machines does not change; so where all are above 0 its cost is least if
 * they stay so, and where none is, that too. Where this holds for all gauges, loads cost no less than they do, and it becomes a bound, which a
 * solver takes far better than a price; no load is paid for a move then. Otherwise a variable for each machine stands for what it is above 0.
 */
function addGauges(builder: ProgramBuilder, gauges: readonly Gauge[], parts: GaugeParts): void {
  const { machines, members } = parts;
  const oversOf = (gauge: Gauge): number[] =>
    machines.map((machine, index) =>
      (members[index] as number[]).reduce((sum, process) => sum + gauge.of(process), gauge.base(machine)),
    );
  const counted = gauges
    .filter(({ weight }) => weight > 0)
    .map((gauge) => ({ gauge, overs: oversOf(gauge) }));
  const isFull = (overs: readonly number[]): boolean => overs.every((over) => over >= 0);
  const isEmpty = (overs: readonly number[]): boolean => overs.every((over) => over <= 0);
  const isLeast = counted.every(({ overs }) => isFull(overs) || isEmpty(overs));
  for (const { gauge, overs } of counted)
    machines.forEach((machine, index) => {
      const factor = ROW_SCALE / gauge.scale(machine);
      const bound = -factor * gauge.base(machine);
      const row =
        isLeast && isFull(overs)
          ? builder.row(bound, Number.POSITIVE_INFINITY)
          : builder.row(Number.NEGATIVE_INFINITY, bound);
      for (const { process, column } of parts.choicesOf[index] as Choice[])
        builder.entry(row, column, factor * gauge.of(process));
      if (isLeast) return;
      const upper = Number.POSITIVE_INFINITY;
      const above = builder.column({ cost: gauge.weight / factor, upper, isInteger: false });
      builder.entry(row, above, -1);
      parts.start[above] = factor * Math.max(0, overs[index] as number);
    });
}

function gaugesOf(model: Model): Gauge[] {
  const { resourceCount, requirement, capacity, safetyCapacity, loadWeight, balances } = model;
  const cell = (rows: Float64Array, row: number, r: number): number =>
    rows[row * resourceCount + r] as number;
  const loads = Array.from(
    loadWeight,
    (weight, r): Gauge => ({
      weight,
      of: (process) => cell(requirement, process, r),
      base: (machine) => -cell(safetyCapacity, machine, r),
      scale: (machine) => Math.max(1, cell(capacity, machine, r)),
    }),
  );
  const shortages = balances.map(
    ({ firstResource: a, secondResource: b, target, weight }): Gauge => ({
      weight,
      of: (process) => cell(requirement, process, b) - target * cell(requirement, process, a),
      base: (machine) => target * cell(capacity, machine, a) - cell(capacity, machine, b),
      scale: (machine) => Math.max(1, target * cell(capacity, machine, a), cell(capacity, machine, b)),
    }),
  );
  return [...loads, ...shortages];
}

function boundServices({ serviceCount, serviceOf, dependsOn }: Model): Uint8Array {
  const sizes = new Int32Array(serviceCount);
  for (const service of serviceOf) sizes[service]!++;
  const isBound = Uint8Array.from(sizes, (size, service) =>
    size > 1 || (dependsOn[service] as Int32Array).length > 0 ? 1 : 0,
  );
  for (const others of dependsOn) for (const other of others) isBound[other] = 1;
  return isBound;
}
