/** When a process plans: what could not be planned is tried again soon. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { CycleTimer } from '../../../../plugin/host/analysis/cycle-timer.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import type { Logger } from '../../../../src/base/logger.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import type { CycleReport } from '../../../../src/controller.ts';
import type { MetadataCondition } from '../../../../src/ports/metadata-store.ts';

const test = suite('cycle timer');

const HOUR_MS = 3_600_000;
const REPORT: CycleReport = {
  atMs: 0,
  outcome: 'planned',
  forecast: null,
  proposal: null,
  admission: { admittedCount: 0, queuedCount: 0, scheduledCount: 0 },
  forecastMs: 0,
  planMs: 0,
};

const unavailable = new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the store elects a leader');

/** Stopped also where a claim has failed: one that runs on would keep the process. */
const started: CycleTimer[] = [];
test.after.each(async () => {
  for (const timer of started.splice(0)) await timer.stop();
});

/** A process whose cycles come to these, one after the other; the last one again and again. */
function processOf(cycles: readonly (() => CycleReport | null)[], intervalMs = HOUR_MS) {
  const state = {
    fence: { key: 'coordinator', createRevisionIs: 1 } as MetadataCondition | null,
    count: 0,
    isOverdue: async (): Promise<boolean> => false,
    /** Fields of warnings. */
    told: [] as object[],
    faults: [] as unknown[],
  };
  const logger: Logger = { ...silentLogger, warn: (fields) => void state.told.push(fields) };
  const timer = new CycleTimer(intervalMs, {
    logger,
    fence: () => state.fence,
    isOverdue: () => state.isOverdue(),
    runCycle: async () => {
      const cycle = cycles[Math.min(state.count, cycles.length - 1)] as () => CycleReport | null;
      state.count++;
      return cycle();
    },
    onFault: (error) => void state.faults.push(error),
  });
  started.push(timer);
  return { state, timer };
}

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(claim: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 30_000; !claim(); await rest(10))
    check.ok(performance.now() < deadline, 'within 30 s');
}

const planned = (): CycleReport => REPORT;

function failing(error: Error): () => never {
  return () => {
    throw error;
  };
}

test('a cycle that could not plan is tried again in seconds, and the log says why', async () => {
  const unseen = (): CycleReport => ({ ...REPORT, outcome: 'too-little-history', unseen: 'no node answers' });
  const { state, timer } = processOf([failing(unavailable), unseen, planned]);
  timer.planSoon();
  await until(() => state.count === 3);
  check.equal(state.told, [
    { fault: 'the store elects a leader', againMs: 2_000 },
    { fault: 'no node answers', againMs: 4_000 },
  ]);
  await timer.stop();
  check.equal(state.faults, []);
});

test('so is one of the interval, and never later than the next', async () => {
  const { state, timer } = processOf([failing(unavailable)], 40);
  await until(() => state.count >= 3);
  check.equal(state.told[0], { fault: 'the store elects a leader', againMs: 40 });
  await timer.stop();
});

test('what was asked for before this process leads is planned when it does', async () => {
  const { state, timer } = processOf([() => null, planned]);
  const { fence } = state;
  state.fence = null;
  timer.planSoon();
  await rest(300);
  check.is(state.count, 1);
  state.fence = fence;
  await until(() => state.count === 2);
  await timer.stop();
});

test('a plan of a term that ended meanwhile was not written down: the next term makes another', async () => {
  const { state, timer } = processOf(
    [
      () => {
        state.fence = { key: 'coordinator', createRevisionIs: 2 };
        return REPORT;
      },
      planned,
    ],
    2_500,
  );
  await until(() => state.count === 1);
  // Before the next one of the interval.
  await rest(2_000);
  await timer.stop();
  check.is(state.count, 2, 'once is enough');
});

test('a plan of the interval that failed is owed still when its second attempt finds no office', async () => {
  const { state, timer } = processOf([failing(unavailable), () => null, planned], 3_000);
  await until(() => state.told.length === 1);
  const { fence } = state;
  state.fence = null;
  await until(() => state.count === 2);
  state.fence = fence;
  // Before the next one of the interval.
  await rest(700);
  await timer.stop();
  check.is(state.count, 3);
});

test('what is asked for while a cycle runs is planned after it: it may have looked before', async () => {
  const begun: (() => void)[] = [];
  const timer = new CycleTimer(HOUR_MS, {
    logger: silentLogger,
    fence: () => null,
    isOverdue: async () => false,
    runCycle: () => new Promise((resolve) => void begun.push(() => resolve(REPORT))),
    onFault: () => check.unreachable(),
  });
  timer.planSoon();
  timer.planSoon();
  await rest(50);
  check.is(begun.length, 1, 'one at a time');
  begun[0]?.();
  await until(() => begun.length === 2);
  begun[1]?.();
  await timer.stop();
  check.is(begun.length, 2);
});

test('attempts grow rare, and are ten minutes apart at most', async () => {
  const waits: number[] = [];
  const { setTimeout: real } = globalThis;
  const { state, timer } = processOf([failing(unavailable)], 10 * HOUR_MS);
  // Time that goes by at once.
  globalThis.setTimeout = ((work: () => void, ms: number) => {
    waits.push(ms);
    return real(work, 0);
  }) as typeof setTimeout;
  try {
    timer.planSoon();
    while (state.count < 12) await new Promise((resolve) => setImmediate(resolve));
    await timer.stop();
  } finally {
    globalThis.setTimeout = real;
  }
  check.equal(
    waits.slice(0, 11).map((ms) => ms / 1_000),
    [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600],
  );
});

test('whoever is elected and finds the latest plan overdue plans at once, once a term', async () => {
  const { state, timer } = processOf([planned]);
  let looks = 0;
  state.isOverdue = async () => ++looks !== 2;
  const term = (createRevisionIs: number): MetadataCondition => ({ key: 'coordinator', createRevisionIs });
  state.fence = null;
  await rest(600);
  check.equal([looks, state.count], [0, 0], 'not while another leads');
  state.fence = term(2);
  await until(() => state.count === 1);
  state.fence = term(3);
  await until(() => looks === 2);
  await rest(600);
  check.equal([looks, state.count], [2, 1], 'the latest is not overdue any more');
  state.isOverdue = async () => {
    looks++;
    throw unavailable;
  };
  state.fence = term(4);
  await until(() => looks === 3);
  await rest(300);
  check.equal(state.told, [{ fault: 'the store elects a leader' }]);
  await timer.stop();
  state.fence = term(5);
  await rest(300);
  check.equal([looks, state.count, state.faults.length], [3, 1, 0]);
});

test('a bug of ours is told, and not tried again', async () => {
  const bug = new TypeError('it is not a function');
  const { state, timer } = processOf([failing(bug)]);
  timer.planSoon();
  await until(() => state.faults.length > 0);
  check.equal([state.faults, state.told], [[bug], []]);
  await timer.stop();
});

test('nothing begins once it is stopped', async () => {
  const { state, timer } = processOf([failing(unavailable)], 100);
  timer.planSoon();
  await until(() => state.told.length === 1);
  await timer.stop();
  timer.planSoon();
  await rest(250);
  check.is(state.count, 1);
});

test.run();
