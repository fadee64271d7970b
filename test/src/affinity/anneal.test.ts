import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { AnnealProblem, annealBytes, annealer } from '../../../src/affinity/anneal.ts';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { descend } from '../../../src/affinity/greedy.ts';
import { buildInstance, type PlacementInputs } from '../../../src/affinity/instance.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { ANNEAL, ANNEAL_EPOCH } from '../../../src/kernels/anneal-layout.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner, KernelPool } from '../../../src/kernels/pool.ts';
import { AnnealOracle } from '../../oracles/anneal.ts';
import { randomInputs } from '../../support/placement.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('affinity/anneal');
const SEED = testSeed('affinity/anneal');

const SIZES = { partitionCount: 48, nodeCount: 5, horizonSteps: 27 };

/** Several resources, room that runs out, partitions that rest, a node that is down: every branch of the kernel. */
function crampedInputs(seed: bigint): PlacementInputs {
  const inputs = randomInputs(seededRandom(seed), SIZES);
  return {
    ...inputs,
    restingPartitions: new Set([3, 7]),
    nodes: inputs.nodes.map((node, n) => ({
      ...node,
      isAlive: n !== 4,
      dataBytesMax: n === 0 ? 5e6 : node.dataBytesMax,
    })),
  };
}

const CASES: readonly { name: string; changes: Partial<AffinitySettings> }[] = [
  { name: 'with risk', changes: { riskZ: 1, commonError: 0.1 } },
  { name: 'without risk', changes: { riskZ: 0 } },
  {
    name: 'on two resources, few moves allowed',
    changes: {
      riskZ: 0.5,
      movesMax: 24,
      discountPerDay: 0.8,
      dimensions: [
        { dimension: 'queries', weight: 2 },
        { dimension: 'writeBytes', weight: 1 },
      ],
    },
  },
];

for (const build of ['debug', 'release'] as const)
  for (const { name, changes } of CASES)
    test(`the ${build} kernel and its twin find the same map to the last bit, ${name}`, () => {
      const seed = SEED;
      const kernels = loadKernels({ build });
      const instance = buildInstance(crampedInputs(seed), { ...DEFAULT_AFFINITY_SETTINGS, ...changes });
      const start = descend(instance, instance.home, 4).ownerOf;
      const problem = new AnnealProblem(kernels.arena, instance, start, seededRandom(seed));
      const block = problem.block.pointer;
      const random = new Uint32Array(kernels.memory.buffer, problem.fields.getUint32(ANNEAL.random, true), 4);
      const owner = new Int32Array(
        kernels.memory.buffer,
        problem.fields.getUint32(ANNEAL.owner, true),
        SIZES.partitionCount,
      );
      const twin = new AnnealOracle(instance, start, random);

      kernels.exports.annealReset(block);
      check.is(problem.fields.getFloat64(ANNEAL.cost, true), twin.cost, `cost at the start, seed ${seed}`);
      check.is(kernels.exports.annealRun(block, 300, 1), twin.run(300, true), 'mean of sampled deltas');
      problem.fields.setFloat32(ANNEAL.temperature, 0.01, true);
      problem.fields.setFloat32(ANNEAL.cooling, 0.9, true);
      twin.temperature = Math.fround(0.01);
      twin.cooling = Math.fround(0.9);
      const iterations = 20 * ANNEAL_EPOCH;
      check.is(kernels.exports.annealRun(block, iterations, 0), twin.run(iterations, false), 'accepted');
      check.equal([...owner], [...twin.owner], `owners, seed ${seed}`);
      check.equal([...problem.bestOwnerOf], [...twin.best], 'best map');
      check.is(problem.fields.getFloat64(ANNEAL.bestCost, true), twin.bestCost);
      check.ok(twin.acceptedCount > 10, 'the run did accept proposals');
      check.ok(twin.bestCost < new PlacementState(instance, start).cost(), 'and found a better map');
      problem.free();
    });

test('loads summed afresh keep the twin and the kernel together over many accepts', () => {
  const kernels = loadKernels();
  const sizes = { partitionCount: 16, nodeCount: 3, horizonSteps: 4 };
  const instance = buildInstance(randomInputs(seededRandom(5n), sizes), DEFAULT_AFFINITY_SETTINGS);
  const problem = new AnnealProblem(kernels.arena, instance, instance.home, seededRandom(5n));
  const random = new Uint32Array(kernels.memory.buffer, problem.fields.getUint32(ANNEAL.random, true), 4);
  const twin = new AnnealOracle(instance, instance.home, random);
  kernels.exports.annealReset(problem.block.pointer);
  // So hot that nearly everything is accepted: 16,384 accepts are reached, and with them a rebuild.
  problem.fields.setFloat32(ANNEAL.temperature, 1e3, true);
  problem.fields.setFloat32(ANNEAL.cooling, 1, true);
  twin.temperature = 1e3;
  const accepted = kernels.exports.annealRun(problem.block.pointer, 30_000, 0);
  check.ok(accepted > 16_384, `${accepted} accepted`);
  check.is(accepted, twin.run(30_000, false));
  const cost = problem.fields.getFloat64(ANNEAL.cost, true);
  check.is(cost, twin.cost);
  const owner = new Int32Array(kernels.memory.buffer, problem.fields.getUint32(ANNEAL.owner, true), 16);
  const exact = new PlacementState(instance, owner).cost();
  check.ok(Math.abs(cost - exact) < 1e-4 * exact, `${cost} in f32 is ${exact} in f64`);
  problem.free();
});

test('a map found by annealing keeps the rules', async () => {
  const settings = { ...DEFAULT_AFFINITY_SETTINGS, movesMax: 9, moveFixedIndexHours: 0 };
  const first = SEED;
  for (let seed = first; seed < first + 5n; seed++) {
    const inputs = crampedInputs(seed);
    const instance = buildInstance(inputs, settings);
    const kernels = loadKernels();
    const { ownerOf } = await annealer(inlineRunner(kernels), {
      iterations: 20_000,
      startFactors: [0.1],
      endRatio: 0.01,
    }).optimise(instance, instance.home, { random: seededRandom(seed) });
    const moved = [...ownerOf.keys()].filter((p) => ownerOf[p] !== instance.home[p]);
    check.ok(moved.length > 0 && moved.length <= 9, `seed ${seed}: ${moved.length} moves`);
    check.not.ok(
      moved.some((p) => p === 3 || p === 7),
      `seed ${seed}: a resting partition moved`,
    );
    check.not.ok(
      moved.some((p) => ownerOf[p] === 4),
      `seed ${seed}: something moved to a node that is down`,
    );
    const received = moved.filter((p) => ownerOf[p] === 0).reduce((sum, p) => sum + instance.bytes[p], 0);
    check.ok(received <= 5e6, `seed ${seed}: node 0 has room for 5 MB and got ${received}`);
    check.is(kernels.arena.usedBytes, 0, 'kernel memory is given back');
  }
});

test('the same seed and budget give the same bytes, in a worker as on this thread', async () => {
  const kernels = loadKernels();
  const instance = buildInstance(randomInputs(seededRandom(3n), SIZES), DEFAULT_AFFINITY_SETTINGS);
  const settings = { iterations: 30_000, startFactors: [0.1], endRatio: 0.01 };
  const pool = new KernelPool({ threads: 1 }, { kernels, logger: silentLogger });
  try {
    const inline = annealer(inlineRunner(kernels), settings);
    const pooled = annealer(pool, settings);
    const first = await inline.optimise(instance, instance.home, { random: seededRandom(9n) });
    const again = await pooled.optimise(instance, instance.home, { random: seededRandom(9n) });
    check.equal(again, first);
    const other = await pooled.optimise(instance, instance.home, { random: seededRandom(10n) });
    check.is.not(other.acceptedCount, first.acceptedCount);
  } finally {
    await pool.close();
  }
});

test('a cancelled search ends early with the best map so far', async () => {
  const kernels = loadKernels();
  const inputs = randomInputs(seededRandom(4n), { partitionCount: 64, nodeCount: 8, horizonSteps: 168 });
  const instance = buildInstance(inputs, DEFAULT_AFFINITY_SETTINGS);
  const problem = new AnnealProblem(kernels.arena, instance, instance.home, seededRandom(4n));
  const pool = new KernelPool({ threads: 1 }, { kernels, logger: silentLogger });
  try {
    const iterations = 500_000_000;
    const job = pool.start('anneal', {
      block: problem.block.pointer,
      iterations,
      startFactors: [0.1],
      endRatio: 0.01,
    });
    while (job.progress() === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    job.cancel();
    const result = await job.result;
    check.ok(result.iterations < iterations);
    check.ok(new PlacementState(instance, problem.bestOwnerOf).cost() < new PlacementState(instance).cost());
  } finally {
    await pool.close();
    problem.free();
  }
});

test('an annealing takes no more kernel memory than it says, and not much less', () => {
  for (const { changes } of CASES) {
    const settings = { ...DEFAULT_AFFINITY_SETTINGS, ...changes };
    const { arena } = loadKernels();
    const instance = buildInstance(crampedInputs(SEED), settings);
    const problem = new AnnealProblem(arena, instance, instance.home, seededRandom(SEED));
    const saidBytes = annealBytes(settings, SIZES);
    check.ok(arena.usedBytes <= saidBytes, `${arena.usedBytes} used, ${saidBytes} said`);
    check.ok(arena.usedBytes > 0.95 * saidBytes, `${arena.usedBytes} used, ${saidBytes} said`);
    problem.free();
  }
});

test.run();
