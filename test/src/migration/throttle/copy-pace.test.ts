/** The control law against a plant: a node that clients and a copy share, and whose event loop is late once both are too much. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  firstPace,
  nextPace,
  type Pace,
  type PaceLimits,
} from '../../../../src/migration/throttle/copy-pace.ts';

const test = suite('copy pace');
const GROWTH_WINDOWS = 32;

interface Plant {
  /** Units a second that the copy can use in window `i` before clients feel it. */
  readonly room: (i: number) => number;
  /** What the target can apply at most. */
  readonly reach: number;
}

/** What hurts shows in the window after; a copy uses what it may and can. */
function run(limits: PaceLimits, { room, reach }: Plant, windows: number): Pace[] {
  const paces: Pace[] = [firstPace(limits)];
  let used = 0;
  for (let i = 0; i < windows; i++) {
    const distress = used > room(i) ? 'too much' : null;
    const pace = nextPace(paces.at(-1) as Pace, { used, distress }, limits);
    paces.push(pace);
    used = Math.min(pace.rate, reach);
  }
  return paces;
}

const LIMITS = { ceiling: 1_000, floor: 10 };
const rates = (paces: readonly Pace[]): number[] => paces.map((pace) => pace.rate);

test('begins slowly, and reaches its limit where nothing hurts', () => {
  const paces = run(LIMITS, { room: () => 1e9, reach: 1e9 }, 8);
  check.equal(rates(paces).slice(0, 6), [31.25, 62.5, 125, 250, 500, 1_000]);
  check.is(paces.at(-1)?.reason, 'at its limit');
});

test('property: it settles around what there is room for, and swings within half of it and two steps', () => {
  fc.assert(
    fc.property(fc.integer({ min: 30, max: 900 }), fc.integer({ min: 30, max: 4_000 }), (room, reach) => {
      const settled = rates(run(LIMITS, { room: () => room, reach }, 400)).slice(100);
      const usable = Math.min(room, reach);
      const step = LIMITS.ceiling / GROWTH_WINDOWS;
      if (reach <= room)
        return settled.every((rate) => Math.min(rate, reach) >= reach * 0.99 || rate === 1_000);
      const [low, high] = [Math.min(...settled), Math.max(...settled)];
      const mean = settled.reduce((sum, rate) => sum + rate, 0) / settled.length;
      return low >= usable / 2 - 1e-9 && high <= usable + 2 * step && mean >= 0.6 * usable;
    }),
  );
});

test('property: whatever hurts and however often, it stays between floor and ceiling', () => {
  const window = fc.record({ used: fc.double({ min: 0, max: 5_000, noNaN: true }), hurts: fc.boolean() });
  fc.assert(
    fc.property(fc.array(window, { maxLength: 200 }), (windows) => {
      let pace = firstPace(LIMITS);
      for (const { used, hurts } of windows) {
        pace = nextPace(pace, { used, distress: hurts ? 'late' : null }, LIMITS);
        if (pace.rate < LIMITS.floor || pace.rate > LIMITS.ceiling) return false;
      }
      return true;
    }),
  );
});

test('property: after a load has ended it is at its limit again within the windows of its growth', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), (busyWindows) => {
      const room = (i: number): number => (i < busyWindows ? 0 : 1e9);
      const paces = run(LIMITS, { room, reach: 1e9 }, busyWindows + GROWTH_WINDOWS + 1);
      return paces.at(-1)?.rate === LIMITS.ceiling;
    }),
  );
});

test('one distress is answered once: the window of the cut still shows what was before it', () => {
  const first = { ...firstPace(LIMITS), rate: 800 };
  const cut = nextPace(first, { used: 800, distress: 'late' }, LIMITS);
  check.is(cut.rate, 400);
  check.is(nextPace(cut, { used: 700, distress: 'late' }, LIMITS).rate, 400);
  const next = nextPace(
    nextPace(cut, { used: 400, distress: 'late' }, LIMITS),
    { used: 400, distress: 'late' },
    LIMITS,
  );
  check.is(next.rate, 200);
});

test('where the limit is out of reach it is what was used that is halved', () => {
  const limits = { ceiling: 2 ** 50, floor: 10 };
  const cut = nextPace(firstPace(limits), { used: 600, distress: 'late' }, limits);
  check.is(cut.rate, 300);
  check.is(cut.reason, 'halved: late');
});

test('at the floor it says so', () => {
  const low = nextPace({ ...firstPace(LIMITS), rate: 15 }, { used: 15, distress: 'p99 of writes' }, LIMITS);
  check.is(low.rate, 10);
  check.is(low.reason, 'at its floor: p99 of writes');
});

test.run();
