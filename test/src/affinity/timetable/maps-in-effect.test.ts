/** What an executor makes of a plan: no node is above its capacity at any time, by sums of their own and without exceptions. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { PlacementInputs } from '../../../../src/affinity/instance.ts';
import { annealer, DEFAULT_ANNEAL_SETTINGS } from '../../../../src/affinity/optimisers/anneal.ts';
import { AffinityManager } from '../../../../src/affinity/planner.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../../../../src/affinity/settings.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { loadKernels } from '../../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../../src/kernels/pool.ts';
import type { Proposal } from '../../../../src/model/proposal.ts';
import { forecastOf, inputsOf, nodeOf } from '../../../support/placement.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('affinity/maps in effect');
const HOUR_MS = 3_600_000;
const HOURS = 24;
const SEED = testSeed('affinity/maps-in-effect');
/** Of these a plan once was above a capacity at its end, or on the way there. */
const ONCE_OVER = [30n, 2733n, 3728n, 3978n];

interface Cluster {
  readonly inputs: PlacementInputs;
  readonly settings: AffinitySettings;
  readonly capacities: readonly number[];
  loadOf(hour: number, partition: number): number;
}

/** Nodes that are full in hours of their own, with a hundredth of room or less, and copies of up to eight hours. */
function clusterOf(seed: bigint, hoursPerCopyMax: number): Cluster {
  const random = seededRandom(seed).fork('fz');
  const partitionCount = 6 + random.nextBelow(12);
  const nodeCount = 2 + random.nextBelow(3);
  const ownerOf = Array.from({ length: partitionCount }, () => random.nextBelow(nodeCount));
  const each = Math.floor(HOURS / nodeCount);
  const busy = Array.from({ length: partitionCount }, () => 0.5 + random.nextFloat());
  const idle = 0.01 + 0.1 * random.nextFloat();
  const loadOf = (t: number, p: number): number =>
    (busy[p] as number) * (Math.floor(t / each) % nodeCount === ownerOf[p] ? 1 : idle);
  const capacities = Array.from({ length: nodeCount }, (_, n) => {
    const loads = Array.from({ length: HOURS }, (_, t) =>
      ownerOf.reduce((sum, owner, p) => sum + (owner === n ? loadOf(t, p) : 0), 0),
    );
    return Math.max(0.1, ...loads) * (1 + 0.01 * random.nextFloat());
  });
  const hasGroup = random.nextBelow(2) === 1;
  const group = hasGroup
    ? [...new Set([random.nextBelow(partitionCount), random.nextBelow(partitionCount)])]
    : [];
  const apart = group.length > 1 ? [{ partitions: group }] : [];
  const partitionBytes = Float64Array.from(
    { length: partitionCount },
    () => hoursPerCopyMax * 60e8 * 60 * random.nextFloat() ** 2,
  );
  const windows = random.nextBelow(3) === 0 ? ['daily 03:00-09:00'] : [];
  const forecast = forecastOf({ horizonSteps: HOURS, partitionCount, spread: 0, loadOf });
  const nodes = capacities.map((capacity, n) => nodeOf(n, capacity, { dataBytesMax: 1e16 }));
  return {
    inputs: inputsOf({ ownerOf, nodes, forecast, changes: { partitionBytes } }),
    settings: {
      ...DEFAULT_AFFINITY_SETTINGS,
      commonError: 0,
      riskZ: 0,
      rules: { ...DEFAULT_AFFINITY_SETTINGS.rules, apart },
      timetable: { ...DEFAULT_AFFINITY_SETTINGS.timetable, windows },
    },
    capacities,
    loadOf,
  };
}

/** Hours after the start at which each move ends: begun when its hour has come, its room-makers have gone and both ends are free. */
function endsOf(
  { moves }: Proposal,
  afterOf: ReadonlyMap<number, readonly number[]>,
  startMs: number,
): number[] {
  const free = new Map<string, number>();
  const endOf = new Map<number, number>();
  return moves.map(({ partitionId, sourceNodeId, targetNodeId, schedule }) => {
    const { startMs: at, seconds } = schedule as NonNullable<typeof schedule>;
    const places = [`out of ${sourceNodeId}`, `into ${targetNodeId}`];
    const makers = (afterOf.get(partitionId) ?? []).map((p) => endOf.get(p) as number);
    const begin = Math.max(
      (at - startMs) / HOUR_MS,
      ...makers,
      ...places.map((place) => free.get(place) ?? 0),
    );
    const end = begin + seconds / 3600;
    for (const place of places) free.set(place, end);
    endOf.set(partitionId, end);
    return end;
  });
}

/** Nodes above their capacity, each with the hour and how long that map is in effect in it. */
function overloads(
  { inputs, capacities, loadOf }: Cluster,
  { moves }: Proposal,
  ends: readonly number[],
): string[] {
  const ownerOf = [...inputs.map.ownerOf];
  const found: string[] = [];
  const byEnd = [...moves.keys()].sort((a, b) => (ends[a] as number) - (ends[b] as number));
  byEnd.forEach((index, k) => {
    const move = moves[index] as Proposal['moves'][number];
    ownerOf[move.partitionId] = move.targetNodeId;
    const from = ends[index] as number;
    const until = k + 1 < byEnd.length ? (ends[byEnd[k + 1] as number] as number) : HOURS;
    const last = k + 1 === byEnd.length;
    for (let t = 0; t < HOURS; t++) {
      const part = Math.min(until, t + 1) - Math.max(from, t);
      // The forecast is one of hours: of less than two minutes it knows nothing. The last map stays, whatever the hour.
      if (part < 0.02 && !last) continue;
      capacities.forEach((capacity, n) => {
        const load = ownerOf.reduce((sum, owner, p) => sum + (owner === n ? loadOf(t, p) : 0), 0);
        if (load > capacity * (1 + 1e-6))
          found.push(`node ${n} in hour ${t} for ${part} at ${load / capacity}`);
      });
    }
  });
  return found;
}

test('where every node is below its capacity, every node stays so at the end and on the way, copies longer than an hour or not', async () => {
  const runner = inlineRunner(loadKernels());
  let moves = 0;
  let exchanges = 0;
  for (const hoursPerCopyMax of [1, 8])
    for (const seed of [...ONCE_OVER, ...Array.from({ length: 40 }, (_, i) => SEED + BigInt(i))]) {
      const cluster = clusterOf(seed, hoursPerCopyMax);
      const manager = new AffinityManager(cluster.settings, {
        random: seededRandom(1n),
        logger: silentLogger,
        optimiser: annealer(runner, { ...DEFAULT_ANNEAL_SETTINGS, iterations: 20_000 }),
        bound: 'poured',
      });
      const proposal = await manager.propose(cluster.inputs);
      const evidence = await manager.evidence(cluster.inputs, proposal);
      const afterOf = new Map(evidence.moves.map(({ partitionId, after }) => [partitionId as number, after]));
      const { startMs } = cluster.inputs.forecast;
      const name = `seed ${seed}, up to ${hoursPerCopyMax} hours`;
      check.equal(overloads(cluster, proposal, endsOf(proposal, afterOf, startMs)), [], name);
      moves += proposal.moves.length;
      // Whoever stopped on the way would be too full at some other hour.
      const isStopped = (_: unknown, i: number): boolean =>
        overloads(cluster, { ...proposal, moves: proposal.moves.slice(0, i + 1) }, new Array(i + 1).fill(0))
          .length > 0;
      if (proposal.moves.some(isStopped)) exchanges++;
    }
  check.ok(moves > 200 && exchanges > 20, `${moves} moves, ${exchanges} plans of which the hour matters`);
});

test.run();
