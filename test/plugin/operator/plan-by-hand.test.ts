/** docs/placement.md computes one plan by hand; the planner has to come to the same figures. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { makeInstance } from '../../../plugin/operator/plan/make-instance.ts';
import { planResult } from '../../../plugin/operator/plan/plan-result.ts';
import { planNamed } from '../../../plugin/operator/plan/plan-search.ts';
import { readPlanInstance } from '../../../plugin/operator/plan/read-instance.ts';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { repositoryFile } from '../../support/repository.ts';

const test = suite('the plan of docs/placement.md');
const file = repositoryFile('examples/plan/two-nodes.json');
const isNear = (value: number, byHand: number): void =>
  check.ok(Math.abs(value - byHand) < 1e-4, `${value} is ${byHand} by hand`);

test('staying, the plan, its price and the bound are what the page says', async () => {
  const named = makeInstance(file, await readPlanInstance(file), DEFAULT_AFFINITY_SETTINGS);
  const plan = planResult(
    named,
    await planNamed(named, { seed: 1 }, DEFAULT_AFFINITY_SETTINGS),
    DEFAULT_AFFINITY_SETTINGS,
  );
  isNear(plan.costBefore, 3.716);
  isNear(plan.costAfter, 1.096 + 0.33375 / 24);
  check.is(plan.moves.length, 1);
  check.equal([plan.moves[0]?.partition, plan.moves[0]?.target], ['b', 'n2']);
  isNear(plan.moves[0]?.cost as number, 0.33375 / 24);
  check.ok(plan.lowerBound > 1.0513 && plan.lowerBound < plan.costAfter);
});

test('so are the maps that it did not take', async () => {
  const { instance, partitionIds } = makeInstance(
    file,
    await readPlanInstance(file),
    DEFAULT_AFFINITY_SETTINGS,
  );
  for (const [moved, loadCost] of [
    ['a', 1.4934],
    ['b', 1.096],
    ['c', 1.9111],
    ['bc', 1.096],
    ['ad', 1.096],
  ] as const) {
    const state = new PlacementState(instance);
    for (const id of moved) {
      const p = partitionIds.indexOf(id);
      state.move(p, 1 - (instance.home[p] as number));
    }
    isNear(state.loadCost(), loadCost);
  }
});

test('what the page says is printed is printed', async () => {
  const page = readFileSync(repositoryFile('docs/placement.md'), 'utf8');
  const named = makeInstance(file, await readPlanInstance(file), DEFAULT_AFFINITY_SETTINGS);
  const plan = planResult(
    named,
    await planNamed(named, { seed: 1 }, DEFAULT_AFFINITY_SETTINGS),
    DEFAULT_AFFINITY_SETTINGS,
  );
  const bound = Number(/costs less than the printed ([\d.]+)/.exec(page)?.[1]);
  const gap = Number(/at most ([\d.]+) % above/.exec(page)?.[1]);
  isNear(plan.lowerBound, bound);
  check.is((100 * (plan.gap as number)).toFixed(1), gap.toFixed(1));
  for (const figure of ['3.7160', '1.0960', '0.33375', '1.4934', '1.9111', '1.1099'])
    check.ok(page.includes(figure), `docs/placement.md says ${figure}`);
});

test.run();
