import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  dayFollowingMember,
  weeksFollowingMember,
  weeksLevelMember,
} from '../../../../src/analyzer/members/following.ts';
import type { Member, MemberComponents } from '../../../../src/analyzer/members/member.ts';
import { FORECAST_DEFAULTS } from '../../../../src/analyzer/settings.ts';
import { memberComponents, predictAll } from '../../../support/member-history.ts';

const test = suite('analyzer/members/following');
const HORIZON = 48;
const WINDOWS = 504;
type NewMember = (components: MemberComponents, settings: typeof FORECAST_DEFAULTS) => Member;

/** Every hour of the day its own log load, the same every day. */
const usualLog = (window: number): number => 3 + (window % 24) / 10;

/** What a member says of a load that has been `distance` log units above the usual for the last so many windows. */
async function forecast(
  newMember: NewMember,
  { windows, distance }: { readonly windows: number; readonly distance: number },
): Promise<number[]> {
  const components = memberComponents({
    partitionCount: 1,
    windowCount: WINDOWS,
    horizon: HORIZON,
    load: (_, w) => Math.expm1(Math.max(0, usualLog(w) + (w >= WINDOWS - windows ? distance : 0))),
  });
  return (await predictAll(newMember(components, FORECAST_DEFAULTS), components))[0]!;
}

const distances = (row: readonly number[]): number[] =>
  row.map((value, step) => value - usualLog(WINDOWS + step));

for (const [name, newMember] of [
  ['day-following', dayFollowingMember],
  ['weeks-following', weeksFollowingMember],
  ['weeks-level', weeksLevelMember],
] as const)
  test(`${name}: a load as usual is forecast as the usual`, async () => {
    for (const distance of distances(await forecast(newMember, { windows: 0, distance: 0 })))
      assert.ok(Math.abs(distance) < 1e-9, `${distance}`);
  });

for (const [name, newMember] of [
  ['day-following', dayFollowingMember],
  ['weeks-following', weeksFollowingMember],
] as const)
  test(`${name}: what the last two hours are above the usual is half gone after twelve more`, async () => {
    const above = distances(await forecast(newMember, { windows: 2, distance: 0.4 }));
    // The mean of days is trimmed: the two odd hours are not in it, nor in that of weeks.
    for (const [step, share] of [
      [0, 0.5 ** (1 / 12)],
      [11, 1 / 2],
      [23 - 2, 0.5 ** (22 / 12)],
    ] as const)
      assert.ok(Math.abs(above[step]! - 0.4 * share) < 1e-9, `step ${step}: ${above[step]}`);
  });

test('weeks-level: two odd hours move it by a twelfth, a whole day by all of it', async () => {
  const [hours, day] = await Promise.all(
    [2, 24].map((windows) => forecast(weeksLevelMember, { windows, distance: 0.4 })),
  );
  const first = 0.5 ** (1 / 72);
  assert.ok(Math.abs(distances(hours!)[0]! - (0.4 / 12) * first) < 1e-9, `${distances(hours!)[0]}`);
  assert.ok(Math.abs(distances(day!)[0]! - 0.4 * first) < 1e-9, `${distances(day!)[0]}`);
});

test('a load that has gone is followed down to nothing, never below', async () => {
  for (const newMember of [dayFollowingMember, weeksFollowingMember, weeksLevelMember]) {
    const row = await forecast(newMember, { windows: 24, distance: -9 });
    assert.ok(
      row.every((value) => value >= 0),
      `${row}`,
    );
    assert.is(row[0], 0);
  }
});

test.run();
