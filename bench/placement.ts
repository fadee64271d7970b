import { createHash } from 'node:crypto';
import { AnnealProblem, annealer, DEFAULT_ANNEAL_SETTINGS } from '../src/affinity/anneal.ts';
import { dualBound, lowerBound } from '../src/affinity/bound.ts';
import { PlacementState } from '../src/affinity/cost-model.ts';
import { greedy } from '../src/affinity/greedy.ts';
import { buildInstance, type PlacementInputs, type PlacementInstance } from '../src/affinity/instance.ts';
import { naiveHillClimb } from '../src/affinity/naive-hill-climb.ts';
import { AffinityManager } from '../src/affinity/planner.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../src/affinity/settings.ts';
import { balanceByMeanLoad } from '../src/affinity/static-balance.ts';
import { silentLogger } from '../src/base/logger.ts';
import { type Random, seededRandom } from '../src/base/random.ts';
import { ANNEAL } from '../src/kernels/anneal-layout.ts';
import { type Kernels, loadKernels } from '../src/kernels/instance.ts';
import { inlineRunner } from '../src/kernels/pool.ts';
import { asNodeId } from '../src/model/ids.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../src/model/load-profile.ts';
import { AnnealOracle } from '../test/oracles/anneal.ts';
import { comparePoliciesOnFlights } from './flights-policies.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

export const area = 'placement';

interface Size {
  readonly partitionCount: number;
  readonly nodeCount: number;
  readonly slotCount: number;
}

const SEED = 1n;

export async function run({ isSmall }: { isSmall: boolean }): Promise<BenchOutcome> {
  const kernels = loadKernels();
  const results: BenchResult[] = [];
  const sizes: readonly Size[] = isSmall
    ? [{ partitionCount: 64, nodeCount: 8, slotCount: 4 }]
    : [
        { partitionCount: 256, nodeCount: 8, slotCount: 1 },
        { partitionCount: 1024, nodeCount: 16, slotCount: 1 },
        { partitionCount: 256, nodeCount: 8, slotCount: 24 },
      ];
  for (const size of sizes) results.push(...(await compareOptimisers(kernels, size, isSmall)));
  for (const slotCount of isSmall ? [96] : [96, 168])
    results.push(compareKernelWithTwin(kernels, slotCount, isSmall));
  results.push(await timePlan(kernels, isSmall));
  const flights = isSmall
    ? {
        results: [],
        skipped: [{ name: 'policies/flights', why: 'a week of hourly plans takes half a minute' }],
      }
    : await comparePoliciesOnFlights(kernels);
  return { results: [...results, ...flights.results], skipped: flights.skipped };
}

/**
 * The synthetic instance of the design notes: loads lognormal x Zipf 0.7, capacities 1 : 1 : 1.5 : 2, utilisation 0.6,
 * a random map; more than one slot gives each partition a daily wave with its own hour. Sizes are lognormal.
 */
function syntheticInputs(random: Random, { partitionCount, nodeCount, slotCount }: Size): PlacementInputs {
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - random.nextFloat())) * Math.cos(2 * Math.PI * random.nextFloat());
  const scale = Float64Array.from(
    { length: partitionCount },
    (_, p) => Math.exp(0.5 * normal()) / (p + 1) ** 0.7,
  );
  const hour = scale.map(() => 24 * random.nextFloat());
  const total = scale.reduce((sum, own) => sum + own, 0);
  const shape = Array.from({ length: nodeCount }, (_, n) => [1, 1, 1.5, 2][n % 4] as number);
  const shapeSum = shape.reduce((sum, own) => sum + own, 0);
  const queries = dimensionIndex('queries');
  const point = new Float64Array(slotCount * partitionCount * LOAD_DIMENSION_COUNT);
  for (let t = 0; t < slotCount; t++)
    for (let p = 0; p < partitionCount; p++) {
      const wave = slotCount === 1 ? 1 : 1 + 0.4 * Math.sin((2 * Math.PI * (t + (hour[p] as number))) / 24);
      point[(t * partitionCount + p) * LOAD_DIMENSION_COUNT + queries] = (scale[p] as number) * wave;
    }
  return {
    map: {
      partitionCount,
      ownerOf: Int32Array.from({ length: partitionCount }, () => random.nextBelow(nodeCount)),
      epochOf: new Uint32Array(partitionCount).fill(1),
    },
    forecast: {
      startMs: 0,
      stepMs: 3_600_000,
      horizonSteps: slotCount,
      partitionCount,
      level: 0.8,
      point,
      lower: point,
      upper: point,
      skill: new Float64Array(partitionCount),
      members: [],
    },
    nodes: shape.map((own, n) => ({
      nodeId: asNodeId(n),
      isAlive: true,
      capacity: new Float64Array(LOAD_DIMENSION_COUNT).fill(((total / 0.6) * own) / shapeSum),
      background: new Float64Array(LOAD_DIMENSION_COUNT),
      dataBytes: 0,
      dataBytesMax: Number.POSITIVE_INFINITY,
      bandwidthBytesPerSecond: BANDWIDTH,
    })),
    partitionBytes: scale.map(() => 1e6 * Math.exp(0.5 * normal())),
    restingPartitions: new Set(),
  };
}

const BANDWIDTH = 1e8;

/** Objective B: the load-weighted mean of rho / (1 - rho), plus 0.5 x the share of all bytes that moves. */
function objectiveB(inputs: PlacementInputs): AffinitySettings {
  const bytes = inputs.partitionBytes.reduce((sum, own) => sum + own, 0);
  return {
    ...DEFAULT_AFFINITY_SETTINGS,
    riskZ: 0,
    overloadWeight: 0,
    moveFixedIndexHours: 0,
    moveBlipIndexHours: 0,
    moveIndexHoursPerSecond: (0.5 * inputs.forecast.horizonSteps * BANDWIDTH) / bytes,
    benefitCostRatio: 1,
    movesMax: inputs.map.partitionCount,
  };
}

/** Every way to a map, as its gap to the lower bound, beside the specification's hill climb. */
async function compareOptimisers(kernels: Kernels, size: Size, isSmall: boolean): Promise<BenchResult[]> {
  const inputs = syntheticInputs(seededRandom(SEED), size);
  const instance = buildInstance(inputs, objectiveB(inputs));
  const home = instance.home;
  const fromGreedy = (await greedy.optimise(instance, home, seededRandom(SEED))).ownerOf;
  const annealed: { name: string; ownerOf: Int32Array; cpuMs: number; iterations: number }[] = [];
  for (const iterations of isSmall ? [20_000] : [200_000, 5_000_000]) {
    const search = annealer(inlineRunner(kernels), {
      iterations,
      startFactors: DEFAULT_ANNEAL_SETTINGS.startFactors,
      endRatio: 0.002,
    });
    const startedUs = cpuUs();
    const { ownerOf } = await search.anneal(instance, fromGreedy, seededRandom(SEED));
    annealed.push({ name: `anneal-${iterations}`, ownerOf, cpuMs: (cpuUs() - startedUs) / 1000, iterations });
  }
  const naive = await naiveHillClimb(200_000).optimise(instance, home, seededRandom(SEED));
  const best = (annealed[annealed.length - 1] as { ownerOf: Int32Array }).ownerOf;
  const bound = Math.max(lowerBound(instance, best), dualBound(instance, best, isSmall ? 50 : 1000));
  const gapOf = (ownerOf: Int32Array): number => 100 * (costOf(instance, ownerOf) / bound - 1);
  const baselineValue = gapOf(naive.ownerOf);
  const capacity = Float64Array.from(inputs.nodes, (node) => node.capacity[0] as number);
  const maps: { name: string; ownerOf: Int32Array; settings?: Record<string, number> }[] = [
    { name: 'stay', ownerOf: home },
    { name: 'longest-processing-time', ownerOf: balanceByMeanLoad(meanLoad(instance), capacity) },
    { name: 'greedy', ownerOf: fromGreedy },
    ...annealed.map(({ name, ownerOf, cpuMs }) => ({
      name,
      ownerOf,
      settings: { cpuMs: Math.round(cpuMs) },
    })),
  ];
  return maps.map(({ name, ownerOf, settings = {} }) => {
    const value = gapOf(ownerOf);
    return {
      name: `${name}/${size.partitionCount}x${size.nodeCount}x${size.slotCount}`,
      metric: 'gap to the lower bound',
      value,
      unit: '%',
      baseline: 'naive-hill-climb',
      baselineValue,
      ratio: value / baselineValue,
      settings: { seed: Number(SEED), moved: movedCount(instance, ownerOf), ...settings },
      hash: hashOf(ownerOf),
    };
  });
}

/** Proposals a CPU second of the SIMD kernel, against the same algorithm in plain JavaScript. */
function compareKernelWithTwin(kernels: Kernels, slotCount: number, isSmall: boolean): BenchResult {
  const size = { partitionCount: 256, nodeCount: 8, slotCount };
  const inputs = syntheticInputs(seededRandom(SEED), size);
  const instance = buildInstance(inputs, objectiveB(inputs));
  const start = instance.home;
  const problem = new AnnealProblem(kernels.arena, instance, start, seededRandom(SEED));
  const random = new Uint32Array(kernels.memory.buffer, problem.fields.getUint32(ANNEAL.random, true), 4);
  const twin = new AnnealOracle(instance, start, random);
  const block = problem.block.pointer;
  kernels.exports.annealReset(block);
  problem.fields.setFloat32(ANNEAL.temperature, 1e-3, true);
  problem.fields.setFloat32(ANNEAL.cooling, 1, true);
  twin.temperature = Math.fround(1e-3);
  const rounds = isSmall ? 5 : 30;
  const perRound = 4_000;
  let kernelUs = 0;
  let twinUs = 0;
  for (let round = -3; round < rounds; round++) {
    const startedUs = cpuUs();
    kernels.exports.annealRun(block, perRound, 0);
    const betweenUs = cpuUs();
    twin.run(perRound, false);
    const endedUs = cpuUs();
    // The first rounds warm both up.
    if (round < 0) continue;
    kernelUs += betweenUs - startedUs;
    twinUs += endedUs - betweenUs;
  }
  const hash = hashOf(problem.bestOwnerOf);
  problem.free();
  if (hash !== hashOf(twin.best)) throw new Error('the kernel and its twin found different maps');
  const proposals = rounds * perRound;
  const value = (proposals / kernelUs) * 1e6;
  const baselineValue = (proposals / twinUs) * 1e6;
  return {
    name: `anneal-kernel/256x8x${slotCount}`,
    metric: 'proposals a CPU second',
    value,
    unit: '1/s',
    baseline: 'js-twin',
    baselineValue,
    ratio: value / baselineValue,
    settings: { proposals, temperature: 1e-3 },
    hash,
  };
}

/** A whole plan, bound, greedy start, search, pruning and order, as the hourly cycle makes it. */
async function timePlan(kernels: Kernels, isSmall: boolean): Promise<BenchResult> {
  const size = { partitionCount: 256, nodeCount: 8, slotCount: isSmall ? 24 : 168 };
  const inputs = syntheticInputs(seededRandom(SEED), size);
  const settings = {
    ...DEFAULT_AFFINITY_SETTINGS,
    iterations: isSmall ? 10_000 : DEFAULT_AFFINITY_SETTINGS.iterations,
  };
  const managerWith = (optimiser: ConstructorParameters<typeof AffinityManager>[1]['optimiser']) =>
    new AffinityManager(settings, { random: seededRandom(SEED), logger: silentLogger, optimiser });
  const search = annealer(inlineRunner(kernels), {
    iterations: settings.iterations,
    startFactors: DEFAULT_ANNEAL_SETTINGS.startFactors,
    endRatio: 0.005,
  });
  const searching = managerWith(search);
  const greedyOnly = managerWith(greedy);
  await searching.propose(inputs);
  const startedUs = cpuUs();
  const proposal = await searching.propose(inputs);
  const betweenUs = cpuUs();
  await greedyOnly.propose(inputs);
  const endedUs = cpuUs();
  return {
    name: `plan/256x8x${size.slotCount}`,
    metric: 'CPU time of a plan',
    value: (betweenUs - startedUs) / 1000,
    unit: 'ms',
    baseline: 'greedy-only plan',
    baselineValue: (endedUs - betweenUs) / 1000,
    ratio: (betweenUs - startedUs) / (endedUs - betweenUs),
    settings: {
      iterations: settings.iterations,
      moves: proposal.moves.length,
      costOverBound: Number((proposal.costAfter / proposal.lowerBound).toFixed(4)),
    },
    hash: hashOf(proposal.targetOwnerOf),
  };
}

const costOf = (instance: PlacementInstance, ownerOf: Int32Array): number =>
  new PlacementState(instance, ownerOf).cost();

const movedCount = (instance: PlacementInstance, ownerOf: Int32Array): number =>
  ownerOf.reduce((count, n, p) => count + (n === instance.home[p] ? 0 : 1), 0);

function meanLoad({ partitionCount, depth, slotCount, load }: PlacementInstance): Float64Array {
  return Float64Array.from({ length: partitionCount }, (_, p) => {
    let sum = 0;
    for (let t = 0; t < slotCount; t++) sum += load[p * depth + t] as number;
    return sum / slotCount;
  });
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

const hashOf = (ownerOf: Int32Array): string =>
  createHash('sha256')
    .update(new Uint8Array(ownerOf.buffer, ownerOf.byteOffset, ownerOf.byteLength))
    .digest('hex')
    .slice(0, 8);
