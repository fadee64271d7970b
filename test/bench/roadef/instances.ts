/** Instances small enough to be judged by hand, and random ones that are full of constraints. */
import type { Model } from '../../../bench/roadef/model.ts';
import type { Random } from '../../../src/base/random.ts';

/**
 * Two machines in two locations and one neighbourhood, one resource, three processes of two services, all at machine 0:
 *
 *   machine 0: capacity 20, safety 10; machine 1: capacity 20, safety 4
 *   process 0 of service 0 needs 8, process 1 of service 1 needs 3, process 2 of service 1 needs 5
 */
export function tinyModel(changes: Partial<Model> = {}): Model {
  return {
    resourceCount: 1,
    machineCount: 2,
    serviceCount: 3,
    processCount: 3,
    locationCount: 2,
    neighbourhoodCount: 1,
    isTransient: Uint8Array.of(0),
    loadWeight: Float64Array.of(10),
    neighbourhoodOf: Int32Array.of(0, 0),
    locationOf: Int32Array.of(0, 1),
    capacity: Float64Array.of(20, 20),
    safetyCapacity: Float64Array.of(10, 4),
    machineMoveCost: Float64Array.of(0, 2, 3, 0),
    spreadMin: Int32Array.of(0, 0, 0),
    dependsOn: [new Int32Array(), new Int32Array(), new Int32Array()],
    serviceOf: Int32Array.of(0, 1, 2),
    requirement: Float64Array.of(8, 3, 5),
    processMoveCost: Float64Array.of(7, 1, 1),
    balances: [],
    processMoveWeight: 1,
    serviceMoveWeight: 10,
    machineMoveWeight: 100,
    ...changes,
  };
}

/** The model in the competition's file format. */
export function modelText(model: Model): string {
  const { resourceCount, machineCount } = model;
  const row = (values: Float64Array, index: number, width: number): string =>
    values.subarray(index * width, (index + 1) * width).join(' ');
  const lines = [`${resourceCount}`];
  model.isTransient.forEach((transient, r) => {
    lines.push(`${transient} ${model.loadWeight[r]}`);
  });
  lines.push(`${machineCount}`);
  for (let m = 0; m < machineCount; m++)
    lines.push(
      `${model.neighbourhoodOf[m]} ${model.locationOf[m]} ${row(model.capacity, m, resourceCount)} ` +
        `${row(model.safetyCapacity, m, resourceCount)} ${row(model.machineMoveCost, m, machineCount)}`,
    );
  lines.push(`${model.serviceCount}`);
  model.dependsOn.forEach((others, s) => {
    lines.push(`${model.spreadMin[s]} ${others.length} ${others.join(' ')}`);
  });
  lines.push(`${model.processCount}`);
  model.serviceOf.forEach((service, p) => {
    lines.push(`${service} ${row(model.requirement, p, resourceCount)} ${model.processMoveCost[p]}`);
  });
  lines.push(`${model.balances.length}`);
  for (const { firstResource, secondResource, target, weight } of model.balances)
    lines.push(`${firstResource} ${secondResource} ${target}`, `${weight}`);
  lines.push(`${model.processMoveWeight} ${model.serviceMoveWeight} ${model.machineMoveWeight}`, '');
  return lines.join('\n');
}

/**
 * A random legal start of 60 processes in 30 services on 8 machines, with every kind of constraint: capacities a little
 * above what the start uses, spreads and dependencies that the start keeps.
 */
export function randomInstance(random: Random): { readonly model: Model; readonly initial: Int32Array } {
  const [machineCount, processCount, serviceCount, resourceCount] = [8, 60, 30, 5];
  const below = (count: number): number => random.nextBelow(count);
  const integers = (length: number, count: number): Float64Array =>
    Float64Array.from({ length }, () => below(count));
  const locationOf = Int32Array.from({ length: machineCount }, (_, m) => m % 4);
  const neighbourhoodOf = Int32Array.from({ length: machineCount }, (_, m) => m % 3);
  const requirement = integers(processCount * resourceCount, 1000);
  const serviceOf = new Int32Array(processCount);
  const initial = new Int32Array(processCount);
  const used = new Float64Array(machineCount * resourceCount);
  const machinesOf = Array.from({ length: serviceCount }, () => new Set<number>());
  for (let p = 0; p < processCount; p++) {
    // A service of eight processes would be on every machine: choose again.
    do {
      serviceOf[p] = below(serviceCount);
      initial[p] = below(machineCount);
    } while (machinesOf[serviceOf[p] as number]!.has(initial[p] as number));
    machinesOf[serviceOf[p] as number]!.add(initial[p] as number);
    for (let r = 0; r < resourceCount; r++)
      used[(initial[p] as number) * resourceCount + r]! += requirement[p * resourceCount + r] as number;
  }
  const placesOf = (s: number, placeOf: Int32Array): Set<number> =>
    new Set([...machinesOf[s]!].map((machine) => placeOf[machine] as number));
  const model: Model = {
    resourceCount,
    machineCount,
    serviceCount,
    processCount,
    locationCount: 4,
    neighbourhoodCount: 3,
    isTransient: Uint8Array.of(0, 1, 0, 0, 1),
    loadWeight: Float64Array.of(10, 1, 0, 3, 7),
    neighbourhoodOf,
    locationOf,
    capacity: used.map((own) => own + below(4000)),
    safetyCapacity: used.map((own) => Math.floor(own * 0.8)),
    machineMoveCost: integers(machineCount * machineCount, 4).map((own, i) =>
      i % (machineCount + 1) === 0 ? 0 : own,
    ),
    spreadMin: Int32Array.from({ length: serviceCount }, (_, s) => below(placesOf(s, locationOf).size + 1)),
    dependsOn: Array.from({ length: serviceCount }, (_, s) =>
      Int32Array.from({ length: serviceCount }, (_, other) => other).filter((other) => {
        const theirs = placesOf(other, neighbourhoodOf);
        const isKept = [...placesOf(s, neighbourhoodOf)].every((near) => theirs.has(near));
        return other !== s && isKept && below(6) === 0;
      }),
    ),
    serviceOf,
    requirement,
    processMoveCost: integers(processCount, 20),
    balances: [
      { firstResource: 0, secondResource: 1, target: 2, weight: 5 },
      { firstResource: 3, secondResource: 2, target: 1, weight: 1 },
    ],
    processMoveWeight: 1,
    serviceMoveWeight: 10,
    machineMoveWeight: 100,
  };
  return { model, initial };
}
