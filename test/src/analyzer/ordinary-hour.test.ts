import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { History } from '../../../src/analyzer/history.ts';
import { levelWeight } from '../../../src/analyzer/ordinary-hour.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { profileOf } from '../../support/synthetic-load.ts';

const test = suite('analyzer/ordinary-hour');

test('an hour counts by what its own partition had in the day, whatever the others had', () => {
  const partitionCount = 3;
  const { arena } = loadKernels();
  const shape = { partitionCount, windowMs: 3_600_000, startMs: 0, driver: 'queries' as const };
  const history = new History({ ...shape, windowsMax: 1000, weekWindows: 168, dayWindows: 24 }, arena);
  const usual = [1_000, 10, 100_000];
  const load = (p: number): number => usual[p] as number;
  const profile = profileOf({ partitionCount, firstWindow: 0, windowCount: 48, load });
  for (let window = 0; window < 48; window++) history.append(profile, window);
  const weight = (partition: number, expected: number): number =>
    levelWeight(history, partition, { window: 47, logExpected: Math.log1p(expected) });
  // Half of a mean hour is an ordinary one; a tenth of that says a tenth.
  for (const [p, mean] of usual.entries()) {
    assert.ok(Math.abs(weight(p, 0.5 * mean) - 1) < 1e-4);
    assert.ok(Math.abs(weight(p, 0.05 * mean) - 0.1) < 1e-3, `${weight(p, 0.05 * mean)} of partition ${p}`);
  }
  history.close();
});

test.run();
