import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { sharedDataFolder } from '../../../bench/forecast/sets.ts';
import { lowerBound } from '../../../bench/roadef/bound.ts';
import { checkSolution } from '../../../bench/roadef/checker.ts';
import { type Model, readAssignment, readModel } from '../../../bench/roadef/model.ts';
import { requireOrSkip } from '../../support/require.ts';
import { tinyModel } from './instances.ts';

const test = suite('roadef checker');
const AT_HOME = Int32Array.of(0, 0, 0);

const violationsOf = (model: Model, machineOf: number[], initial = AT_HOME): string[] =>
  checkSolution(model, initial, Int32Array.from(machineOf)).violations.map(
    ({ constraint, what }) => `${constraint}: ${what}`,
  );
const costOf = (model: Model, machineOf: number[]) =>
  checkSolution(model, AT_HOME, Int32Array.from(machineOf)).cost;

test('load cost is what exceeds safety, times its weight', () => {
  // 8 + 3 + 5 on machine 0, 6 above its safety of 10.
  check.is(costOf(tinyModel(), [0, 0, 0]).load, 60n);
  // 11 on machine 0 (1 above 10), 5 on machine 1 (1 above 4).
  check.is(costOf(tinyModel(), [0, 0, 1]).load, 20n);
});

test('balance cost is what the target of one resource lacks of another', () => {
  const model = tinyModel({
    resourceCount: 2,
    isTransient: Uint8Array.of(0, 0),
    loadWeight: Float64Array.of(0, 0),
    capacity: Float64Array.of(20, 30, 20, 25),
    safetyCapacity: Float64Array.of(0, 0, 0, 0),
    requirement: Float64Array.of(8, 10, 3, 1, 5, 4),
    balances: [{ firstResource: 0, secondResource: 1, target: 2, weight: 3 }],
  });
  // Machine 0 has 12 and 20 free: 2 x 12 - 20 = 4. Machine 1 has 12 and 20 free as well: 4. Three times 8.
  check.is(costOf(model, [0, 1, 1]).balance, 24n);
  // All on machine 0: 4 and 15 free, 8 - 15 < 0. Machine 1: 20 and 25, 40 - 25 = 15.
  check.is(costOf(model, [0, 0, 0]).balance, 45n);
});

test('moves are paid by process, by the most moved service, and by pair of machines', () => {
  const model = tinyModel({ serviceOf: Int32Array.of(0, 1, 1), machineCount: 3, ...threeMachines });
  const { processMove, serviceMove, machineMove, total, load } = costOf(model, [0, 1, 2]);
  check.is(processMove, 2n);
  check.is(serviceMove, 20n, 'two processes of service 1');
  check.is(machineMove, 600n, 'two from machine 0 to 1, four to 2');
  check.is(load, 10n, '5 on machine 2, whose safety is 4');
  check.is(total, 632n);
});

const threeMachines: Partial<Model> = {
  neighbourhoodOf: Int32Array.of(0, 0, 0),
  locationOf: Int32Array.of(0, 1, 1),
  capacity: Float64Array.of(20, 20, 20),
  safetyCapacity: Float64Array.of(10, 4, 4),
  machineMoveCost: Float64Array.of(0, 2, 4, 3, 0, 1, 1, 1, 0),
};

test('a process that is where it was costs nothing', () => {
  const { processMove, serviceMove, machineMove } = costOf(tinyModel(), [0, 0, 0]);
  check.equal([processMove, serviceMove, machineMove], [0n, 0n, 0n]);
});

test('a legal solution has no violation', () => {
  check.equal(violationsOf(tinyModel(), [0, 1, 1]), []);
});

test('capacity', () => {
  const model = tinyModel({ capacity: Float64Array.of(20, 7) });
  check.equal(violationsOf(model, [0, 1, 1]), ['capacity: machine 1 has 7 of resource 0, and 8 is used']);
  check.equal(violationsOf(model, [0, 0, 1]), []);
});

test('a transient resource counts where a process was, and once where it stayed', () => {
  const model = tinyModel({ isTransient: Uint8Array.of(1), capacity: Float64Array.of(16, 20) });
  check.equal(violationsOf(model, [0, 0, 0]), []);
  check.equal(violationsOf(model, [1, 1, 1]), []);
  // Process 2 comes from machine 1 to what process 0 has left: 3 + 5 + 8 of 16, and then of 15.
  const initial = Int32Array.of(0, 0, 1);
  check.equal(violationsOf(model, [1, 0, 0], initial), []);
  check.equal(violationsOf(tinyModel({ ...model, capacity: Float64Array.of(15, 20) }), [1, 0, 0], initial), [
    'transient: machine 0 has 15 of resource 0, and 16 is used while processes leave',
  ]);
});

test('conflict', () => {
  const model = tinyModel({ serviceOf: Int32Array.of(0, 1, 1) });
  check.equal(violationsOf(model, [0, 1, 1]), [
    'conflict: processes 1 and 2 of service 1 are both on machine 1',
  ]);
  check.equal(violationsOf(model, [0, 0, 1]), []);
});

test('spread', () => {
  const model = tinyModel({
    ...threeMachines,
    machineCount: 3,
    serviceOf: Int32Array.of(0, 1, 1),
    spreadMin: Int32Array.of(1, 2, 0),
  });
  check.equal(violationsOf(model, [0, 1, 2]), ['spread: service 1 is in 1 locations and needs 2']);
  check.equal(violationsOf(model, [1, 0, 2]), []);
});

test('dependency', () => {
  const model = tinyModel({
    neighbourhoodCount: 2,
    neighbourhoodOf: Int32Array.of(0, 1),
    dependsOn: [Int32Array.of(2), new Int32Array(), new Int32Array()],
  });
  check.equal(violationsOf(model, [0, 0, 1]), ['dependency: service 0 needs service 2 in neighbourhood 0']);
  check.equal(violationsOf(model, [1, 0, 1]), [], 'together');
  check.equal(violationsOf(model, [0, 1, 0]), [], 'service 2 needs nobody');
});

test('the bound is what no map can avoid', () => {
  // 16 in all against a safety of 14 in all.
  check.is(lowerBound(tinyModel()), 20n);
  check.is(
    costOf(tinyModel({ processMoveWeight: 0, serviceMoveWeight: 0, machineMoveWeight: 0 }), [0, 0, 1]).total,
    20n,
  );
});

const folder = sharedDataFolder();
const setA = folder === undefined ? undefined : join(folder, 'roadef2012', 'A');

if (requireOrSkip('shared-data', setA !== undefined && existsSync(setA)))
  test('on set A the start is legal and costs what its authors say, and the bound is theirs', () => {
    for (const name of ['a1_1', 'a1_2', 'a1_3', 'a1_4', 'a1_5', 'a2_1', 'a2_2', 'a2_3', 'a2_4', 'a2_5']) {
      const model = readModel(join(setA as string, `model_${name}.txt`));
      const initial = readAssignment(join(setA as string, `assignment_${name}.txt`), model);
      const { violations, cost } = checkSolution(model, initial, initial);
      const published = (kind: string): bigint =>
        BigInt(readFileSync(join(setA as string, `${kind}_${name}.txt`), 'utf8').trim());
      check.equal(violations, [], name);
      check.is(cost.total, published('original_cost'), name);
      check.is(lowerBound(model), published('lb'), name);
    }
  });

test.run();
