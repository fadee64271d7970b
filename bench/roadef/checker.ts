/**
 * Judges a solution from the definition alone: it shares nothing with the search but the model, holds no state between
 * calls, and adds in BigInt, so that no sum can be rounded.
 *
 * @see "ROADEF/EURO challenge 2012: Machine reassignment, problem description", section 2
 */
import type { Model } from './model.ts';

export type Constraint = 'capacity' | 'transient' | 'conflict' | 'spread' | 'dependency';

export interface Violation {
  readonly constraint: Constraint;
  /** A sentence with the machine, resource, service or process at fault. */
  readonly what: string;
}

/** The parts of the objective, weights included. */
export interface Cost {
  readonly load: bigint;
  readonly balance: bigint;
  readonly processMove: bigint;
  readonly serviceMove: bigint;
  readonly machineMove: bigint;
  readonly total: bigint;
}

export interface Verdict {
  /** Empty for a legal solution. */
  readonly violations: readonly Violation[];
  readonly cost: Cost;
}

/**
 * @param initial i32[process]: where each process is.
 * @param machineOf i32[process]: where the solution puts it.
 */
export function checkSolution(model: Model, initial: Int32Array, machineOf: Int32Array): Verdict {
  if (initial.length !== model.processCount || machineOf.length !== model.processCount)
    throw new RangeError(`a solution places each of ${model.processCount} processes`);
  return {
    violations: [
      ...capacityViolations(model, initial, machineOf),
      ...conflictViolations(model, machineOf),
      ...spreadViolations(model, machineOf),
      ...dependencyViolations(model, machineOf),
    ],
    cost: costOf(model, initial, machineOf),
  };
}

/** f64[machine][resource]: sums of integers, which stay exact below 2^53. */
function usage(model: Model, machineOf: Int32Array, counts: (p: number, r: number) => boolean): Float64Array {
  const { resourceCount } = model;
  const used = new Float64Array(model.machineCount * resourceCount);
  for (let p = 0; p < model.processCount; p++)
    for (let r = 0; r < resourceCount; r++)
      if (counts(p, r))
        used[(machineOf[p] as number) * resourceCount + r]! += model.requirement[
          p * resourceCount + r
        ] as number;
  if (used.some((sum) => sum > Number.MAX_SAFE_INTEGER))
    throw new RangeError('usage above 2^53 - 1 is not exact');
  return used;
}

function capacityViolations(model: Model, initial: Int32Array, machineOf: Int32Array): Violation[] {
  const { resourceCount } = model;
  const used = usage(model, machineOf, () => true);
  const leftBehind = usage(
    model,
    initial,
    (p, r) => model.isTransient[r] === 1 && initial[p] !== machineOf[p],
  );
  const violations: Violation[] = [];
  for (let m = 0; m < model.machineCount; m++)
    for (let r = 0; r < resourceCount; r++) {
      const at = m * resourceCount + r;
      const capacity = model.capacity[at] as number;
      const own = used[at] as number;
      const all = own + (leftBehind[at] as number);
      if (own > capacity)
        violations.push({
          constraint: 'capacity',
          what: `machine ${m} has ${capacity} of resource ${r}, and ${own} is used`,
        });
      else if (all > capacity)
        violations.push({
          constraint: 'transient',
          what: `machine ${m} has ${capacity} of resource ${r}, and ${all} is used while processes leave`,
        });
    }
  return violations;
}

function conflictViolations(model: Model, machineOf: Int32Array): Violation[] {
  const violations: Violation[] = [];
  const seen = new Map<number, number>();
  for (let p = 0; p < model.processCount; p++) {
    const machine = machineOf[p] as number;
    const service = model.serviceOf[p] as number;
    const key = service * model.machineCount + machine;
    const other = seen.get(key);
    if (other === undefined) seen.set(key, p);
    else
      violations.push({
        constraint: 'conflict',
        what: `processes ${other} and ${p} of service ${service} are both on machine ${machine}`,
      });
  }
  return violations;
}

/** Per service the set of what `placeOf` says of the machines of its processes. */
function placesOfServices(model: Model, machineOf: Int32Array, placeOf: Int32Array): Set<number>[] {
  const places = Array.from({ length: model.serviceCount }, () => new Set<number>());
  for (let p = 0; p < model.processCount; p++)
    places[model.serviceOf[p] as number]!.add(placeOf[machineOf[p] as number] as number);
  return places;
}

function spreadViolations(model: Model, machineOf: Int32Array): Violation[] {
  return placesOfServices(model, machineOf, model.locationOf).flatMap((locations, service) => {
    const least = model.spreadMin[service] as number;
    if (locations.size >= least) return [];
    return {
      constraint: 'spread' as const,
      what: `service ${service} is in ${locations.size} locations and needs ${least}`,
    };
  });
}

function dependencyViolations(model: Model, machineOf: Int32Array): Violation[] {
  const neighbourhoods = placesOfServices(model, machineOf, model.neighbourhoodOf);
  return neighbourhoods.flatMap((own, service) =>
    Array.from(model.dependsOn[service] as Int32Array).flatMap((other) =>
      [...own]
        .filter((neighbourhood) => !neighbourhoods[other]!.has(neighbourhood))
        .map((neighbourhood) => ({
          constraint: 'dependency' as const,
          what: `service ${service} needs service ${other} in neighbourhood ${neighbourhood}`,
        })),
    ),
  );
}

function costOf(model: Model, initial: Int32Array, machineOf: Int32Array): Cost {
  const { resourceCount, machineCount } = model;
  const used = usage(model, machineOf, () => true);
  let load = 0n;
  for (let r = 0; r < resourceCount; r++) {
    let over = 0n;
    for (let m = 0; m < machineCount; m++) {
      const at = m * resourceCount + r;
      over += positive(BigInt(used[at] as number) - BigInt(model.safetyCapacity[at] as number));
    }
    load += BigInt(model.loadWeight[r] as number) * over;
  }
  let balance = 0n;
  for (const { firstResource, secondResource, target, weight } of model.balances) {
    let short = 0n;
    for (let m = 0; m < machineCount; m++) {
      const available = (r: number): bigint =>
        BigInt(model.capacity[m * resourceCount + r] as number) -
        BigInt(used[m * resourceCount + r] as number);
      short += positive(BigInt(target) * available(firstResource) - available(secondResource));
    }
    balance += BigInt(weight) * short;
  }
  const moves = moveCosts(model, initial, machineOf);
  const parts = { load, balance, ...moves };
  return { ...parts, total: load + balance + moves.processMove + moves.serviceMove + moves.machineMove };
}

function moveCosts(
  model: Model,
  initial: Int32Array,
  machineOf: Int32Array,
): Pick<Cost, 'processMove' | 'serviceMove' | 'machineMove'> {
  let processMove = 0n;
  let machineMove = 0n;
  const movedOfService = new Int32Array(model.serviceCount);
  for (let p = 0; p < model.processCount; p++) {
    const source = initial[p] as number;
    const target = machineOf[p] as number;
    machineMove += BigInt(model.machineMoveCost[source * model.machineCount + target] as number);
    if (source === target) continue;
    processMove += BigInt(model.processMoveCost[p] as number);
    movedOfService[model.serviceOf[p] as number]!++;
  }
  const mostMoved = movedOfService.reduce((most, moved) => Math.max(most, moved), 0);
  return {
    processMove: BigInt(model.processMoveWeight) * processMove,
    serviceMove: BigInt(model.serviceMoveWeight) * BigInt(mostMoved),
    machineMove: BigInt(model.machineMoveWeight) * machineMove,
  };
}

function positive(value: bigint): bigint {
  return value > 0n ? value : 0n;
}
