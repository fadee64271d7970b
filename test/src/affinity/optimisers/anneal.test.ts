import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../../src/affinity/cost-model.ts';
import {
  buildInstance,
  type PlacementInputs,
  type PlacementInstance,
} from '../../../../src/affinity/instance.ts';
import {
  annealBytes,
  annealer,
  DEFAULT_ANNEAL_SETTINGS,
  kernelSeed,
} from '../../../../src/affinity/optimisers/anneal.ts';
import { temperatureAccepting } from '../../../../src/affinity/optimisers/annealing.ts';
import { placePrices } from '../../../../src/affinity/optimisers/place-prices.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../../../../src/affinity/settings.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { InvariantError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { loadKernels } from '../../../../src/kernels/instance.ts';
import { placementBlock } from '../../../../src/kernels/placement-block.ts';
import { inlineRunner, KernelPool, type KernelRunner } from '../../../../src/kernels/pool.ts';
import type { SearchSlice } from '../../../../src/kernels/search-jobs.ts';
import { layOut, OPERATOR_NUMBERS, PLACEMENT_FIELDS } from '../../../../src/kernels/search-layout.ts';
import { PlacementOracle } from '../../../oracles/placement-search.ts';
import { randomInputs } from '../../../support/placement.ts';
import { testSeed } from '../../../support/seed.ts';

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

const CASES: readonly {
  name: string;
  changes: Partial<AffinitySettings>;
  rules?: Partial<PlacementInstance>;
  isRuled?: boolean;
}[] = [
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
  { name: 'with every rule', changes: { riskZ: 0.5 }, isRuled: true },
  { name: 'with a price on the peak', changes: { riskZ: 0 }, rules: { peakWeight: 2 } },
  {
    name: 'with risk, a price on the peak and rules',
    changes: { riskZ: 1 },
    rules: { peakWeight: 2 },
    isRuled: true,
  },
];

/** Groups apart and over zones, forbidden nodes, caps on moves and bytes, on top of what the inputs have. */
function ruled(instance: PlacementInstance, seed: bigint): PlacementInstance {
  const random = seededRandom(seed);
  const { partitionCount, nodeCount } = instance;
  const groupCount = 12;
  return {
    ...instance,
    allowed: Uint8Array.from({ length: partitionCount * nodeCount }, () =>
      random.nextBelow(5) === 0 ? 0 : 1,
    ),
    // Kernels do not count what groups break.
    breachPrice: 0,
    stayPenalty: Float64Array.from({ length: partitionCount }, () => (random.nextBelow(6) === 0 ? 0.02 : 0)),
    memberCount: Int32Array.from({ length: partitionCount }, (_, p) => (p % 5 === 0 ? 2 : 1)),
    groupOf: Int32Array.from({ length: partitionCount }, (_, p) => (p < 30 ? p % groupCount : -1)),
    groupZonesMin: Int32Array.from({ length: groupCount }, (_, g) => 1 + (g % 2)),
    zoneOf: Int32Array.from({ length: nodeCount }, (_, n) => n % 3),
    nodeMovesMax: 11,
    bytesMovedMax: instance.bytes.reduce((sum, own) => sum + own, 0) / 3,
  };
}

for (const build of ['debug', 'release'] as const)
  for (const { name, changes, rules = {}, isRuled = false } of CASES)
    test(`the ${build} kernel and its twin find the same map to the last bit, ${name}`, () => {
      const seed = SEED;
      const kernels = loadKernels({ build });
      const plain = buildInstance(crampedInputs(seed), { ...DEFAULT_AFFINITY_SETTINGS, ...changes });
      const instance = { ...(isRuled ? ruled(plain, seed) : plain), ...rules };
      const numbers = { ...instance, placePrice: placePrices(instance) };
      const start = instance.home;
      const words = kernelSeed(seededRandom(seed));
      const block = placementBlock(kernels.arena, numbers, start, words);
      const { pointer } = block;
      // Few samples, so that most proposals come after them and are screened.
      block.set('sampleMax', 60);
      block.set('temperature', 0.01);
      block.set('cooling', 0.9);
      const twin = new PlacementOracle(numbers, start, words, block.get('sampleMax'));
      twin.temperature = 0.01;
      twin.cooling = 0.9;

      kernels.exports.placementReset(pointer);
      check.is(block.get('cost'), twin.cost, `cost at the start, seed ${seed}`);
      for (let chunk = 0; chunk < 3; chunk++)
        check.is(kernels.exports.placementRun(pointer, 900), twin.run(900), `accepted, seed ${seed}`);
      check.equal([...block.owner], [...twin.owner], `owners, seed ${seed}`);
      check.equal([...block.bestOwner], [...twin.best], 'best map');
      check.is(block.get('bestCost'), twin.bestCost);
      check.equal([...block.samples()], twin.samples, 'sampled rises');
      check.equal(
        twin.weights,
        twin.weights.map((_, o) => block.operators[OPERATOR_NUMBERS * o]),
        'weights of operators',
      );
      check.ok(twin.acceptedCount > 10, 'the run did accept proposals');
      if (instance.peakWeight === 0)
        check.ok(twin.screenedOutCount > 100, `${twin.screenedOutCount} proposals were screened out`);
      // The screen's bound holds without risk; with risk it is an estimate.
      const wronglyMax = instance.riskZ > 0 ? 0.02 * twin.screenedOutCount : 0;
      check.ok(twin.wronglyScreenedOutCount <= wronglyMax, `${twin.wronglyScreenedOutCount} wrongly`);
      const before = new PlacementState(instance, start).cost();
      check.ok(twin.bestCost < before, 'and found a better map');
      const exact = new PlacementState(instance, twin.owner).cost();
      check.ok(Math.abs(twin.cost - exact) < 1e-4 * exact, `${twin.cost} in f32 is ${exact} in f64`);
      block.free();
    });

test('loads summed afresh keep the twin and the kernel together over many accepts', () => {
  const kernels = loadKernels();
  const sizes = { partitionCount: 16, nodeCount: 3, horizonSteps: 4 };
  const instance = buildInstance(randomInputs(seededRandom(5n), sizes), DEFAULT_AFFINITY_SETTINGS);
  const words = kernelSeed(seededRandom(5n));
  const numbers = { ...instance, placePrice: placePrices(instance) };
  const block = placementBlock(kernels.arena, numbers, instance.home, words);
  const twin = new PlacementOracle(numbers, instance.home, words, block.get('sampleMax'));
  kernels.exports.placementReset(block.pointer);
  // So hot that nearly everything is accepted: 16,384 accepts are reached, and with them a rebuild.
  block.set('temperature', 1e3);
  block.set('cooling', 1);
  twin.temperature = 1e3;
  const accepted = kernels.exports.placementRun(block.pointer, 45_000);
  check.ok(accepted > 16_384, `${accepted} accepted`);
  check.is(accepted, twin.run(45_000));
  check.is(block.get('cost'), twin.cost);
  const exact = new PlacementState(instance, block.owner).cost();
  check.ok(Math.abs(twin.cost - exact) < 1e-4 * exact, `${twin.cost} in f32 is ${exact} in f64`);
  block.free();
});

test('a temperature accepts the share of rises it was made for', () => {
  const rises = Float64Array.from({ length: 200 }, (_, i) => (i + 1) ** 3);
  for (const share of [0.5, 0.1, 0.001]) {
    const temperature = temperatureAccepting(share, rises);
    const accepted = rises.reduce((sum, rise) => sum + Math.exp(-rise / temperature), 0) / rises.length;
    check.ok(Math.abs(accepted / share - 1) < 1e-4, `${accepted} for ${share}`);
  }
  check.is(temperatureAccepting(0.1, new Float64Array(0)), 0);
});

test('a map found by annealing keeps the rules', async () => {
  const settings = { ...DEFAULT_AFFINITY_SETTINGS, movesMax: 9, moveFixedIndexHours: 0 };
  const first = SEED;
  for (let seed = first; seed < first + 5n; seed++) {
    const inputs = crampedInputs(seed);
    const instance = buildInstance(inputs, settings);
    const kernels = loadKernels();
    const { ownerOf } = await annealer(inlineRunner(kernels), {
      ...DEFAULT_ANNEAL_SETTINGS,
      iterations: 20_000,
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
  const settings = { ...DEFAULT_ANNEAL_SETTINGS, iterations: 30_000 };
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

for (const where of ['in a worker', 'on this thread'] as const)
  test(`a search ${where} that is cancelled ends within slices of milliseconds with the best map so far`, async () => {
    const kernels = loadKernels();
    const sizes = { partitionCount: 64, nodeCount: 8, horizonSteps: 168 };
    const instance = buildInstance(randomInputs(seededRandom(4n), sizes), DEFAULT_AFFINITY_SETTINGS);
    const pool =
      where === 'in a worker' ? new KernelPool({ threads: 1 }, { kernels, logger: silentLogger }) : null;
    try {
      const iterations = 500_000_000;
      const costs: number[] = [];
      let last = { moved: 0, iterations: 0 };
      const search = annealer(pool ?? inlineRunner(kernels), { ...DEFAULT_ANNEAL_SETTINGS, iterations });
      const result = await search.optimise(instance, instance.home, {
        random: seededRandom(4n),
        isCancelled: () => costs.length >= 5,
        onProgress(progress) {
          costs.push(progress.cost);
          last = progress;
        },
      });
      check.is(costs.length, 5, 'no slice runs once the answer is yes');
      check.is(result.iterations, last.iterations);
      check.ok(result.iterations < 5 * 50_000, `${result.iterations} iterations in five slices`);
      check.equal(
        costs,
        costs.toSorted((a, b) => b - a),
        'progress tells of the best map so far',
      );
      const state = new PlacementState(instance, result.ownerOf);
      check.ok(state.cost() < new PlacementState(instance).cost());
      check.is(last.moved, state.movedCount);
      check.is(kernels.arena.usedBytes > 0, pool !== null);
    } finally {
      await pool?.close();
    }
  });

test('a search that is cancelled from the start returns where it started', async () => {
  const instance = buildInstance(randomInputs(seededRandom(4n), SIZES), DEFAULT_AFFINITY_SETTINGS);
  const { ownerOf, iterations } = await annealer(inlineRunner(loadKernels())).optimise(
    instance,
    instance.home,
    {
      random: seededRandom(4n),
      isCancelled: () => true,
    },
  );
  check.is(iterations, 0);
  check.equal(ownerOf, instance.home);
});

test('a worker that is kept from its processor holds up nobody who cancels, and its memory is not given away', async () => {
  const kernels = loadKernels();
  const inline = inlineRunner(kernels);
  const instance = buildInstance(randomInputs(seededRandom(4n), SIZES), DEFAULT_AFFINITY_SETTINGS);
  const startCost = new PlacementState(instance).cost();
  const settings = { ...DEFAULT_ANNEAL_SETTINGS, iterations: 400_000 };
  const searchOn = (runner: KernelRunner, isCancelled: () => boolean) =>
    annealer(runner, settings).optimise(instance, instance.home, {
      random: seededRandom(4n),
      clock: systemClock(),
      isCancelled,
    });
  const { bestOwner } = layOut(PLACEMENT_FIELDS).offsets;
  const undisturbed = await searchOn(inline, () => false);
  // The last is not the first of its run.
  for (const heldPiece of [0, 1, 2, 13]) {
    let pieces = 0;
    let goOn = (): void => check.unreachable('no piece is held');
    const runner: KernelRunner = {
      ...inline,
      isInline: false,
      run: (name, parameters) =>
        pieces++ === heldPiece
          ? new Promise((resolve) => {
              // In the middle of writing its best map.
              const { block } = parameters as SearchSlice;
              const at = new DataView(kernels.memory.buffer).getUint32(block + bestOwner, true);
              new Int32Array(kernels.memory.buffer, at, SIZES.partitionCount / 2).fill(-1);
              goOn = () => resolve(inline.run(name, parameters));
            })
          : inline.run(name, parameters),
    };
    const { ownerOf, elites = [] } = await searchOn(runner, () => pieces > heldPiece);
    check.ok(
      [ownerOf, ...elites].every((map) => !map.includes(-1)),
      'nobody reads what a worker writes',
    );
    const state = new PlacementState(instance, ownerOf);
    if (heldPiece < 13) check.ok(state.cost() <= startCost, `${state.cost()}`);
    else check.ok(state.cost() < startCost, `${state.cost()} of the pieces before`);
    const heldBytes = kernels.arena.usedBytes;
    check.ok(heldBytes > 0, 'its worker still writes there');
    check.equal(await searchOn(inline, () => false), undisturbed, 'the next one is not disturbed');
    check.is(kernels.arena.usedBytes, heldBytes);
    goOn();
    await new Promise((resolve) => setImmediate(resolve));
    check.is(kernels.arena.usedBytes, 0);
  }
});

test('a worker that dies after its search was cancelled is of no concern', async () => {
  const inline = inlineRunner(loadKernels());
  const instance = buildInstance(randomInputs(seededRandom(4n), SIZES), DEFAULT_AFFINITY_SETTINGS);
  let die: (() => void) | undefined;
  const runner: KernelRunner = {
    ...inline,
    isInline: false,
    run: () =>
      new Promise((_, reject) => {
        die = () => reject(new InvariantError('the worker died'));
      }),
  };
  const { ownerOf } = await annealer(runner).optimise(instance, instance.home, {
    random: seededRandom(4n),
    clock: systemClock(),
    isCancelled: () => die !== undefined,
  });
  check.equal(ownerOf, instance.home);
  check.type(die, 'function');
  die?.();
  await new Promise((resolve) => setImmediate(resolve));
  check.is(inline.kernels.arena.usedBytes, 0);
});

test('on a machine of any speed it asks whether time is over at the same iterations, and finds the same map', async () => {
  const instance = buildInstance(crampedInputs(SEED), DEFAULT_AFFINITY_SETTINGS);
  const settings = { ...DEFAULT_ANNEAL_SETTINGS, iterations: 400_000 };
  const searchOn = async (msPerLook: number) => {
    let nowMs = 0;
    const asked: number[] = [];
    let pieces = 0;
    const inline = inlineRunner(loadKernels());
    const runner: KernelRunner = {
      ...inline,
      run(name, parameters) {
        pieces++;
        return inline.run(name, parameters);
      },
    };
    const { ownerOf } = await annealer(runner, settings).optimise(instance, instance.home, {
      random: seededRandom(SEED),
      clock: { ...systemClock(), monotonicMs: () => (nowMs += msPerLook) },
      isOver: (iterations) => asked.push(iterations) < 0,
    });
    return { ownerOf, asked, pieces };
  };
  const [fast, slow] = [await searchOn(0), await searchOn(100)];
  check.ok(fast.asked.length > 5, `${fast.asked.length} questions`);
  check.equal(slow.asked, fast.asked);
  check.equal(slow.ownerOf, fast.ownerOf);
  check.ok(slow.pieces > 4 * fast.pieces, `${slow.pieces} pieces, ${fast.pieces}`);
});

test('a search returns other good maps, best first, all different', async () => {
  const instance = buildInstance(crampedInputs(SEED), DEFAULT_AFFINITY_SETTINGS);
  const settings = { ...DEFAULT_ANNEAL_SETTINGS, iterations: 30_000 };
  const { ownerOf, elites = [] } = await annealer(inlineRunner(loadKernels()), settings).optimise(
    instance,
    instance.home,
    { random: seededRandom(SEED) },
  );
  check.equal(elites[0], ownerOf);
  check.ok(elites.length > 1, `${elites.length} maps`);
  check.is(new Set(elites.map((elite) => elite.join())).size, elites.length);
});

test('an annealing takes no more kernel memory than it says, and not much less', () => {
  for (const { changes } of CASES) {
    const settings = { ...DEFAULT_AFFINITY_SETTINGS, ...changes };
    const { arena } = loadKernels();
    const instance = buildInstance(crampedInputs(SEED), settings);
    const numbers = { ...instance, placePrice: placePrices(instance) };
    const block = placementBlock(arena, numbers, instance.home, [1, 2, 3, 4]);
    const saidBytes = annealBytes(settings, SIZES);
    check.ok(arena.usedBytes <= saidBytes, `${arena.usedBytes} used, ${saidBytes} said`);
    check.ok(arena.usedBytes > 0.95 * saidBytes, `${arena.usedBytes} used, ${saidBytes} said`);
    block.free();
  }
});

test.run();
