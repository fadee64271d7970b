import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { parsePhaseHolds } from '../../../plugin/host/hold-phase.ts';

const test = suite('host/hold-phase');

test('phases and their milliseconds; nothing is held where nothing is said', () => {
  check.equal(parsePhaseHolds('FENCED:3000, SWITCHED:500'), { FENCED: 3000, SWITCHED: 500 });
  check.equal(parsePhaseHolds(undefined), {});
});

test('what cannot be read is refused by name', () => {
  for (const text of ['FENCE:300', 'FENCED', 'FENCED:-1', 'FENCED:1s', ''])
    check.throws(
      () => parsePhaseHolds(text),
      (error: { code: string; message: string }) =>
        error.code === 'FORESHARD_CONFIG' && error.message.includes(`FORESHARD_HOLD_PHASE: "${text}"`),
      text,
    );
});

test.run();
