import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { buildInstance } from '../../../src/affinity/instance.ts';
import { descend } from '../../../src/affinity/optimisers/greedy.ts';
import { leaveOutWhatDoesNotPay, orderMoves } from '../../../src/affinity/order-moves.ts';
import { withoutReturns } from '../../../src/affinity/plan-memory.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { asNodeId, asPartitionId } from '../../../src/model/ids.ts';
import { nodeOf, randomInputs } from '../../support/placement.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('affinity/order of moves');
const SEED = testSeed('affinity/order-moves');

const problem = (seed: bigint) =>
  randomInputs(seededRandom(seed), { partitionCount: 40, nodeCount: 5, horizonSteps: 8 });

test('of the moves that may come next the one with the largest relief does', () => {
  let looked = 0;
  for (let seed = SEED; seed < SEED + 5n; seed++) {
    const instance = buildInstance(problem(seed), DEFAULT_AFFINITY_SETTINGS);
    const { ownerOf } = descend(instance, instance.home);
    const { order } = orderMoves(instance, ownerOf);
    const state = new PlacementState(instance);
    const stay = state.cost();
    order.forEach((partition, i) => {
      const relief = (p: number): number => -state.loadDelta(p, ownerOf[p] as number);
      for (const later of order.slice(i + 1)) {
        const target = ownerOf[later] as number;
        const isPossible =
          state.canMove(later, target) && state.cost() + state.moveDelta(later, target) <= stay;
        if (!isPossible) continue;
        looked++;
        check.ok(relief(partition) >= relief(later) - 1e-12, `seed ${seed}: ${later} before ${partition}`);
      }
      state.move(partition, ownerOf[partition] as number);
    });
  }
  check.ok(looked > 20, `${looked} pairs were looked at`);
});

test('of any map only moves are left that pay, and none that paid is lost to the others', () => {
  let kept = 0;
  let left = 0;
  for (let seed = SEED; seed < SEED + 5n; seed++) {
    const random = seededRandom(seed).fork('maps');
    const instance = buildInstance(problem(seed), DEFAULT_AFFINITY_SETTINGS);
    const found = descend(instance, instance.home).ownerOf;
    const ownerOf = found.map((n) => (random.nextFloat() < 0.3 ? random.nextBelow(5) : n));
    const state = leaveOutWhatDoesNotPay(instance, ownerOf);
    check.ok(state.cost() <= new PlacementState(instance, ownerOf).cost());
    ownerOf.forEach((target, p) => {
      const home = instance.home[p] as number;
      if (target === home) return;
      if (state.ownerOf[p] === home) left++;
      else if (state.canMove(p, home)) {
        kept++;
        check.ok(state.moveDelta(p, home) > 0, `seed ${seed}: partition ${p} pays`);
      }
    });
  }
  check.ok(kept > 10 && left > 3, `${kept} kept, ${left} left out`);
});

test('a partition does not go back where it came from within the horizon, unless it may not stay', () => {
  const inputs = problem(SEED);
  const owner = inputs.map.ownerOf[3] as number;
  const back = (owner + 1) % 5;
  const memory = {
    lastMoves: [],
    recentMoves: [{ partitionId: asPartitionId(3), sourceNodeId: asNodeId(back) }],
  };
  const mayReturn = (isAlive: boolean): boolean => {
    const nodes = inputs.nodes.map((node, n) => (n === owner ? nodeOf(n, 10, { isAlive }) : node));
    const instance = buildInstance({ ...inputs, nodes }, DEFAULT_AFFINITY_SETTINGS);
    return new PlacementState({
      ...instance,
      allowed: withoutReturns(instance, memory),
      capacityZ: null,
    }).canMove(3, back);
  };
  check.not.ok(mayReturn(true));
  check.ok(mayReturn(false), 'its owner takes no writes');
});

test.run();
