import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { VirtualClock } from '../../../src/base/clock.ts';
import type { OpenRecord } from '../../../src/migration/records/record-changes.ts';
import { restMs, StepRests } from '../../../src/migration/step-rests.ts';
import { MIGRATION_PHASES } from '../../../src/model/migration.ts';

const test = suite('rests between steps');

test('a migration is looked at the less often the longer its phase takes, and four times a second at the least', () => {
  check.is(restMs({ phase: 'COPY', phaseAtMs: 1_000 }, 1_000), 0);
  check.is(restMs({ phase: 'COPY', phaseAtMs: 1_000 }, 2_000), 50);
  check.is(restMs({ phase: 'GRACE', phaseAtMs: 0 }, 900_000), 250);
  check.is(restMs({ phase: 'GRACE', phaseAtMs: 5_000 }, 1_000), 0, 'a clock that was set back');
});

test('nobody rests while reads shift or writes wait, or while a node is asked to agree or to give up', () => {
  const restless = MIGRATION_PHASES.filter((phase) => restMs({ phase, phaseAtMs: 0 }, 60_000) === 0);
  check.equal(restless, ['PREPARE', 'SHIFT', 'FENCING', 'FENCED', 'SWITCHED', 'ABORT']);
});

test('a rest ends by its time, or by a step', () => {
  const clock = new VirtualClock(10_000);
  const rests = new StepRests(clock);
  const record = { partitionId: 3, migration: { phase: 'COPY', phaseAtMs: 8_000 } } as unknown as OpenRecord;
  check.not.ok(rests.isResting(3));
  rests.looked(record);
  check.ok(rests.isResting(3));
  check.not.ok(rests.isResting(4));
  clock.advanceTo(10_100);
  check.not.ok(rests.isResting(3));
  rests.looked(record);
  rests.over(3);
  check.not.ok(rests.isResting(3));
});

test.run();
