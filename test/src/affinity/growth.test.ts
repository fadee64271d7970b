import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { adviseGrowth } from '../../../src/affinity/growth.ts';
import { buildInstance } from '../../../src/affinity/instance.ts';
import { DEFAULT_RELIEF_SETTINGS } from '../../../src/affinity/relief/settings.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import type { GrowthAdvice } from '../../../src/model/proposal.ts';
import { forecastOf, inputsOf, nodeOf } from '../../support/placement.ts';

const test = suite('affinity/growth');
const HOUR_MS = 3_600_000;

/** Advice for partitions of `loads` each, twice that from hour 5 on if `isRising`, on nodes of `capacities`. */
function advise(
  loads: readonly number[],
  ownerOf: readonly number[],
  capacities: readonly number[],
  { isRising = false, dataBytesMax = 1e12 } = {},
): GrowthAdvice[] {
  const forecast = forecastOf({
    horizonSteps: 8,
    partitionCount: loads.length,
    spread: 0,
    loadOf: (t, p) => loads[p] * (isRising && t >= 5 ? 2 : 1),
  });
  const nodes = capacities.map((own, n) => nodeOf(n, own, { dataBytesMax }));
  const settings = { ...DEFAULT_AFFINITY_SETTINGS, riskZ: 0 };
  const instance = buildInstance(inputsOf({ ownerOf, nodes, forecast }), settings);
  return adviseGrowth(new PlacementState(instance), {
    dimensions: ['queries'],
    relief: DEFAULT_RELIEF_SETTINGS,
    startMs: 0,
    stepMs: HOUR_MS,
  });
}

test('a cluster that is comfortable is told nothing', () => {
  check.equal(advise([5, 5], [0, 1], [10, 10]), []);
});

test('load beyond all comfort zones asks for nodes of the median kind, from when on', () => {
  // 20 from hour 5 on, 0.8 x 20 = 16 fit: 4 more than that, half a node of 8.
  const [advice, ...more] = advise([2.5, 2.5, 2.5, 2.5], [0, 0, 1, 1], [10, 10], {
    isRising: true,
  });
  check.equal(more, []);
  check.is(advice.kind, 'add-nodes');
  if (advice.kind !== 'add-nodes') return;
  check.is(advice.nodeCount, 1);
  check.is(advice.atMs, 5 * HOUR_MS);
  check.ok(Math.abs(advice.utilisation - 1) < 1e-9);
  const [far] = advise(new Array<number>(12).fill(3), new Array<number>(12).fill(0), [10, 10], {
    isRising: true,
  });
  check.is(far.kind === 'add-nodes' && far.nodeCount, 7, '72 - 16 = 56: seven of 8');
});

test('a partition that is too hot for any node is named; more nodes do not help', () => {
  const advice = advise([9, 1, 1, 1], [0, 1, 1, 1], [10, 10]);
  check.is(advice.length, 1);
  check.is(advice[0].kind === 'split-partition' && advice[0].partitionId, 0);
  check.equal(
    advise([9, 1, 1, 1], [0, 1, 1, 1], [10, 12]).map(({ kind }) => kind),
    ['still-stressed'],
    'a larger node could take it',
  );
});

test('a map that leaves a node too hot where a better one may exist is no reason to buy', () => {
  const [advice] = advise([4, 4, 1, 1], [0, 0, 0, 1], [10, 10]);
  check.is(advice.kind === 'still-stressed' && advice.nodeId, 0);
});

test('nodes can go when all load stays low, as many as the others can replace in load and bytes', () => {
  const advice = advise([1, 1, 1, 1], [0, 1, 2, 3], [10, 10, 10, 10]);
  check.is(advice.length, 1);
  // 4 of 10 is below 0.55 x 10: one node would do.
  check.equal(advice[0].kind === 'remove-nodes' && [advice[0].nodeCount, advice[0].utilisation], [3, 0.4]);
  const [full] = advise([1, 1, 1, 1], [0, 1, 2, 3], [10, 10, 10, 10], { dataBytesMax: 1e6 });
  check.is(
    full.kind === 'remove-nodes' && full.nodeCount,
    2,
    'each has room for one more of 1 MB beside its own',
  );
});

test.run();
