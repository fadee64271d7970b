import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  type GuardMemory,
  judgeReads,
  NEW_GUARD_MEMORY,
  type ReadSample,
  type ReadVerdict,
} from '../../../../src/migration/reads/read-guard.ts';
import { DEFAULT_READ_GUARD } from '../../../../src/migration/reads/read-guard-settings.ts';
import {
  LATENCY_BUCKET_COUNT,
  latencyBucket,
  latencyQuantileMs,
} from '../../../../src/migration/reads/read-latency.ts';

const test = suite('read guard');

const SETTINGS = {
  ...DEFAULT_READ_GUARD,
  readsMin: 100,
  badWindowsMin: 2,
  latencyMsMin: 5,
  latencyRatioMax: 3,
};

/** `count` reads that took `latencyMs` each. */
function latencies(count: number, latencyMs: number): number[] {
  const counts = new Array<number>(LATENCY_BUCKET_COUNT).fill(0);
  counts[latencyBucket(latencyMs)] = count;
  return counts;
}

function sampleOf(options: {
  reads?: number;
  errors?: number;
  behind?: number;
  targetMs?: number;
  sourceMs?: number;
  sourceReads?: number;
  lag?: number;
  load?: ReadSample['load'];
  sourceLoad?: ReadSample['load'];
  unequal?: number;
}): ReadSample {
  const { reads = 0, errors = 0, behind = 0, sourceReads = reads } = options;
  return {
    source: {
      readCount: sourceReads,
      errorCount: 0,
      latencyCounts: latencies(sourceReads, options.sourceMs ?? 1),
    },
    target: {
      readCount: reads,
      errorCount: errors,
      behindCount: behind,
      latencyCounts: latencies(reads - errors - behind, options.targetMs ?? 1),
    },
    shadow: { comparedCount: 10, unequalCount: options.unequal ?? 0, evidence: 'GET key' },
    lagEntries: options.lag ?? 0,
    load: options.load ?? null,
    sourceLoad: options.sourceLoad ?? null,
  };
}

/** The verdicts on one window after the other. */
function verdictsOn(...samples: readonly ReadSample[]): ReadVerdict[] {
  let memory: GuardMemory = NEW_GUARD_MEMORY;
  return samples.map((sample) => {
    const judged = judgeReads(memory, sample, SETTINGS);
    memory = judged.memory;
    return judged.verdict;
  });
}
const colours = (...samples: readonly ReadSample[]): string[] =>
  verdictsOn(...samples).map(({ kind }) => kind);

test('a bucket holds what is near its edge, and quantiles read the edges', () => {
  for (const latencyMs of [0.02, 0.3, 1, 7.5, 120, 800]) {
    const edgeMs = latencyQuantileMs(latencies(10, latencyMs), 0.99);
    check.ok(edgeMs >= latencyMs && edgeMs <= latencyMs * 1.2, `${latencyMs} in ${edgeMs}`);
  }
  check.is(latencyBucket(1e6), LATENCY_BUCKET_COUNT - 1);
  const mixed = latencies(99, 1).map((count, i) => count + (latencies(1, 50)[i] as number));
  check.ok(latencyQuantileMs(mixed, 0.99) < 2);
  check.ok(latencyQuantileMs(mixed, 0.995) > 49);
  check.ok(Number.isNaN(latencyQuantileMs([], 0.99)));
});

test('failed reads are red at once, with few reads too', () => {
  check.equal(colours(sampleOf({ reads: 5, errors: 5 })), ['red']);
  check.equal(colours(sampleOf({ reads: 4, errors: 4 })), ['green'], 'four reads are no evidence');
  check.equal(colours(sampleOf({ reads: 1000, errors: 8 })), ['green'], 'below the share');
  const [{ kind, reason }] = verdictsOn(sampleOf({ reads: 200, errors: 20 })) as [
    { kind: string; reason: string },
  ];
  check.is(kind, 'red');
  check.match(reason, /^10\.0 % of 200 reads at the target failed/);
});

test('what fails at both sides does not speak against the target', () => {
  const sample = sampleOf({ reads: 200, errors: 20 });
  check.equal(colours({ ...sample, source: { ...sample.source, errorCount: 20 } }), ['green']);
});

test('a slow target is red after two windows, by the ratio, and never while it is fast enough', () => {
  const slow = sampleOf({ reads: 200, targetMs: 12, sourceMs: 2 });
  check.equal(colours(slow, slow), ['green', 'red']);
  check.equal(
    colours(slow, sampleOf({ reads: 200 }), slow),
    ['green', 'green', 'green'],
    'one pause is no reason',
  );
  const both = sampleOf({ reads: 200, targetMs: 12, sourceMs: 11 });
  check.equal(colours(both, both), ['green', 'green'], 'so is the source');
  const tiny = sampleOf({ reads: 200, targetMs: 3, sourceMs: 0.1 });
  check.equal(colours(tiny, tiny), ['green', 'green'], 'thirty times as slow, and still fast');
});

test('too few reads are kept until they are enough', () => {
  const few = sampleOf({ reads: 60, targetMs: 40 });
  check.equal(colours(few, few, few, few), ['green', 'green', 'green', 'red']);
});

test('at weight 1 the source answers nothing: what it did before is the measure', () => {
  const before = sampleOf({ reads: 200, targetMs: 2, sourceMs: 2 });
  const fine = sampleOf({ reads: 500, targetMs: 2, sourceReads: 0 });
  const slow = sampleOf({ reads: 500, targetMs: 30, sourceReads: 0 });
  check.equal(colours(before, ...Array.from({ length: 50 }, () => fine), slow, slow).slice(-2), [
    'green',
    'red',
  ]);
});

test('red stays red near the limit, and ends well below it', () => {
  const bad = sampleOf({ lag: SETTINGS.lagMax + 1 });
  const near = sampleOf({ lag: SETTINGS.lagMax * 0.9 });
  const well = sampleOf({ lag: SETTINGS.lagMax * 0.5 });
  check.equal(colours(near, near, bad, bad, near, near, well, near, near), [
    ...['green', 'green', 'green', 'red', 'red', 'red'],
    ...['green', 'green', 'green'],
  ]);
});

test('each measure has its own limit and names itself', () => {
  const idle = { cpuShare: 0, loopLagMs: 0, commitMs: 0 };
  for (const [sample, name] of [
    [sampleOf({ reads: 100, behind: 30 }), /behind for 30\.0 %/],
    [sampleOf({ lag: 1001 }), /1001 log entries behind/],
    [sampleOf({ load: { ...idle, cpuShare: 0.95 } }), /95\.0 % of a CPU/],
    [sampleOf({ load: { ...idle, loopLagMs: 51 } }), /event loop is 51 ms late/],
    [sampleOf({ load: { ...idle, commitMs: 101 } }), /disk 101 ms/],
  ] as const) {
    const [first, second] = verdictsOn(sample, sample);
    check.is(first?.kind, 'green');
    check.match((second as { reason: string }).reason, name);
  }
  check.equal(colours(sampleOf({ load: idle }), sampleOf({ load: null })), ['green', 'green']);
});

test('a target is not too busy where the source is as busy', () => {
  const busy = { cpuShare: 0.2, loopLagMs: 200, commitMs: 20 };
  const verdicts = (loopLagMs: number): string[] => {
    const sample = sampleOf({ load: busy, sourceLoad: { ...busy, loopLagMs } });
    return colours(sample, sample);
  };
  check.equal(verdicts(180), ['green', 'green'], 'the machine is slow, not the target');
  check.equal(verdicts(20), ['green', 'red']);
});

test('an unequal answer is a bad copy, whatever else is measured', () => {
  const [verdict] = verdictsOn(sampleOf({ unequal: 1, reads: 500 }));
  check.is(verdict?.kind, 'bad-copy');
  check.match((verdict as { reason: string }).reason, /1 of 10 mirrored reads .*GET key/);
});

test.run();
