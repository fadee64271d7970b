/**
 * An instance of the ROADEF/EURO challenge 2012, machine reassignment, and its two file formats.
 *
 * @see "ROADEF/EURO challenge 2012: Machine reassignment, problem description", sections 1 to 3
 */
import { writeFileSync } from 'node:fs';
import { IntegerReader } from './integer-reader.ts';

/** One balance objective: weight x sum over machines of max(0, target A(m, first) - A(m, second)). */
export interface Balance {
  readonly firstResource: number;
  readonly secondResource: number;
  readonly target: number;
  readonly weight: number;
}

/** Counts are small, everything else is a non-negative integer below 2^53. */
export interface Model {
  readonly resourceCount: number;
  readonly machineCount: number;
  readonly serviceCount: number;
  readonly processCount: number;
  readonly locationCount: number;
  readonly neighbourhoodCount: number;
  /** u8[resource]: 1 if a process that moves uses the resource on both machines. */
  readonly isTransient: Uint8Array;
  /** f64[resource] */
  readonly loadWeight: Float64Array;
  /** i32[machine] */
  readonly neighbourhoodOf: Int32Array;
  /** i32[machine] */
  readonly locationOf: Int32Array;
  /** f64[machine][resource] */
  readonly capacity: Float64Array;
  /** f64[machine][resource] */
  readonly safetyCapacity: Float64Array;
  /** f64[source][target] */
  readonly machineMoveCost: Float64Array;
  /** i32[service]: the least count of locations. */
  readonly spreadMin: Int32Array;
  /** Per service the services it depends on, without itself and without repetition. */
  readonly dependsOn: readonly Int32Array[];
  /** i32[process] */
  readonly serviceOf: Int32Array;
  /** f64[process][resource] */
  readonly requirement: Float64Array;
  /** f64[process] */
  readonly processMoveCost: Float64Array;
  readonly balances: readonly Balance[];
  readonly processMoveWeight: number;
  readonly serviceMoveWeight: number;
  readonly machineMoveWeight: number;
}

/** The challenge's files are far below; a damaged count should not become an attempt to reserve all memory. */
const COUNT_MAX = 1_000_000;
const TABLE_MAX = 100_000_000;

/** @throws ForeshardError FORESHARD_CORRUPT naming file and line. */
export function readModel(path: string): Model {
  const reader = new IntegerReader(path);
  try {
    const resources = readResources(reader);
    const machines = readMachines(reader, resources.resourceCount);
    const services = readServices(reader);
    const processes = readProcesses(reader, { ...resources, ...services });
    const balances = readBalances(reader, resources.resourceCount);
    const model: Model = {
      ...resources,
      ...machines,
      ...services,
      ...processes,
      balances,
      processMoveWeight: reader.next('the weight of process moves'),
      serviceMoveWeight: reader.next('the weight of service moves'),
      machineMoveWeight: reader.next('the weight of machine moves'),
    };
    reader.expectEnd('the three weights');
    return model;
  } finally {
    reader.close();
  }
}

/**
 * @returns i32[process]: the machine of each process.
 * @throws ForeshardError FORESHARD_CORRUPT naming file and line.
 */
export function readAssignment(
  path: string,
  model: Pick<Model, 'processCount' | 'machineCount'>,
): Int32Array {
  const reader = new IntegerReader(path);
  try {
    const machineOf = Int32Array.from({ length: model.processCount }, (_, p) =>
      reader.next(`the machine of process ${p}`, { max: model.machineCount - 1 }),
    );
    reader.expectEnd(`the machines of ${model.processCount} processes`);
    return machineOf;
  } finally {
    reader.close();
  }
}

/** The competition's format for a solution: the same as an assignment's. */
export function writeAssignment(path: string, machineOf: Int32Array): void {
  writeFileSync(path, `${machineOf.join(' ')}\n`);
}

function readResources(reader: IntegerReader) {
  const resourceCount = reader.next('the count of resources', { min: 1, max: COUNT_MAX });
  const isTransient = new Uint8Array(resourceCount);
  const loadWeight = new Float64Array(resourceCount);
  for (let r = 0; r < resourceCount; r++) {
    isTransient[r] = reader.next(`transience of resource ${r}`, { max: 1 });
    loadWeight[r] = reader.next(`weight of resource ${r}`);
  }
  return { resourceCount, isTransient, loadWeight };
}

function readMachines(reader: IntegerReader, resourceCount: number) {
  const machineCount = reader.next('the count of machines', {
    min: 1,
    max: Math.min(COUNT_MAX, Math.floor(Math.sqrt(TABLE_MAX)), Math.floor(TABLE_MAX / resourceCount)),
  });
  const neighbourhoodOf = new Int32Array(machineCount);
  const locationOf = new Int32Array(machineCount);
  const capacity = new Float64Array(machineCount * resourceCount);
  const safetyCapacity = new Float64Array(machineCount * resourceCount);
  const machineMoveCost = new Float64Array(machineCount * machineCount);
  for (let m = 0; m < machineCount; m++) {
    neighbourhoodOf[m] = reader.next(`neighbourhood of machine ${m}`, { max: COUNT_MAX });
    locationOf[m] = reader.next(`location of machine ${m}`, { max: COUNT_MAX });
    for (let r = 0; r < resourceCount; r++)
      capacity[m * resourceCount + r] = reader.next(`capacity of machine ${m}`);
    for (let r = 0; r < resourceCount; r++)
      safetyCapacity[m * resourceCount + r] = reader.next(`safety capacity of machine ${m}`);
    for (let target = 0; target < machineCount; target++)
      machineMoveCost[m * machineCount + target] = reader.next(`move costs of machine ${m}`);
  }
  const countOf = (ids: Int32Array): number => ids.reduce((most, id) => Math.max(most, id + 1), 0);
  return {
    machineCount,
    neighbourhoodOf,
    locationOf,
    capacity,
    safetyCapacity,
    machineMoveCost,
    neighbourhoodCount: countOf(neighbourhoodOf),
    locationCount: countOf(locationOf),
  };
}

function readServices(reader: IntegerReader) {
  const serviceCount = reader.next('the count of services', { max: COUNT_MAX });
  const spreadMin = new Int32Array(serviceCount);
  const dependsOn: Int32Array[] = [];
  for (let s = 0; s < serviceCount; s++) {
    spreadMin[s] = reader.next(`spread of service ${s}`, { max: COUNT_MAX });
    const count = reader.next(`the count of dependencies of service ${s}`, { max: COUNT_MAX });
    const others = new Set<number>();
    for (let i = 0; i < count; i++)
      others.add(reader.next(`dependencies of service ${s}`, { max: serviceCount - 1 }));
    // A process is in its own neighbourhood: a service that depends on itself asks for nothing.
    others.delete(s);
    dependsOn.push(Int32Array.from(others).sort());
  }
  return { serviceCount, spreadMin, dependsOn };
}

function readProcesses(
  reader: IntegerReader,
  { resourceCount, serviceCount }: { readonly resourceCount: number; readonly serviceCount: number },
) {
  const processCount = reader.next('the count of processes', {
    min: 1,
    max: Math.min(COUNT_MAX, TABLE_MAX / resourceCount),
  });
  const serviceOf = new Int32Array(processCount);
  const requirement = new Float64Array(processCount * resourceCount);
  const processMoveCost = new Float64Array(processCount);
  for (let p = 0; p < processCount; p++) {
    serviceOf[p] = reader.next(`service of process ${p}`, { max: serviceCount - 1 });
    for (let r = 0; r < resourceCount; r++)
      requirement[p * resourceCount + r] = reader.next(`requirements of process ${p}`);
    processMoveCost[p] = reader.next(`move cost of process ${p}`);
  }
  return { processCount, serviceOf, requirement, processMoveCost };
}

function readBalances(reader: IntegerReader, resourceCount: number): Balance[] {
  const count = reader.next('the count of balance objectives', { max: COUNT_MAX });
  const max = resourceCount - 1;
  return Array.from({ length: count }, (_, b) => ({
    firstResource: reader.next(`first resource of balance ${b}`, { max }),
    secondResource: reader.next(`second resource of balance ${b}`, { max }),
    target: reader.next(`target of balance ${b}`),
    weight: reader.next(`weight of balance ${b}`),
  }));
}
