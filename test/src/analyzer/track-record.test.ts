import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { History } from '../../../src/analyzer/history.ts';
import { TrackRecord } from '../../../src/analyzer/track-record.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { profileOf } from '../../support/synthetic-load.ts';

const test = suite('analyzer/track-record');
const MEMBERS = ['naive-week', 'level'];
const STEPS = [2, 3, 4];
const SILENCE = { first: 10, end: 15 };

/** How often each of two partitions was judged by a forecast of `origin`, when a silence of the second is found out at window 15. */
function judgedCounts(origin: number): number[] {
  const partitionCount = 2;
  const { arena } = loadKernels();
  const shape = { partitionCount, windowMs: 3_600_000, startMs: 0, driver: 'queries' as const };
  const history = new History({ ...shape, windowsMax: 1000, weekWindows: 168, dayWindows: 24 }, arena);
  const record = new TrackRecord(partitionCount, { memberNames: MEMBERS, levels: [0.8], dayWindows: 24 });
  const load = (): number => 100;
  const profile = profileOf({ partitionCount, firstWindow: 0, windowCount: 24, load });
  const range = { first: 0, count: partitionCount };
  for (let window = 0; window < profile.windowCount; window++) {
    history.append(profile, window);
    record.judge(history);
    if (window === SILENCE.end) record.forgetSilence(1, SILENCE, history.dropped);
    if (history.length !== origin) continue;
    const combined = new Float32Array(partitionCount * STEPS.length).fill(Math.log1p(50));
    const members = new Float32Array(MEMBERS.length * combined.length).fill(Math.log1p(50));
    const isAvailable = MEMBERS.map(() => true);
    const steps = Int32Array.from(STEPS, (step) => step + SILENCE.end);
    record.issue({
      origin,
      range,
      steps,
      isAvailable,
      members,
      combined,
      basis: record.intervals.basis(range),
    });
  }
  for (let window = 24; window < 48; window++) {
    history.append(profileOf({ partitionCount, firstWindow: window, windowCount: 1, load }), 0);
    record.judge(history);
  }
  history.close();
  const { intervals, losses, skill, means } = record.save();
  for (const numbers of [losses, skill, means, { own: intervals.ownSums, bands: intervals.bandSums }])
    for (const [name, values] of Object.entries(numbers))
      assert.not((values as Float64Array).includes(Number.NaN), name);
  return Array.from(intervals.ownCounts, (count) => Math.round(count));
}

test('what was forecast of a partition within its silence is not judged; before and after it, and of others, it is', () => {
  const all = STEPS.length;
  for (const [origin, own] of [
    [SILENCE.first, all],
    [SILENCE.first + 1, 0],
    [SILENCE.end, 0],
    [SILENCE.end + 1, all],
  ] as const)
    assert.equal(judgedCounts(origin), [all, own], `forecast at ${origin}`);
});

test('a shift of level widens the bounds of its partition from now on, and of no other', () => {
  const record = new TrackRecord(2, { memberNames: MEMBERS, levels: [0.8], dayWindows: 24 });
  record.rescale({ partition: 1, window: 10, factor: 2 }, 20);
  const { corrections } = record.intervals.basis({ first: 0, count: 2 });
  const [lower, upper] = [corrections.subarray(0, 2), corrections.subarray(2, 4)];
  assert.ok(lower[1]! > 1 && upper[1]! > 1, `${lower} and ${upper}`);
  assert.ok(lower[0] === 1 && upper[0] === 1, `${lower} and ${upper}`);
});

test.run();
