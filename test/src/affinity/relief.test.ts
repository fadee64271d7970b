import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { buildInstance, type PlacementInputs } from '../../../src/affinity/instance.ts';
import { greedy } from '../../../src/affinity/optimisers/greedy.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import { NO_RELIEF, planRelief, reliefAlone, withRelief } from '../../../src/affinity/relief/plan-relief.ts';
import { zoneOf } from '../../../src/affinity/relief/settings.ts';
import {
  type AffinitySettings,
  affinityInconsistencies,
  DEFAULT_AFFINITY_SETTINGS,
} from '../../../src/affinity/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';
import { forecastOf, inputsOf, nodeOf } from '../../support/placement.ts';

const test = suite('affinity/relief');
const HOUR_MS = 3_600_000;
const NODES = [nodeOf(0, 10), nodeOf(1, 10), nodeOf(2, 10)];

/** A day in which partition p carries `loadOf(hours ago, p)` queries; 1 is the last hour. */
function day(partitionCount: number, loadOf: (hoursAgo: number, p: number) => number): LoadProfile {
  const values = new Float64Array(24 * partitionCount * LOAD_DIMENSION_COUNT);
  for (let w = 0; w < 24; w++)
    for (let p = 0; p < partitionCount; p++)
      values[(w * partitionCount + p) * LOAD_DIMENSION_COUNT] = loadOf(24 - w, p);
  return {
    startMs: Date.UTC(2001, 0, 1),
    windowMs: HOUR_MS,
    windowCount: 24,
    partitionCount,
    values,
    coverage: new Float64Array(24).fill(1),
  };
}

function relief(
  ownerOf: readonly number[],
  loadOf: (hoursAgo: number, p: number) => number,
  options: { readonly settings?: Partial<AffinitySettings>; readonly inputs?: Partial<PlacementInputs> } = {},
) {
  const forecast = forecastOf({ horizonSteps: 1, partitionCount: ownerOf.length, loadOf: () => 0 });
  const { forecast: _, ...inputs } = inputsOf({
    ownerOf,
    nodes: NODES,
    forecast,
    changes: options.inputs ?? {},
  });
  const settings = { ...DEFAULT_AFFINITY_SETTINGS, ...options.settings };
  return planRelief(inputs, day(ownerOf.length, loadOf), settings, { dueMoves: [] });
}

const shown = ({ moves }: { moves: readonly { partitionId: number; targetNodeId: number }[] }): string =>
  moves.map(({ partitionId, targetNodeId }) => `${partitionId}>${targetNodeId}`).join(' ');

test('a node above its zone is brought below it, with as few moves as that takes', () => {
  const { moves, costBefore, costAfter } = relief([0, 0, 0, 1, 2], () => 3);
  check.is(moves.length, 1, 'from 90 % to 60 %');
  check.is(moves[0].sourceNodeId, 0);
  check.ok(costAfter < costBefore);
  check.is(moves[0].schedule, null, 'at once');
  check.match(
    moves[0].reason,
    /^relief: node 0 was at 90\.0 % of its queries, above 80\.0 %: 60\.0 % without it/,
  );
});

test('a node inside its zone gives nothing away, however uneven the map', () => {
  check.is(relief([0, 0, 0, 1], (_, p) => (p < 3 ? 2.6 : 0.1)).moves.length, 0);
});

test('a node that is idle only at this hour is no target', () => {
  // Partition 3, on node 1, sleeps in the last hour; node 2 has room all day.
  const loadOf = (hoursAgo: number, p: number): number => (p === 3 ? (hoursAgo === 1 ? 0.1 : 7.5) : 3);
  check.is(shown(relief([0, 0, 0, 1, 2], loadOf)).replace(/^\d/, ''), '>2');
});

test('a peak that has passed and did not come before is not worth a move at its price', () => {
  const loadOf = (hoursAgo: number): number => (hoursAgo === 1 ? 2.8 : 0.3);
  const dear = { moveFixedIndexHours: 20 };
  check.is(relief([0, 0, 0, 1, 2], loadOf, { settings: dear }).moves.length, 0);
});

test('what rests, what came from there lately, and what the plan moves now are left alone', () => {
  const loadOf = (): number => 3;
  const ownerOf = [0, 0, 0, 1, 2];
  check.is(relief(ownerOf, loadOf, { inputs: { restingPartitions: new Set([0, 1, 2]) } }).moves.length, 0);
  const recentMoves = [0, 1, 2].map((partitionId) => ({ partitionId, sourceNodeId: 1 }));
  check.match(
    shown(relief(ownerOf, loadOf, { inputs: { memory: { lastMoves: [], recentMoves } } })),
    /^\d>2$/,
  );
  const forecast = forecastOf({ horizonSteps: 1, partitionCount: 5, loadOf: () => 0 });
  const { forecast: _, ...inputs } = inputsOf({ ownerOf, nodes: NODES, forecast });
  const dueMoves = [{ partitionId: 1, targetNodeId: 2 }] as unknown as Parameters<
    typeof planRelief
  >[3]['dueMoves'];
  check.is(planRelief(inputs, day(5, loadOf), DEFAULT_AFFINITY_SETTINGS, { dueMoves }).moves.length, 0);
});

test('outside its windows nothing moves, stressed or not', () => {
  // The day ends on Tuesday 00:00.
  const { timetable } = DEFAULT_AFFINITY_SETTINGS;
  const at = (windows: string[]): number =>
    relief([0, 0, 0, 1, 2], () => 3, { settings: { timetable: { ...timetable, windows } } }).moves.length;
  check.is(at(['tue 00:00-01:00']), 1);
  check.is(at(['mon 00:00-24:00']), 0);
});

test('zones may differ by node and dimension; the last that fits counts, and what is no zone is refused', () => {
  const settings = {
    ...DEFAULT_AFFINITY_SETTINGS.relief,
    zones: [
      { low: 0.3, high: 0.8 },
      { node: 1, low: 0.2, high: 0.6 },
      { dimension: 'queries' as const, node: 1, low: 0.1, high: 0.5 },
    ],
  };
  check.is(zoneOf(settings, 0, 'queries').high, 0.8);
  check.is(zoneOf(settings, 1, 'cpuSeconds').high, 0.6);
  check.is(zoneOf(settings, 1, 'queries').high, 0.5);
  for (const zones of [
    [],
    [{ node: 1, low: 0.3, high: 0.8 }],
    [{ low: 0.8, high: 0.3 }],
    [{ low: 0, high: 2 }],
    ['80 %'],
  ]) {
    const broken = { ...DEFAULT_AFFINITY_SETTINGS, relief: { ...settings, zones: zones as never } };
    check.equal(
      affinityInconsistencies(broken).map(({ path }) => path),
      ['relief.zones'],
    );
  }
});

test('relief goes before the plan, and whom it moves the plan leaves there', () => {
  const found = relief([0, 0, 0, 1, 2], () => 3);
  const map = { partitionCount: 5, ownerOf: Int32Array.of(0, 0, 0, 1, 2), epochOf: new Uint32Array(5) };
  const alone = reliefAlone({ map }, found);
  check.is(alone.algorithm, 'relief');
  const [own] = found.moves;
  check.is(alone.targetOwnerOf[own.partitionId], own.targetNodeId);
  const planned = { ...own, reason: 'planned' };
  const other = { ...own, partitionId: 4 } as typeof own;
  const both = withRelief({ ...alone, refusal: 'near-bound', moves: [planned, other] }, found);
  check.equal(both.moves, [own, other]);
  check.is(both.refusal, undefined);
});

test('a plan with relief before it costs what all its moves together lead to', async () => {
  const ownerOf = [0, 0, 0, 1, 2];
  const forecast = forecastOf({ horizonSteps: 24, partitionCount: 5, loadOf: () => 3 });
  const inputs = inputsOf({ ownerOf, nodes: NODES, forecast });
  const components = { random: seededRandom(1n), logger: silentLogger, optimiser: greedy };
  const manager = new AffinityManager({ ...DEFAULT_AFFINITY_SETTINGS, movesMax: 0 }, components);
  const plan = await manager.propose(inputs);
  check.is(plan.moves.length, 0);
  check.is(manager.relieved(inputs, plan, NO_RELIEF), plan);
  const found = relief(ownerOf, () => 3);
  const both = manager.relieved(inputs, plan, found);
  const state = new PlacementState(buildInstance(inputs, DEFAULT_AFFINITY_SETTINGS));
  for (const { partitionId, targetNodeId } of found.moves) state.move(partitionId, targetNodeId);
  check.ok(found.moves.length > 0 && both.costAfter < plan.costAfter);
  check.ok(Math.abs(both.costAfter - state.cost()) < 1e-12, `${both.costAfter}, not ${state.cost()}`);
});

test('relief on the load that it saw never makes the day worse', () => {
  const loadOf = (hoursAgo: number, p: number): number => 1 + ((p * 7 + hoursAgo * 3) % 11) / 2;
  const ownerOf = Array.from({ length: 12 }, (_, p) => (p < 6 ? 0 : p % 3));
  const { moves, costBefore, costAfter } = relief(ownerOf, loadOf);
  check.ok(costAfter <= costBefore, `${costAfter}, before ${costBefore}, ${moves.length} moves`);
  const forecast = forecastOf({ horizonSteps: 1, partitionCount: 12, loadOf: (_, p) => loadOf(1, p) });
  const state = new PlacementState(
    buildInstance(inputsOf({ ownerOf, nodes: NODES, forecast }), DEFAULT_AFFINITY_SETTINGS),
  );
  const peak = state.peak();
  for (const { partitionId, targetNodeId } of moves) state.move(partitionId, targetNodeId);
  check.ok(state.peak() <= peak);
});

test.run();
