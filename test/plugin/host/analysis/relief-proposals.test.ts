/** What relief between cycles makes of the proposal that people approve. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { changedAtMs, withReliefMoves } from '../../../../plugin/host/records/proposal-record.ts';
import { readDecisions } from '../../../../plugin/metadata/decisions.ts';
import { approve } from '../../../../plugin/operator/approval/approve.ts';
import { NO_RELIEF, reliefAlone } from '../../../../src/affinity/relief/plan-relief.ts';
import {
  AFTER_MS,
  HOUR_MS,
  LOOK_MS,
  NAME,
  SHOCK_MS,
  START_MS,
  shock,
  World,
} from '../../../support/relief-world.ts';

const test = suite('host/relief in proposals');

/** As `foreshard apply` does after somebody has been shown a proposal and said yes. */
async function approving(world: World, shown: { readonly atMs: number; readonly ids?: readonly number[] }) {
  const order = {
    ...{ partitionIds: shown.ids ?? null, isNow: true, fromMs: null, untilMs: null, reason: 'seen' },
    proposalAtMs: shown.atMs,
  };
  const nowMs = world.clock.nowMs();
  const refusal = await approve(world.metadata, NAME, order, nowMs).then(
    () => null,
    (error: Error) => error.message,
  );
  const { approvals } = await readDecisions(world.metadata, NAME, nowMs);
  return { refusal, approved: approvals.map((own) => `${own.partitionId}>${own.targetNodeId}`) };
}

test('propose: nobody approves moves of relief that came after he was shown the plan', async () => {
  // Another partition's, one that relief moves as well, and one that it sends elsewhere.
  for (const [planned, target] of [
    [3, 2],
    [1, 1],
    [1, 2],
  ] as const) {
    const world = new World('propose');
    world.plan(planned, target, START_MS + 50 * 60_000);
    world.load = shock;
    const watch = world.newWatch();
    await world.until(START_MS + SHOCK_MS, watch);
    const shown = await world.proposed();
    await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, watch);
    for (const ids of [undefined, [planned]]) {
      const { refusal, approved } = await approving(world, {
        atMs: changedAtMs(shown),
        ...(ids && { ids }),
      });
      check.match(refusal ?? '', /^another proposal came meanwhile/);
      check.equal(approved, []);
    }
    const seen = await world.proposed();
    check.is(seen.atMs, shown.atMs, 'its plan is the one that is kept under this name');
    const { refusal, approved } = await approving(world, { atMs: changedAtMs(seen) });
    check.is(refusal, null);
    check.equal(approved.sort(), seen.moves.map((own) => `${own.partitionId}>${own.targetNodeId}`).sort());
  }
});

test('each change of a proposal is another moment, by a clock that goes back as well', async () => {
  const world = new World('propose');
  world.plan(3, 2, START_MS + 50 * 60_000);
  const first = await world.proposed();
  const alone = reliefAlone(world.state(), NO_RELIEF);
  const changed = (record: typeof first, atMs: number) =>
    withReliefMoves(record, alone, { atMs, reason: '', evidence: [], expiresAtMs: 0 });
  const second = changed(first, START_MS + 60_000);
  const third = changed(second, START_MS - 60_000);
  const moments = [first, second, third].map(changedAtMs);
  check.equal(moments, [START_MS, START_MS + 60_000, START_MS + 60_001]);
});

test('propose: relief can be approved when the last plan is past, without it, and when it is about to be', async () => {
  const past = new World('propose');
  past.plan(3, 2, START_MS + 50 * 60_000);
  past.load = (ms) => shock(ms - 2 * HOUR_MS);
  await past.until(START_MS + 2 * HOUR_MS + SHOCK_MS + AFTER_MS + LOOK_MS, past.newWatch());
  const alone = await past.proposed();
  check.ok(alone.moves.length > 0 && alone.moves.every(({ reason }) => reason.startsWith('relief:')));
  check.is(alone.atMs, (await past.last())?.atMs, 'it is no plan of two hours ago');
  check.is((await approving(past, { atMs: changedAtMs(alone) })).refusal, null);

  const ending = new World('propose');
  ending.plan(3, 2, START_MS + 50 * 60_000);
  ending.load = (ms) => shock(ms - HOUR_MS + SHOCK_MS + AFTER_MS);
  await ending.until(START_MS + HOUR_MS, ending.newWatch());
  const { moves, expiresAtMs, relief } = await ending.proposed();
  check.is(moves.length, 2, 'the plan holds still');
  check.is(expiresAtMs - (relief?.atMs ?? 0), ending.settings.controller.reliefIntervalMs);
  await ending.until(START_MS + HOUR_MS + 60_000, ending.newWatch());
  check.is((await approving(ending, { atMs: changedAtMs(await ending.proposed()) })).refusal, null);
});

test('auto: relief after a plan that is past leaves it past', async () => {
  const world = new World('auto');
  world.plan(3, 2, START_MS + 50 * 60_000);
  world.load = (ms) => shock(ms - 2 * HOUR_MS);
  await world.until(START_MS + 2 * HOUR_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  const { moves, expiresAtMs } = await world.proposed();
  check.equal([moves.at(-1)?.reason, expiresAtMs], ['planned', START_MS + HOUR_MS]);
});

test.run();
