import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { drainBasis, hasToEmpty, onlyDraining } from '../../../src/affinity/drain.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import { nodeOf } from '../../support/placement.ts';

const test = suite('drain');

const PARTITION_COUNT = 4;
const NODES = [nodeOf(0, 10), nodeOf(1, 10, { isAlive: false, isDraining: true })];

const profileOf = (windowCount: number, load: number): LoadProfile => ({
  startMs: 0,
  windowMs: 1_000,
  windowCount,
  partitionCount: PARTITION_COUNT,
  values: new Float64Array(windowCount * PARTITION_COUNT * LOAD_DIMENSION_COUNT).fill(load),
  coverage: new Float64Array(windowCount).fill(1),
});

test('a node has to be emptied while something that it owns may move', () => {
  const map = { partitionCount: 2, ownerOf: Int32Array.of(0, 1), epochOf: Uint32Array.of(1, 1) };
  check.is(hasToEmpty({ map, nodes: NODES, restingPartitions: new Set() }), true);
  check.is(hasToEmpty({ map, nodes: NODES, restingPartitions: new Set([1]) }), false);
  check.is(hasToEmpty({ map, nodes: [nodeOf(0, 10), nodeOf(1, 10)], restingPartitions: new Set() }), false);
});

test('a drain is planned on what was measured, and on even load where that is nothing', () => {
  const measured = drainBasis(profileOf(2, 5), NODES, 9);
  check.is(measured.nodes, NODES);
  check.is(measured.forecast.mean[0], 5);
  for (const profile of [profileOf(0, 0), profileOf(3, 0)]) {
    const { forecast, nodes } = drainBasis(profile, NODES, 9);
    check.equal([forecast.startMs, forecast.horizonSteps], [9, 1]);
    check.ok(forecast.mean.every((load) => load === 1));
    check.ok(nodes.every(({ capacity }) => capacity[0] === PARTITION_COUNT));
    check.is(nodes[1]?.isDraining, true);
  }
});

test('an order to drain approves the moves that empty the node, and no others', () => {
  const move = (partitionId: number, sourceNodeId: number, targetNodeId: number) => ({
    partitionId,
    sourceNodeId,
    targetNodeId,
  });
  const plan = {
    baseOwnerOf: Int32Array.of(0, 1, 0, 1),
    targetOwnerOf: Int32Array.of(2, 2, 0, 1),
    moves: [move(0, 0, 2), move(1, 1, 2)],
  } as unknown as Proposal;
  const drained = onlyDraining(plan, { nodes: NODES });
  check.equal(
    drained.moves.map(({ partitionId }) => partitionId as number),
    [1],
  );
  check.equal([...drained.targetOwnerOf], [0, 2, 0, 1]);
});

test('what makes room for a move that empties the node is approved with it, and what makes room for that', () => {
  const move = (partitionId: number, sourceNodeId: number, after: readonly number[] = []) => ({
    partitionId,
    sourceNodeId,
    targetNodeId: 2,
    after,
  });
  const plan = {
    baseOwnerOf: Int32Array.of(0, 1, 0, 0),
    targetOwnerOf: Int32Array.of(2, 2, 2, 2),
    moves: [move(0, 0), move(2, 0, [0]), move(3, 0), move(1, 1, [2])],
  } as unknown as Proposal;
  const drained = onlyDraining(plan, { nodes: NODES });
  check.equal(
    drained.moves.map(({ partitionId }) => partitionId as number),
    [0, 2, 1],
  );
  check.equal([...drained.targetOwnerOf], [2, 2, 2, 0]);
});

test('what has made room already is in no plan any more, and is not waited for', () => {
  const plan = {
    baseOwnerOf: Int32Array.of(0, 1),
    targetOwnerOf: Int32Array.of(0, 2),
    moves: [{ partitionId: 1, sourceNodeId: 1, targetNodeId: 2, after: [0] }],
  } as unknown as Proposal;
  const { moves, targetOwnerOf } = onlyDraining(plan, { nodes: NODES });
  check.equal(moves, plan.moves);
  check.equal([...targetOwnerOf], [0, 2]);
});

test.run();
