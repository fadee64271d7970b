import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { History } from '../../../../src/analyzer/history.ts';
import { lstmMember } from '../../../../src/analyzer/members/lstm.ts';
import type { Member, MemberState } from '../../../../src/analyzer/members/member.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import type { Block } from '../../../../src/kernels/arena.ts';
import { loadKernels } from '../../../../src/kernels/instance.ts';
import { jobContext } from '../../../../src/kernels/job.ts';
import { lstmJobs } from '../../../../src/kernels/lstm-jobs.ts';
import { type LstmSamples, lstmWeightsOf, lstmWorkBytes } from '../../../../src/kernels/lstm-model.ts';
import { inlineRunner, type KernelRunner } from '../../../../src/kernels/pool.ts';
import { memberComponents, predictAll } from '../../../support/member-history.ts';
import { testSeed } from '../../../support/seed.ts';
import { HOUR_MS, profileOf } from '../../../support/synthetic-load.ts';

const test = suite('analyzer/members/lstm');
const seed = testSeed('analyzer/members/lstm');
const kernels = loadKernels();

const isBlock = (value: Block | number): value is Block => typeof value === 'object';

interface Setup {
  readonly member: Member;
  readonly history: History;
  /** f64[partition][horizon]. */
  predict(): Promise<Float64Array>;
  close(): void;
}

function setup(options: {
  readonly partitionCount: number;
  readonly windows: number;
  readonly horizon: number;
  readonly load: (partition: number, window: number) => number;
  readonly isOutage?: (window: number) => boolean;
  readonly seed?: bigint;
}): Setup {
  const { partitionCount, windows, horizon, load } = options;
  const history = new History(
    {
      partitionCount,
      windowMs: HOUR_MS,
      startMs: 0,
      driver: 'queries',
      windowsMax: 1680,
      dayWindows: 24,
      weekWindows: 168,
    },
    kernels.arena,
  );
  const profile = profileOf({ partitionCount, firstWindow: 0, windowCount: windows, load });
  for (let window = 0; window < windows; window++)
    if (options.isOutage?.(window)) history.appendOutage();
    else history.append(profile, window);
  const random = seededRandom(options.seed ?? seed);
  const member = lstmMember({
    history,
    runner: inlineRunner(kernels),
    random,
    logger: silentLogger,
    horizon,
  });
  const out = kernels.arena.f64(partitionCount * horizon);
  return {
    member,
    history,
    async predict() {
      await member.predict({ first: 0, count: partitionCount }, out.pointer);
      return out.view.slice();
    },
    close() {
      member.close();
      history.close();
      kernels.arena.free(out);
    },
  };
}

/** A rhythm of 30 hours, a phase for each partition: neither yesterday nor last week looks like today. */
const wandering = (partition: number, window: number): number =>
  Math.expm1(4 + Math.sin((2 * Math.PI * window) / 30 + partition * 1.7));

test('it learns a rhythm that no season has, where the seasonal naive fails', async () => {
  const options = { partitionCount: 24, windows: 500, horizon: 24, load: wandering };
  const { member, predict, close } = setup(options);
  const errorOf = (said: Float64Array): number => {
    let sum = 0;
    said.forEach((value, at) => {
      const partition = Math.floor(at / options.horizon);
      sum += Math.abs(value - Math.log1p(wandering(partition, options.windows + (at % options.horizon))));
    });
    return sum / said.length;
  };
  const naive = Float64Array.from({ length: options.partitionCount * options.horizon }, (_, at) =>
    Math.log1p(
      wandering(Math.floor(at / options.horizon), options.windows - options.horizon + (at % options.horizon)),
    ),
  );
  const untrained = errorOf(await predict());
  const range = { first: 0, count: options.partitionCount };
  await member.fit(range);
  await member.fit(range);
  const learnt = errorOf(await predict());
  assert.is(learnt < 0.25 * errorOf(naive), true, `${learnt} against ${errorOf(naive)} of the naive`);
  assert.is(learnt < 0.25 * untrained, true, `${learnt} against ${untrained} before`);
  close();
});

test('the same seed gives the same bytes, another seed other ones', async () => {
  const run = async (given: bigint): Promise<Float64Array> => {
    const one = setup({ partitionCount: 3, windows: 400, horizon: 30, load: wandering, seed: given });
    await one.member.fit({ first: 0, count: 3 });
    const said = await one.predict();
    one.close();
    return said;
  };
  const first = await run(seed);
  assert.equal(await run(seed), first);
  assert.not.equal(await run(seed + 1n), first);
});

test('before the first fit it says the mean of the seasonals', async () => {
  const { predict, close } = setup({
    partitionCount: 1,
    windows: 400,
    horizon: 12,
    load: (_, window) => Math.expm1(window % 24),
  });
  const said = await predict();
  said.forEach((value, step) => {
    assert.is(Math.abs(value - ((400 + step) % 24)) < 1e-9, true);
  });
  close();
});

test('silent, flat, spiking and exploding partitions, and a history of outages, are forecast in finite numbers', async () => {
  const loads: readonly ((window: number) => number)[] = [
    () => 0,
    () => 1000,
    (window) => (window % 97 === 0 ? 1e12 : 0),
    (window) => 1e97 * (window % 2),
    (window) => (window < 390 ? 0 : 50),
  ];
  for (const isOutage of [() => false, (window: number) => window > 150]) {
    const { member, predict, close } = setup({
      partitionCount: loads.length,
      windows: 420,
      horizon: 200,
      load: (partition, window) => loads[partition]!(window),
      isOutage,
    });
    const range = { first: 0, count: loads.length };
    await member.fit(range);
    await member.fit(range);
    const said = await predict();
    assert.is(said.every(Number.isFinite), true);
    const silent = said.subarray(0, 200);
    assert.is(
      silent.every((value) => Math.abs(value) < 0.1),
      true,
      'silence stays near silence',
    );
    close();
  }
});

test('where all partitions are silent it still fits and says zero', async () => {
  const { member, predict, close } = setup({ partitionCount: 2, windows: 380, horizon: 4, load: () => 0 });
  await member.fit({ first: 0, count: 2 });
  assert.is(
    (await predict()).every((value) => Math.abs(value) < 0.05),
    true,
  );
  close();
});

test('a saved network goes on in a new member to the last bit, fits included', async () => {
  const options = { partitionCount: 4, windows: 400, horizon: 20, load: wandering };
  const range = { first: 0, count: 4 };
  const before = setup(options);
  await before.member.fit(range);
  const after = setup(options);
  after.member.load(structuredClone(before.member.save()));
  assert.equal(await after.predict(), await before.predict());
  await before.member.fit(range);
  await after.member.fit(range);
  assert.equal(await after.predict(), await before.predict());
  before.close();
  after.close();
});

test('a fit begun in the background changes nothing until it has ended, some windows on', async () => {
  const components = memberComponents({ partitionCount: 3, windowCount: 420, horizon: 12, load: wandering });
  const trained: number[] = [];
  const { runner } = components;
  const counting: KernelRunner = {
    ...runner,
    run(name, parameters) {
      if (name === 'lstmTrain') trained.push((parameters as unknown as LstmSamples).count);
      return runner.run(name, parameters);
    },
  };
  const member = lstmMember({ ...components, runner: counting });
  const weightsOf = (): Float32Array => member.save().weights as Float32Array;
  const untrained = weightsOf();
  // Not assert.equal: what differs in so many numbers takes minutes to print.
  const isUntrained = (): boolean => weightsOf().every((weight, i) => weight === untrained[i]);
  member.beginFit!();
  await member.advance!();
  assert.equal(trained, [], 'no window has come since');
  // 1,024 sequences and 16 for each partition are 34 batches of 32.
  for (let window = 1; window <= 17; window++) {
    assert.ok(isUntrained(), `before window ${window}`);
    components.append(1);
    await member.advance!();
  }
  assert.not(isUntrained());
  components.append(1);
  await member.advance!();
  assert.equal(trained, Array(17).fill(64));
  member.close();
  components.history.close();
});

test('saved in the middle of a fit it goes on to the last bit', async () => {
  const options = { partitionCount: 2, windowCount: 420, horizon: 12, load: wandering };
  const [before, after] = [memberComponents(options), memberComponents(options)];
  const member = lstmMember(before);
  member.beginFit!();
  for (const { append } of [before, after]) append(5);
  await member.advance!();
  const restored = lstmMember(after);
  restored.load(structuredClone(member.save()));
  for (let window = 0; window < 20; window++)
    for (const [each, { append }] of [
      [member, before],
      [restored, after],
    ] as const) {
      append(1);
      await each.advance!();
    }
  assert.equal(await predictAll(restored, after), await predictAll(member, before));
  assert.is(member.save().fits, 1);
  assert.equal(restored.save(), member.save());
});

test('a state of another shape, or with numbers that are none, is refused', () => {
  const { member, close } = setup({ partitionCount: 1, windows: 1, horizon: 4, load: () => 0 });
  const good = member.save();
  const spoilt = (good.weights as Float32Array).slice();
  spoilt[5] = Number.NaN;
  for (const state of [
    {},
    { ...good, weights: new Float32Array(3) },
    { ...good, weights: spoilt },
    { ...good, moments: null },
    { ...good, steps: 'many' },
    { ...good, batch: 1e6 },
    { ...good, learning: undefined },
  ] as MemberState[])
    assert.throws(
      () => member.load(state),
      (error: unknown) => error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT',
    );
  assert.equal(member.save(), good);
  close();
});

test('what a fit is judged by is not what it learns from', async () => {
  const history = setup({ partitionCount: 4, windows: 420, horizon: 8, load: wandering }).history;
  const seen: Record<string, Int32Array[]> = {};
  const plain = inlineRunner(kernels);
  const runner: KernelRunner = {
    ...plain,
    run(name, parameters) {
      if (name === 'lstmTrain' || name === 'lstmScore') {
        const { samples, count } = parameters as unknown as LstmSamples;
        seen[name] = [
          ...(seen[name] ?? []),
          new Int32Array(kernels.memory.buffer, samples, count * 2).slice(),
        ];
      }
      return plain.run(name, parameters);
    },
  };
  const random = seededRandom(seed);
  const member = lstmMember({ history, runner, random, logger: silentLogger, horizon: 8 });
  await member.fit({ first: 0, count: 4 });
  const [before, after] = seen.lstmScore!;
  assert.equal(before, after, 'judged by the same before and after');
  assert.not.equal(seen.lstmTrain![0]!.subarray(0, before!.length), before);
  member.close();
  history.close();
});

test('the windows of an outage are no targets', async () => {
  const taught = async (imputed: number): Promise<Float32Array> => {
    const { member, history, close } = setup({
      partitionCount: 2,
      windows: 420,
      horizon: 8,
      load: wandering,
      isOutage: (window) => window >= 396,
    });
    for (let p = 0; p < 2; p++)
      new Float64Array(kernels.memory.buffer, history.pointer + (p * history.stride + 396) * 8, 24).fill(
        imputed,
      );
    await member.fit({ first: 0, count: 2 });
    const { weights } = member.save();
    close();
    return weights as Float32Array;
  };
  const spoilt = await taught(14);
  // Not assert.equal: what differs in so many numbers takes minutes to print.
  assert.ok((await taught(0)).every((weight, i) => weight === spoilt[i]));
});

test('a fit that leaves the network worse is undone', async () => {
  const { member, predict, close } = setup({
    partitionCount: 4,
    windows: 400,
    horizon: 16,
    load: wandering,
  });
  const range = { first: 0, count: 4 };
  await member.fit(range);
  const good = member.save();
  // Running means of a gradient that never was: the first step of the next fit leaps away.
  const moments = (good.moments as Float32Array).slice();
  moments.fill(1e9, 0, moments.length / 2);
  member.load({ ...good, moments });
  const said = await predict();
  await member.fit(range);
  assert.equal(await predict(), said);
  assert.equal(member.save().weights, good.weights);
  close();
});

test('windows of a second cost no memory for a week that never fits into the history', () => {
  const used = kernels.arena.usedBytes;
  const shape = {
    partitionCount: 1,
    windowMs: 1000,
    startMs: -5000,
    driver: 'queries',
    windowsMax: 1680,
  } as const;
  const history = new History({ ...shape, dayWindows: 86_400, weekWindows: 604_800 }, kernels.arena);
  const before = kernels.arena.usedBytes;
  const member = lstmMember({
    history,
    runner: inlineRunner(kernels),
    random: seededRandom(seed),
    logger: silentLogger,
    horizon: 24,
  });
  assert.is(member.windowsMin > history.stride, true);
  assert.is(kernels.arena.usedBytes - before < 1 << 20, true);
  member.close();
  history.close();
  assert.is(kernels.arena.usedBytes, used);
});

test('a cancelled fit stops at the next batch and keeps what it has', () => {
  const { exports, memory, arena } = kernels;
  const corrected = 16;
  const model = {
    corrected,
    horizon: corrected,
    weights: arena.f32(lstmWeightsOf(exports, corrected)),
    gradients: arena.f32(lstmWeightsOf(exports, corrected)),
    moments: arena.f32(2 * lstmWeightsOf(exports, corrected)),
    work: arena.alloc(lstmWorkBytes(exports, { corrected, horizon: corrected })),
  };
  const series = arena.f64(400);
  for (let i = 0; i < 400; i++) series.view[i] = 2 + Math.sin(i / 3);
  const phases = arena.f32(168 * 6);
  const count = 160;
  const samples = arena.i32(count * 2);
  for (let i = 0; i < count; i++) samples.view[2 * i + 1] = 300;
  const reported: number[] = [];
  const { steps } = lstmJobs.lstmTrain.run(
    {
      ...jobContext(exports, memory.buffer, 0),
      isCancelled: () => reported.length === 2,
      reportProgress: (value) => reported.push(value),
    },
    {
      model: {
        corrected,
        horizon: corrected,
        weights: model.weights.pointer,
        gradients: model.gradients.pointer,
        moments: model.moments.pointer,
        work: model.work.pointer,
      },
      input: {
        series: series.pointer,
        stride: 400,
        length: 400,
        outages: 0,
        dayWindows: 24,
        weekWindows: 168,
        phases: phases.pointer,
        phase: 0,
      },
      samples: samples.pointer,
      count,
      rate: 0.01,
      batchCount: 5,
      batchesBefore: 0,
      stepsBefore: 0,
    },
  );
  assert.is(steps, 2);
  assert.equal(reported, [1, 2]);
  assert.is(
    model.weights.view.some((weight) => weight !== 0),
    true,
  );
  for (const block of [...Object.values(model).filter(isBlock), series, phases, samples]) arena.free(block);
});

test('the longest horizons are said beyond what the network corrects, and memory is given back', async () => {
  const used = kernels.arena.usedBytes;
  const { member, predict, close } = setup({
    partitionCount: 2,
    windows: 700,
    horizon: 501,
    load: (_, window) => 100 + 50 * Math.sin((2 * Math.PI * window) / 24),
  });
  await member.fit({ first: 0, count: 2 });
  const said = await predict();
  for (let step = 168; step < 501; step++) {
    const expected = Math.log1p(100 + 50 * Math.sin((2 * Math.PI * (700 + step)) / 24));
    assert.is(Math.abs(said[step]! - expected) < 1e-9, true);
  }
  close();
  assert.is(kernels.arena.usedBytes, used);
});

test.run();
