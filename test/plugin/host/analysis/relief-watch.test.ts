/** Relief between cycles by a virtual clock. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { reliefLookMs } from '../../../../plugin/host/analysis/relief-watch.ts';
import { readPastProposals } from '../../../../plugin/host/records/past-proposals.ts';
import { pastProposalsPrefix, reliefKey } from '../../../../plugin/host/records/record-keys.ts';
import { encodeRelief } from '../../../../plugin/host/records/relief-record.ts';
import { readAudit } from '../../../../plugin/operator/migration/audit-command.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../src/settings.ts';
import { forecastOf, inputsOf } from '../../../support/placement.ts';
import {
  AFTER_MS,
  HOME,
  HOUR_MS,
  LOOK_MS,
  NAME,
  QUIET,
  SHOCK_MS,
  START_MS,
  settingsOf,
  shock,
  World,
} from '../../../support/relief-world.ts';

const test = suite('host/relief between cycles');

test('auto: relief comes within reliefAfterMs and a look of the shock, and once', async () => {
  for (const shiftMs of [0, 1_000, 14_000, 29_000]) {
    const world = new World('auto');
    world.load = (ms) => shock(ms - shiftMs);
    await world.until(START_MS + 2 * HOUR_MS, world.newWatch());
    check.is(world.admitted.length, 1, `shift ${shiftMs}`);
    const [{ moves, isAddition, atMs }] = world.admitted as [(typeof world.admitted)[number]];
    const tookMs = atMs - START_MS - SHOCK_MS - shiftMs;
    check.ok(tookMs <= AFTER_MS + LOOK_MS, `after ${tookMs} ms`);
    check.is(isAddition, true, 'the plan stays in the queue');
    check.ok(moves.length > 0 && moves.every((move) => move.sourceNodeId === 0 && move.targetNodeId !== 0));
    check.match(
      moves[0]?.reason ?? '',
      /^relief: node 0 was at (8[5-9]|90)\.\d % of its queries for 2 min, above 80\.0 %/,
    );
    const [audit] = await readAudit(world.metadata, NAME);
    check.is(`${audit?.action} ${audit?.by} ${audit?.outcome}`, 'relief query-1 done');
    check.match(audit?.message ?? '', /^to be moved at once: partition \d+: node 0 -> [12]/);
  }
});

test('a spike shorter than that is left alone', async () => {
  const world = new World('auto');
  world.load = (ms) => (ms < SHOCK_MS + AFTER_MS - LOOK_MS ? shock(ms) : QUIET);
  await world.until(START_MS + HOUR_MS, world.newWatch());
  check.equal([world.admitted.length, await world.last()], [0, null]);
});

test('observe does nothing, propose proposes and no more', async () => {
  const observed = new World('observe');
  observed.load = shock;
  await observed.until(START_MS + HOUR_MS, observed.newWatch());
  check.is(observed.plain.entries.size, 0);
  const world = new World('propose');
  world.load = shock;
  await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  check.is(world.admitted.length, 0);
  const { moves, relief, evidence, expiresAtMs, atMs } = await world.proposed();
  check.ok(moves.length > 0);
  check.is(evidence, null);
  check.is(expiresAtMs - atMs, world.settings.controller.cycleIntervalMs);
  check.match(relief?.reason ?? '', /^node 0 was at 90\.0 %/);
  const past = await readPastProposals(world.metadata, pastProposalsPrefix(NAME));
  check.equal(
    past.map(({ moveCount }) => moveCount),
    [moves.length],
  );
});

test('off, and where somebody else leads, nothing is watched', async () => {
  const world = new World('auto');
  world.load = shock;
  world.isElected = false;
  await world.until(START_MS + HOUR_MS, world.newWatch());
  check.is(world.admitted.length, 0);
  const off = new World('auto');
  off.settings = {
    ...off.settings,
    controller: { ...off.settings.controller, reliefAfterMs: 0 },
  };
  off.load = shock;
  await off.until(START_MS + HOUR_MS, off.newWatch());
  check.is(off.admitted.length, 0);
});

test('a coordinator that follows one that has died in the middle of it does not do it again', async () => {
  const world = new World('auto');
  world.load = shock;
  await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  check.is(world.admitted.length, 1);
  // Its moves never end, and the load stays: the successor sees the stress that it saw.
  for (const [p, open] of world.open) world.open.set(p, { ...open, endMs: Number.POSITIVE_INFINITY });
  const first = await world.last();
  const successor = world.newWatch();
  const { reliefIntervalMs } = world.settings.controller;
  await world.until((first?.atMs ?? 0) + reliefIntervalMs - LOOK_MS, successor);
  check.equal(await world.last(), first, 'not within the interval');
  await world.until((first?.atMs ?? 0) + reliefIntervalMs + LOOK_MS, successor);
  check.is(world.admitted.length, 1);
  check.is((await world.last())?.refusal, 'on-its-way', 'moves that are open count as done');
});

test('a planned move that helps within the same time is relief enough; a later one is not, and stays planned', async () => {
  const soon = new World('auto');
  soon.plan(0, 1, START_MS + SHOCK_MS + AFTER_MS + 60_000);
  soon.load = shock;
  await soon.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, soon.newWatch());
  check.equal([soon.admitted.length, (await soon.last())?.refusal], [0, 'on-its-way']);

  const later = new World('auto');
  later.plan(3, 2, START_MS + 50 * 60_000);
  later.load = shock;
  await later.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, later.newWatch());
  check.is(later.admitted.length, 1);
  const { moves, atMs, expiresAtMs, costBefore } = await later.proposed();
  check.equal(
    moves.map(({ reason }) => reason.slice(0, 7)),
    ['relief:', 'planned'],
  );
  check.equal([atMs, expiresAtMs, costBefore], [START_MS, START_MS + HOUR_MS, 2], 'it is the plan of before');

  // One that would help, too late.
  const late = new World('auto');
  late.plan(0, 1, START_MS + 50 * 60_000);
  late.load = shock;
  await late.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, late.newWatch());
  check.is(late.admitted.length, 1);

  // In the queue of a coordinator that is gone it helps nobody.
  const gone = new World('auto');
  gone.plan(0, 1, START_MS + SHOCK_MS + AFTER_MS + 60_000);
  gone.plannedIn = { key: 'leader', revisionIs: 7 };
  gone.load = shock;
  await gone.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, gone.newWatch());
  check.is(gone.admitted.length, 1);
  const left = (await gone.proposed()).moves.filter(({ partitionId }) => partitionId === 0);
  check.ok(left.length <= 1, 'a partition moves once');
});

test('a planned move is no help where the plan is past, or its partition has to stay', async () => {
  const past = new World('auto');
  past.plan(0, 1, START_MS + 60_000);
  past.load = (ms) => shock(ms - HOUR_MS);
  await past.until(START_MS + HOUR_MS + SHOCK_MS + AFTER_MS + LOOK_MS, past.newWatch());
  check.is(past.admitted.length, 1);
  const resting = new World('auto');
  resting.plan(0, 1, START_MS + 60_000);
  resting.resting.add(0);
  resting.load = shock;
  await resting.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, resting.newWatch());
  check.is(resting.admitted.length, 1);
  check.ok(resting.admitted[0]?.moves.every(({ partitionId }) => partitionId !== 0));
});

test('one that is stamped later than now keeps nobody from relief', async () => {
  const world = new World('auto');
  const nothing = { lasting: [], moves: [], evidence: [], refusal: null };
  world.plain.put(reliefKey(NAME), encodeRelief({ ...nothing, atMs: START_MS + 10 * HOUR_MS }, 'auto'));
  world.load = shock;
  await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  check.is(world.admitted.length, 1);
});

test('whoever has lost the office writes nothing of relief', async () => {
  const world = new World('auto');
  world.load = shock;
  world.plain.put('leader', new Uint8Array(1));
  await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  check.equal([...world.plain.entries.keys()], ['leader']);
});

test('relief whose turn comes after a reload keeps to the settings that hold then', async () => {
  const of = async (settings: Settings) => {
    const world = new World('auto');
    world.load = shock;
    world.onTurn = () => {
      world.settings = settings;
    };
    await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
    return [world.admitted.length, (await world.last())?.mode];
  };
  const auto = settingsOf('auto');
  check.equal(await of(settingsOf('observe')), [0, undefined]);
  check.equal(await of({ ...auto, controller: { ...auto.controller, reliefAfterMs: 0 } }), [0, undefined]);
  check.equal(await of(settingsOf('propose')), [0, 'propose']);
  check.equal(await of(auto), [1, 'auto']);
});

test('a planned move that was given up since is no help; one before the plan, or to elsewhere, says nothing of it', async () => {
  const move = { partitionId: 0, source: 0, target: 1 };
  for (const [ended, endedAtMs, admitted] of [
    [move, START_MS + 70_000, 1],
    [move, START_MS - 70_000, 0],
    [{ ...move, target: 2 }, START_MS + 70_000, 0],
    [{ ...move, partitionId: 1 }, START_MS + 70_000, 0],
  ] as const) {
    const world = new World('auto');
    world.plan(0, 1, START_MS + 60_000);
    world.noteEnd('aborted', ended, endedAtMs);
    world.load = shock;
    await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
    const refusal = admitted === 1 ? null : 'on-its-way';
    check.equal([world.admitted.length, (await world.last())?.refusal], [admitted, refusal], `${endedAtMs}`);
  }
});

test('moves of relief that were given up are tried again after the interval, each time; those that wait are not', async () => {
  // Some engines tell of the same refusal once.
  for (const given of ['up', 'up, told once', 'no place']) {
    const world = new World('auto');
    world.plan(3, 2, START_MS + 55 * 60_000);
    world.load = shock;
    const watch = world.newWatch();
    for (let minute = 1; minute <= 40; minute++) {
      await world.until(START_MS + minute * 60_000, watch);
      if (given === 'up' || (given !== 'no place' && minute < 20)) world.giveUp();
      else world.open.clear();
    }
    const times = world.admitted.map(({ atMs }) => Math.round((atMs - START_MS) / 60_000));
    check.equal(times, given === 'no place' ? [12] : [12, 22, 32], given);
  }
});

test('a node that does not tell its load is no target, however idle it was; a node that owns nothing is one', async () => {
  const moved = async (told: readonly number[], load: readonly number[], empty: number | null = null) => {
    const world = new World('auto');
    for (const [p, own] of HOME.entries()) if (own === empty) world.ownerOf[p] = 0;
    world.load = (ms) => (ms >= SHOCK_MS ? load : QUIET.map((own) => own / 2));
    world.told = (ms) => (ms >= SHOCK_MS ? told : [0, 1, 2]);
    await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
    const targets = world.admitted.flatMap(({ moves }) => moves.map((move) => move.targetNodeId as number));
    return { targets: [...new Set(targets)].sort(), refusal: (await world.last())?.refusal };
  };
  // Node 0 is at 90 %, node 1 at 95 % and silent, node 2 at 15 %.
  const load = [60, 15, 15, 95, 15];
  check.equal(await moved([0, 2], load), { targets: [2], refusal: null });
  check.equal(await moved([0], load), { targets: [], refusal: 'silent-nodes' });
  check.equal(await moved([0, 1, 2], [60, 15, 15, 95, 70]), { targets: [], refusal: 'no-move' });
  // Nobody asks it for anything: it has nothing to tell.
  check.equal((await moved([0, 1], [60, 15, 15, 95, 0], 2)).targets, [2]);
});

test('nothing is moved outside the windows, and it is said', async () => {
  // The world begins on a Wednesday.
  const world = new World('auto', ['sun 00:00-01:00']);
  world.load = shock;
  await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  check.equal([world.admitted.length, (await world.last())?.refusal], [0, 'outside-windows']);
  check.equal(await readAudit(world.metadata, NAME), [], 'nothing was done');
  // By the time that it is, not by the end of the window that is open.
  const inside = new World('auto', ['wed 16:00-16:30']);
  inside.load = shock;
  await inside.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, inside.newWatch());
  check.is(inside.admitted.length, 1);
});

test('the next cycle does not take it back, though the load is over', async () => {
  const world = new World('auto');
  world.load = shock;
  await world.until(START_MS + HOUR_MS, world.newWatch());
  const moved = world.admitted.flatMap(({ moves }) => moves.map(({ partitionId }) => partitionId as number));
  check.ok(moved.length > 0 && moved.every((p) => world.ownerOf[p] !== 0));
  // Whatever is left on the target is hot now, and its old node idle: by load alone it would go home.
  const target = world.ownerOf[moved[0] as number];
  const forecast = forecastOf({
    horizonSteps: 24,
    partitionCount: HOME.length,
    loadOf: (_, p) => 3600 * (world.ownerOf[p] === target ? 44 : world.ownerOf[p] === 0 ? 1 : 40),
  });
  const { nodes } = world.state();
  const plan = async (memory: Awaited<ReturnType<World['memory']>>) => {
    const { moves } = await world.manager.propose(
      inputsOf({ ownerOf: world.ownerOf, nodes, forecast, changes: { memory } }),
    );
    return moves.filter((move) => moved.includes(move.partitionId) && move.targetNodeId === 0).length;
  };
  check.ok((await plan({ lastMoves: [], recentMoves: [] })) > 0, 'it would pay');
  check.is(await plan(await world.memory()), 0);
});

test('looks are as many as relief in time takes, and not more than one a second', () => {
  const of = (reliefAfterMs: number) =>
    reliefLookMs({ ...DEFAULT_SETTINGS.controller, reliefAfterMs }, 30_000);
  check.equal([0, 1_000, 60_000, 120_000, 3_600_000].map(of), [30_000, 1_000, 15_000, 30_000, 30_000]);
});

test.run();
