import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { calibrated, type MigrationSample, paceOf } from '../../../src/affinity/calibration.ts';
import { buildInstance } from '../../../src/affinity/instance.ts';
import { movePriceTo } from '../../../src/affinity/move-price.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { forecastOf, inputsOf, nodeOf } from '../../support/placement.ts';

const test = suite('affinity/calibration');
const PRIOR = {
  bytesPerSecond: 32e6,
  fenceSeconds: 0.1,
  fenceSecondsHigh: 0.3,
  latencyRatio: 1.5,
  realisedShare: 1,
  sampleCount: 0,
};
const copies = (count: number, sample: Partial<MigrationSample>): MigrationSample[] =>
  new Array<MigrationSample>(count).fill({
    copiedBytes: 100e6,
    copySeconds: 10,
    fenceSeconds: 0.02,
    ...sample,
  });

test('before anything was measured, the prior is all there is', () => {
  check.equal(paceOf([], PRIOR), PRIOR);
});

test('a dozen migrations outvote the prior, three do not', () => {
  check.is(paceOf(copies(3, {}), PRIOR).bytesPerSecond, 32e6);
  const pace = paceOf(copies(12, {}), PRIOR);
  check.equal([pace.bytesPerSecond, pace.fenceSeconds, pace.sampleCount], [10e6, 0.02, 12]);
});

test('one that met a paused machine changes nothing; the tail of the fences is told apart', () => {
  const samples = [...copies(18, {}), ...copies(2, { copySeconds: 9000, fenceSeconds: 0.45 })];
  const pace = paceOf(samples, PRIOR);
  check.equal([pace.bytesPerSecond, pace.fenceSeconds], [10e6, 0.02]);
  check.ok(pace.fenceSecondsHigh >= 0.3);
});

test('tiny copies and phases that nobody timed say nothing of the rate', () => {
  const samples = [
    ...copies(20, { copiedBytes: 100 }),
    ...copies(20, { copySeconds: null, fenceSeconds: null }),
  ];
  check.is(paceOf(samples, PRIOR).bytesPerSecond, 32e6);
});

test('a copy is never taken to be faster than its throttle, and only the newest count', () => {
  check.is(paceOf(copies(50, { copySeconds: 0.1 }), PRIOR).bytesPerSecond, 32e6);
  const samples = [...copies(500, {}), ...copies(100, { copySeconds: 20 })];
  check.is(paceOf(samples, PRIOR).bytesPerSecond, 5e6);
});

test('the planner prices moves by what migrations took', () => {
  const inputs = inputsOf({
    ownerOf: [0, 0],
    nodes: [
      nodeOf(0, 10, { bandwidthBytesPerSecond: 32e6 }),
      nodeOf(1, 10, { bandwidthBytesPerSecond: 32e6 }),
    ],
    forecast: forecastOf({ horizonSteps: 24, partitionCount: 2, loadOf: () => 2 }),
    changes: { partitionBytes: Float64Array.of(1e9, 1e9) },
  });
  const priceWith = (samples: readonly MigrationSample[]): number => {
    const memory = { lastMoves: [], recentMoves: [], samples };
    const known = calibrated({ ...inputs, memory }, DEFAULT_AFFINITY_SETTINGS);
    return movePriceTo(buildInstance(known.inputs, known.settings), 0, 1);
  };
  const prior = priceWith([]);
  check.ok(priceWith(copies(20, { copySeconds: 100 })) > prior, 'slow copies are dearer');
  check.ok(priceWith(copies(20, { copySeconds: 3, fenceSeconds: 1 })) > 2 * prior, 'long fences are dearer');
  check.ok(priceWith(copies(20, { copySeconds: 3, fenceSeconds: 0.001 })) < prior, 'short ones cheaper');
  const felt = { copySeconds: 3, fenceSeconds: 0.1, latencyRatio: 6 };
  check.ok(priceWith(copies(20, felt)) > prior, 'copies that clients feel are dearer');
});

test('moves that bring half of what they promise have to promise twice as much, and none five times', () => {
  const inputs = inputsOf({
    ownerOf: [0],
    nodes: [nodeOf(0, 10), nodeOf(1, 10)],
    forecast: forecastOf({ horizonSteps: 2, partitionCount: 1, loadOf: () => 2 }),
  });
  const ratioWith = (realisedShare: number): number => {
    const memory = { lastMoves: [], recentMoves: [], samples: copies(20, { realisedShare }) };
    return calibrated({ ...inputs, memory }, DEFAULT_AFFINITY_SETTINGS).settings.benefitCostRatio;
  };
  const { benefitCostRatio } = DEFAULT_AFFINITY_SETTINGS;
  check.is(ratioWith(0.5), 2 * benefitCostRatio);
  check.is(ratioWith(1.4), benefitCostRatio, 'what brought more is no reason to ask for less');
  check.ok(Math.abs(ratioWith(0) - 5 * benefitCostRatio) < 1e-9);
});

test.run();
