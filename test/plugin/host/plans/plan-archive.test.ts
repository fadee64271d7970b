/** Plans are kept with their inputs, so many and no more, and come out the same when they are made again. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { inputsHash } from '../../../../plugin/host/analysis/inputs-hash.ts';
import {
  decodeKeptPlan,
  encodeKeptPlan,
  type KeptPlan,
  planBytes,
} from '../../../../plugin/host/plans/kept-plan.ts';
import {
  keptPlans,
  PlanArchive,
  plansFolder,
  plansFoldersAmong,
} from '../../../../plugin/host/plans/plan-archive.ts';
import { optimizers } from '../../../../src/affinity/optimisers/registry.ts';
import { AffinityManager } from '../../../../src/affinity/planner.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../../src/affinity/settings.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { loadKernels } from '../../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../../src/kernels/pool.ts';
import { randomInputs } from '../../../support/placement.ts';
import { runHere } from '../../../support/run-here.ts';
import { testSeed } from '../../../support/seed.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('kept plans');
const SEED = testSeed('host/kept-plans');
const LIMITS = { countMax: 24, bytesMax: 2 ** 24 };
const AT_MS = Date.UTC(2026, 0, 5, 12);

/** As a cycle makes it: on the way from its parent's seed, in slices, with a memory, and with a node of which nothing is known. */
async function planned(changes: Partial<typeof DEFAULT_AFFINITY_SETTINGS> = {}): Promise<KeptPlan> {
  const kernels = loadKernels();
  const settings = { ...DEFAULT_AFFINITY_SETTINGS, iterations: 20_000, ...changes };
  const made = randomInputs(seededRandom(SEED), { partitionCount: 48, nodeCount: 5, horizonSteps: 24 });
  const inputs = {
    ...made,
    nodes: made.nodes.map((node, n) =>
      n === 4 ? { ...node, capacity: node.capacity.map(() => Number.POSITIVE_INFINITY) } : node,
    ),
    restingPartitions: new Set([3, 7]),
    openMigrations: new Map([[7, 2]]),
    memory: {
      lastMoves: [{ partitionId: 9, sourceNodeId: 0, targetNodeId: 1, startMs: made.forecast.startMs }],
      recentMoves: [{ partitionId: 1, sourceNodeId: 2, endedAtMs: made.forecast.startMs - 1000 }],
    },
  };
  const random = seededRandom(SEED).fork('affinity');
  const clock = systemClock();
  const proposal = await new AffinityManager(settings, {
    random,
    logger: silentLogger,
    optimiser: optimizers.anneal({ runner: () => inlineRunner(kernels), clock }, settings.iterations),
    copiesPerNodeMax: 2,
    pace: { clock },
  }).propose(inputs);
  return {
    ...{ atMs: AT_MS, clusterName: 'main', settings, copiesPerNodeMax: 2, inputs },
    inputsHash: inputsHash(inputs, { affinity: settings, copiesPerNodeMax: 2 }),
    seed: proposal.seed.toString(),
    endedAfter: proposal.endedAfter ?? null,
    kernelHash: kernels.hash,
    plan: planBytes(proposal),
  };
}

const archiveIn = (folder: string, limits = LIMITS): PlanArchive =>
  new PlanArchive(folder, limits, silentLogger);

test('a plan that was kept is made again, byte for byte, and one whose inputs were changed is not', async () => {
  await withTemporaryFolder(async (folder) => {
    const kept = await planned();
    await archiveIn(folder).keep(kept);
    const [path] = await keptPlans(folder);
    const { exitCode, stdout, stderr } = await runHere('replay', path, '--json');
    check.is(exitCode, 0, stderr);
    const same = JSON.parse(stdout);
    check.equal([same.isSame, same.areInputsWhole, same.differences], [true, true, []]);
    check.ok(same.moveCount > 0, `${same.moveCount} moves, SEED=${SEED}`);
    check.match((await runHere('replay', path)).stdout, /the same, byte for byte/);

    const heavier = kept.inputs.forecast.mean.map((value, i) => (i % 48 < 12 ? 3 * value : value));
    const inputs = { ...kept.inputs, forecast: { ...kept.inputs.forecast, mean: heavier } };
    await archiveIn(folder).keep({ ...kept, atMs: AT_MS + 1000, inputs, kernelHash: 'other' });
    const other = await runHere('replay', (await keptPlans(folder))[0] as string);
    check.is(other.exitCode, 1);
    check.match(other.stdout, /another plan; these differ: .*costBefore/);
    check.match(other.stdout, /its inputs are not those/);
    check.match(other.stdout, /made with the kernels other/);
  });
});

test('a plan whose search ran out of time is made again up to the same step', async () => {
  await withTemporaryFolder(async (folder) => {
    const kept = await planned({ searchSeconds: 0.001, iterations: 5_000_000 });
    check.ok(kept.endedAfter !== null && (kept.endedAfter[0] as number) < 5_000_000);
    await archiveIn(folder).keep(kept);
    const { exitCode, stdout } = await runHere('replay', (await keptPlans(folder))[0] as string, '--json');
    check.is(exitCode, 0, stdout);
    check.equal(JSON.parse(stdout).endedAfter, kept.endedAfter);
  });
});

test('so many plans are kept and so many bytes, the newest, and none that alone is too large', async () => {
  await withTemporaryFolder(async (folder) => {
    const kept = await planned();
    const at = (hour: number): KeptPlan => ({ ...kept, atMs: AT_MS + 3_600_000 * hour });
    for (const hour of [0, 1, 2, 3]) await archiveIn(folder, { ...LIMITS, countMax: 2 }).keep(at(hour));
    const names = readdirSync(folder).sort();
    check.is(names.length, 2);
    check.match(names[0] as string, /^2026-01-05T14-00-00\.000Z-[0-9a-f]{16}\.plan$/);
    check.is(statSync(join(folder, names[0] as string)).mode & 0o777, 0o600);
    const size = readFileSync(join(folder, names[0] as string)).length;
    const inputs = kept.inputs.forecast.mean.byteLength * 5;
    // Room for what the inputs take unpacked, and not for three files.
    await archiveIn(folder, { countMax: 24, bytesMax: Math.max(inputs, Math.floor(2.5 * size)) }).keep(at(4));
    check.ok(readdirSync(folder).length <= 2.5);
    const before = readdirSync(folder);
    await archiveIn(folder, { countMax: 24, bytesMax: 1000 }).keep(at(5));
    check.equal(readdirSync(folder), before, 'one that is too large drives out none');
    await archiveIn(folder, { countMax: 0, bytesMax: 2 ** 24 }).keep(at(6));
    check.not(readdirSync(folder).some((name) => /T1[78]/.test(name)));
    check.equal(readdirSync(folder), [], 'none is none, those of before included');
  });
});

test('what was not written to its end does not stay', async () => {
  await withTemporaryFolder(async (folder) => {
    const kept = await planned();
    writeFileSync(join(folder, '2026-01-05T11-00-00.000Z-0.plan.new'), 'of a process that was stopped');
    await archiveIn(folder).keep(kept);
    const [path] = await keptPlans(folder);
    check.is(readdirSync(folder).length, 1);
    // A name that is taken by a folder cannot be written.
    const taken = { ...kept, atMs: AT_MS + 3_600_000 };
    mkdirSync((path as string).replace('T12', 'T13'));
    await archiveIn(folder).keep(taken);
    check.not(readdirSync(folder).some((name) => name.endsWith('.new')));
  });
});

test('plans of another cluster are not taken for those of this one', () => {
  const names = ['main-100.plans', 'main-agent.plans', 'main-2-100.plans', 'xmain-100.plans', 'main-100'];
  check.equal(plansFoldersAmong(names, 'main'), ['main-100.plans', 'main-agent.plans']);
  check.equal(plansFoldersAmong(names, 'main-2'), ['main-2-100.plans']);
});

test('the hash of the inputs tells plans of other limits for copies apart', async () => {
  const { inputs, settings: affinity, inputsHash: hash } = await planned();
  check.is(inputsHash(inputs, { affinity, copiesPerNodeMax: 2 }), hash);
  check.is.not(inputsHash(inputs, { affinity, copiesPerNodeMax: 3 }), hash);
});

test('one bit that has changed is a damaged file, not another plan', async () => {
  const bytes = await encodeKeptPlan(await planned());
  for (let i = 0; i < 200; i++) {
    const changed = Uint8Array.from(bytes);
    const at = 8 + Math.floor(((bytes.length - 8) * i) / 200);
    changed[at]! ^= 1 << (i % 8);
    const error = await decodeKeptPlan('a.plan', changed).then(
      () => ({ message: `taken with bit ${i % 8} of byte ${at} changed` }),
      (cause: Error) => cause,
    );
    check.is(error.message, 'a.plan is damaged');
  }
});

test('a folder that cannot be written to stops nothing', async () => {
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (_: object, text: string) => void warnings.push(text) };
  await new PlanArchive('/proc/foreshard', LIMITS, logger as typeof silentLogger).keep(await planned());
  check.equal(warnings, ['a plan is not kept for replays']);
});

test('what is no kept plan, or a damaged one, is refused with its name, and no plan at all says where plans come from', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'a.plan');
    writeFileSync(path, 'FSHPLAN2 and nothing that unfolds');
    for (const [bytes, why] of [
      [readFileSync(path), /a\.plan is damaged/],
      [Buffer.from('{}'), /a\.plan is no kept plan/],
    ] as const)
      await decodeKeptPlan('a.plan', bytes).then(
        () => check.unreachable(),
        (error: { code: string; message: string }) => {
          check.is(error.code, 'FORESHARD_CORRUPT');
          check.match(error.message, why);
        },
      );
    check.match((await runHere('replay', join(folder, 'none'))).stderr, /none cannot be read/);
    const config = join(folder, 'foreshard.config.json');
    writeFileSync(config, JSON.stringify({ analyzer: { stateDir: 'state' } }));
    check.match((await runHere('replay', '--config', config)).stderr, /no plan of cluster main is kept/);
    await archiveIn(plansFolder(join(folder, 'state'), 'main', '100')).keep(await planned());
    const newest = await runHere('replay', '--config', config);
    check.is(newest.exitCode, 0, newest.stderr);
    check.match(newest.stdout, /main-100\.plans\/2026-01-05T12-00/);
  });
});

test.run();
