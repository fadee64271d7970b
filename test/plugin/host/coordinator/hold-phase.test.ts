import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { holdMsIn, parsePhaseHolds } from '../../../../plugin/host/coordinator/hold-phase.ts';

const test = suite('host/hold-phase');

test('a phase is held for its milliseconds, of one partition or of all; nothing where nothing is said', () => {
  const holds = parsePhaseHolds('FENCED:3000, SWITCHED@7:500');
  check.equal(
    [0, 7].map((partitionId) => holdMsIn(holds, partitionId, 'FENCED')),
    [3000, 3000],
  );
  check.equal(
    [0, 7].map((partitionId) => holdMsIn(holds, partitionId, 'SWITCHED')),
    [0, 500],
  );
  check.is(holdMsIn(holds, 7, 'COPY'), 0);
  check.equal(parsePhaseHolds(undefined), []);
});

test('what cannot be read is refused by name', () => {
  for (const text of ['FENCE:300', 'FENCED', 'FENCED:-1', 'FENCED:1s', 'FENCED@:5', ''])
    check.throws(
      () => parsePhaseHolds(text),
      (error: { code: string; message: string }) =>
        error.code === 'FORESHARD_CONFIG' && error.message.includes(`FORESHARD_HOLD_PHASE: "${text}"`),
      text,
    );
});

test.run();
