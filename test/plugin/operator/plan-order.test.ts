/** A file says the same in whatever order it names resources, partitions and nodes: so must the plan. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { PlanInstanceFile } from '../../../plugin/operator/plan/instance-schema.ts';
import { makeInstance } from '../../../plugin/operator/plan/make-instance.ts';
import { planResult } from '../../../plugin/operator/plan/plan-result.ts';
import { planNamed } from '../../../plugin/operator/plan/plan-search.ts';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import type { OracleFile } from '../../oracles/placement.ts';
import { instanceFiles } from '../../support/plan-instances.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('foreshard plan, whatever the order of its file');
const SEED = testSeed('operator/plan-order');
// The greedy descent draws nothing by index, so that only rounding may differ.
const SETTINGS = { ...DEFAULT_AFFINITY_SETTINGS, optimizer: 'greedy' as const };
const RUNS = { numRuns: 40, seed: Number(SEED % 2n ** 31n) };

const withoutRules = instanceFiles.map((file): OracleFile => ({ ...file, rules: {} }));
const named = (file: OracleFile) =>
  makeInstance('random.json', file as unknown as PlanInstanceFile, SETTINGS);

async function costsOf(file: OracleFile) {
  const instance = named(file);
  return planResult(instance, await planNamed(instance, { seed: 1 }, SETTINGS), SETTINGS);
}

function assertNear(value: number, expected: number, tolerance: number, what: string): void {
  check.ok(Math.abs(value - expected) <= tolerance * (1 + expected), `${what}: ${value} and ${expected}`);
}

/** The same with every section's keys the other way round. */
function turned(section: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(section).reverse());
}

test('resources may come in any order', async () => {
  await fc.assert(
    fc.asyncProperty(withoutRules, async (file) => {
      const other = {
        ...file,
        nodes: file.nodes.map((node) => ({ ...node, capacity: turned(node.capacity) })),
        partitions: file.partitions.map((own) => ({
          ...own,
          load: turned(own.load),
          upper: turned(own.upper),
        })),
      } as unknown as OracleFile;
      const [one, two] = [await costsOf(file), await costsOf(other)];
      for (const cost of ['costBefore', 'costAfter', 'lowerBound'] as const)
        assertNear(two[cost], one[cost], 1e-9, cost);
    }),
    RUNS,
  );
});

test('partitions and nodes may come in any order', async () => {
  await fc.assert(
    fc.asyncProperty(withoutRules, async (file) => {
      const other = {
        ...file,
        nodes: [...file.nodes].reverse(),
        partitions: [...file.partitions].reverse(),
      };
      const [one, two] = [await costsOf(file), await costsOf(other)];
      for (const cost of ['costBefore', 'costAfter'] as const) assertNear(two[cost], one[cost], 1e-9, cost);
      // Descent by one partition after another: it ends as near to the maximum from either side.
      assertNear(two.lowerBound, one.lowerBound, 1e-3, 'lowerBound');
    }),
    RUNS,
  );
});

test('every map has one cost, prices included, in whatever order it is named', () => {
  fc.assert(
    fc.property(withoutRules, fc.infiniteStream(fc.nat()), (file, draws) => {
      const last = file.partitions.length - 1;
      const other = { ...file, partitions: [...file.partitions].reverse() };
      const owners = Int32Array.from(
        file.partitions,
        () => (draws.next().value as number) % file.nodes.length,
      );
      const cost = new PlacementState(named(file).instance, owners).cost();
      const turnedOwners = owners.map((_, p) => owners[last - p] as number);
      const turnedCost = new PlacementState(named(other).instance, turnedOwners).cost();
      if (Number.isFinite(cost)) assertNear(turnedCost, cost, 1e-9, 'cost');
      else check.is(turnedCost, cost);
    }),
    RUNS,
  );
});

test.run();
