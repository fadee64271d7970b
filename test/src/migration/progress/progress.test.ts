import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { NO_ETA } from '../../../../src/migration/progress/eta.ts';
import { type MigrationProgress, ProgressStream } from '../../../../src/migration/progress/progress.ts';
import type { MigrationHistory } from '../../../../src/migration/records/records.ts';

const test = suite('events of migrations');

const at = (
  phase: MigrationProgress['phase'],
  change: Partial<MigrationProgress> = {},
): MigrationProgress => ({
  partitionId: 4,
  migrationId: 7,
  kind: 'move',
  sourceNodeId: 0,
  targetNodeId: 1,
  phase,
  isPaused: false,
  readWeight: 0,
  copiedBytes: 0,
  sizeBytes: 10,
  bytesPerSecond: null,
  limitBytesPerSecond: null,
  paceReason: null,
  eta: NO_ETA,
  reason: '',
  ...change,
});
const ENDED = { partitionId: 4, migrationId: 7, outcome: 'done', endedAtMs: 999 } as MigrationHistory;

test('a migration is opened, steps, goes on and ends; what is the same is told after a while only', () => {
  const stream = new ProgressStream(1_000);
  const looks: [MigrationProgress[], MigrationHistory[]][] = [
    [[at('COPY')], []],
    [[at('COPY', { copiedBytes: 3 })], []],
    [[at('COPY', { copiedBytes: 5 })], []],
    [[at('COPY', { copiedBytes: 6 })], []],
    [[at('SHIFT', { readWeight: 0.5 })], []],
    [[at('SHIFT', { readWeight: 1 })], []],
    [[at('SHIFT', { readWeight: 1, isPaused: true })], []],
    [[], [ENDED]],
    [[], [ENDED]],
  ];
  const told = looks.flatMap(([open, ended], i) =>
    stream.eventsOf(open, ended, i * 600).map((event) => `${i} ${event.kind}`),
  );
  check.equal(told, ['0 opened', '2 progress', '4 phase', '5 phase', '6 phase', '7 ended']);
});

test('of a grace and of a pause nothing is told while they last', () => {
  const stream = new ProgressStream(1_000);
  const looks = [
    at('GRACE'),
    at('GRACE'),
    at('CLEANUP'),
    at('CLEANUP', { isPaused: true }),
    at('CLEANUP', { isPaused: true }),
  ];
  const told = looks.flatMap((look, i) =>
    stream.eventsOf([look], [], i * 60_000).map(({ kind }) => `${i} ${kind}`),
  );
  check.equal(told, ['0 opened', '2 phase', '3 phase']);
});

test('what ended before anybody looked is of before', () => {
  check.equal(new ProgressStream(1_000).eventsOf([], [ENDED], 0), []);
});

test('the next migration of a partition is another one', () => {
  const stream = new ProgressStream(1_000);
  stream.eventsOf([at('COPY')], [], 0);
  const events = stream.eventsOf([at('PREPARE', { migrationId: 8 })], [ENDED], 10);
  check.equal(
    events.map(({ kind }) => kind),
    ['ended', 'opened'],
  );
});

test.run();
