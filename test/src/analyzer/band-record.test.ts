import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BandRecord } from '../../../src/analyzer/band-record.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('analyzer/band-record');
const seed = testSeed('analyzer/band-record');
const DAY_HOURS = 24;

/** A record of so many errors, of which all partitions together make one judgement each time. */
function recordOf(count: number, partitions: number, draw: () => number): BandRecord {
  const record = new BandRecord(DAY_HOURS);
  for (let i = 0; i < count; i++) record.addError(0, draw(), 1 / partitions);
  return record;
}

/** Of mean size 1: equally likely within -2 and 2, so that a fortieth lies above 1.9. */
const even = (random: Random) => () => 4 * random.nextFloat() - 2;

test('of few errors the tails are those of a Laplace distribution, of many their own', () => {
  const draw = even(seededRandom(seed));
  // A fortieth of Laplace errors of mean size 1 lies above ln 20.
  const few = recordOf(40, 1, draw).quantile(0, 0.975, 1);
  assert.ok(few > 2.7 && few < Math.log(20), `${few}, SEED=${seed}`);
  const many = recordOf(40_000, 1000, draw).quantile(0, 0.975, 1000);
  assert.ok(Math.abs(many - 1.9) < 0.05, `${many}, SEED=${seed}`);
});

test('errors count by how many partitions have made them, not by how often all were judged', () => {
  const draw = even(seededRandom(seed));
  const alone = recordOf(400, 1, draw).quantile(0, 0.025, 1);
  const hundred = recordOf(400, 100, draw).quantile(0, 0.025, 100);
  assert.ok(Math.abs(alone + (1.9 + Math.log(20)) / 2) < 0.1, `${alone}, SEED=${seed}`);
  assert.ok(Math.abs(hundred - alone) < 0.1, `${hundred} beside ${alone}, SEED=${seed}`);
});

test('errors that are Laplace have the quantiles that they have, few or many', () => {
  const random = seededRandom(seed);
  const laplace = () => (random.nextFloat() < 0.5 ? 1 : -1) * -Math.log(1 - random.nextFloat());
  const sorted = Float64Array.from({ length: 100_000 }, laplace).sort();
  const few = recordOf(10, 1, laplace);
  for (const share of [0.025, 0.1, 0.25, 0.75, 0.9, 0.975]) {
    const known = sorted[Math.floor(share * sorted.length)] as number;
    assert.ok(Math.abs(few.quantile(0, share, 1) - known) < 0.1, `${share}: ${known}, SEED=${seed}`);
  }
});

test('the usual error is half forgotten after three days, in windows of an hour and of a quarter of one', () => {
  for (const dayWindows of [24, 96]) {
    const record = new BandRecord(dayWindows);
    record.addSizes(0, 1, 1);
    for (let window = 0; window < 3 * dayWindows; window++) record.fade(1);
    record.addSizes(0, 4, 1);
    // (1 / 2 + 4) / (1 / 2 + 1)
    assert.ok(Math.abs((record.expected(0) as number) - 3) < 1e-9, `${dayWindows}: ${record.expected(0)}`);
  }
});

test('windows of a day have some of them to learn from', () => {
  const record = new BandRecord(1);
  record.addSizes(0, 1, 1);
  for (let window = 0; window < 72; window++) record.fade(1);
  record.addSizes(0, 4, 1);
  assert.ok(Math.abs((record.expected(0) as number) - 3) < 1e-9);
});

test.run();
