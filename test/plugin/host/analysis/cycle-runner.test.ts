/** What is told of cycles that fail. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { CycleRunner, type CycleRunnerComponents } from '../../../../plugin/host/analysis/cycle-runner.ts';
import { encodeProposal } from '../../../../plugin/host/records/proposal-record.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import type { Proposal } from '../../../../src/model/proposal.ts';
import { DEFAULT_SETTINGS } from '../../../../src/settings.ts';

const test = suite('cycle runner');

test('people are told once of a failure that is tried again, and of each other one', async () => {
  const reasons = ['the store is away', 'the store is away', 'no quorum', 'the store is away'];
  const told: unknown[] = [];
  let failureCount = 0;
  const runner = new CycleRunner(DEFAULT_SETTINGS, {
    clock: new VirtualClock(0),
    logger: silentLogger,
    coordinator: { fence: { key: 'coordinator', createRevisionIs: 1 } },
    book: { noteFailure: () => failureCount++ },
    webhooks: { send: (type: string, body: object) => void told.push({ type, ...body }) },
    loadProfile: async () => {
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', reasons[failureCount] as string);
    },
  } as unknown as CycleRunnerComponents);
  for (const _ of reasons)
    await runner.runCycle().then(
      () => check.unreachable('it cannot plan'),
      () => undefined,
    );
  await runner.settled();
  check.is(failureCount, reasons.length, 'metrics count all of them');
  check.equal(
    told,
    ['the store is away', 'no quorum', 'the store is away'].map((reason) => ({
      type: 'cycle.failed',
      reason,
    })),
  );
});

test('a plan is overdue when the latest is older than an interval, whoever made it', async () => {
  const intervalMs = DEFAULT_SETTINGS.controller.cycleIntervalMs;
  const clock = new VirtualClock(0);
  let latest: { readonly value: Uint8Array } | undefined;
  const runner = new CycleRunner(DEFAULT_SETTINGS, {
    ...{ clock, proposalKey: 'latest', logger: silentLogger },
    metadata: { get: async (key: string) => (key === 'latest' ? latest : undefined) },
  } as unknown as CycleRunnerComponents);
  check.not(await runner.isOverdue(), 'of none nobody knows');
  const proposal = { seed: 1n, moves: [], leftOut: [], growth: [] } as unknown as Proposal;
  const context = { atMs: 1_000, expiresAtMs: 2_000, wayBackMs: 1, inputsHash: 'i', kernelHash: 'k' };
  latest = { value: encodeProposal(proposal, { ...context, ignoredForecasts: [], evidence: null }) };
  clock.advanceTo(1_000 + intervalMs);
  check.not(await runner.isOverdue());
  clock.advanceTo(1_001 + intervalMs);
  check.ok(await runner.isOverdue());
});

test.run();
