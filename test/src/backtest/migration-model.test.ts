import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { DEFAULT_MIGRATION_MODEL, SimulatedMigrations } from '../../../src/backtest/migration-model.ts';

const test = suite('backtest/migration-model');

/** 800 seconds for its fixed parts and 100 for its hundred bytes: four in an hour at a node. */
const MODEL = { ...DEFAULT_MIGRATION_MODEL, fixedSeconds: 800, bytesPerSecond: 1, copiesPerNodeMax: 1 };

const migrationsOf = (ownerOf: readonly number[], nodeCount: number, model = MODEL): SimulatedMigrations =>
  new SimulatedMigrations(model, {
    startOwnerOf: Int32Array.from(ownerOf),
    nodeCount,
    partitionBytes: new Float64Array(ownerOf.length).fill(100),
  });
const order = (partition: number, target: number) => ({ partition, target, reason: 'test' });
const near = (value: number, expected: number): void =>
  check.ok(Math.abs(value - expected) < 1e-9, `${value}, expected ${expected}`);

test('copies of one node wait for each other, those of other nodes run beside them', () => {
  const migrations = migrationsOf([0, 0, 1, 1], 4);
  const { changes, busyShare } = migrations.runHour(5, [order(0, 2), order(1, 2), order(2, 3)]);
  check.equal(
    changes.map(({ partition }) => partition),
    [0, 2, 1],
  );
  near(changes[0].endHour, 5.25);
  near(changes[1].endHour, 5.25);
  near(changes[2].startHour, 5.25);
  for (const [n, quarters] of [2, 1, 2, 1].entries()) near(busyShare[n], quarters / 4);
  check.equal([...migrations.ownerOf], [2, 2, 3, 1]);
});

test('half of the nodes are the source of a copy at most', () => {
  const { changes } = migrationsOf([0, 1], 2).runHour(0, [order(0, 1), order(1, 0)]);
  near(changes[1].startHour, changes[0].endHour);
});

test('what finds no place within the hour is given up', () => {
  const migrations = migrationsOf(new Array(8).fill(0), 2);
  const orders = Array.from({ length: 8 }, (_, p) => order(p, 1));
  check.is(migrations.runHour(0, orders).changes.length, 4);
  check.is(migrations.open.size, 0);
  check.is(migrations.runHour(1, []).changes.length, 0);
});

test('a long copy goes on in the next hours, holds its places, and switches when it ends', () => {
  const migrations = migrationsOf([0, 0], 2, { ...MODEL, fixedSeconds: 9000 - 100 });
  check.is(migrations.runHour(0, [order(0, 1)]).changes.length, 0);
  check.equal([...migrations.open], [[0, 1]]);
  const second = migrations.runHour(1, [order(0, 1), order(1, 1)]);
  check.equal([...second.busyShare], [1, 1]);
  check.is(migrations.ownerOf[0], 0);
  const third = migrations.runHour(2, []);
  check.equal(
    third.changes.map(({ partition, endHour }) => [partition, endHour]),
    [[0, 2.5]],
  );
  check.equal([...third.busyShare], [0.5, 0.5]);
  check.equal([...migrations.ownerOf], [1, 0]);
});

test('an order for where a partition is already is no move', () => {
  check.is(migrationsOf([0, 1], 2).runHour(0, [order(1, 1)]).changes.length, 0);
});

test.run();
