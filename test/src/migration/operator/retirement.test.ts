import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { answerRetirement, type RetirementFacts } from '../../../../src/migration/operator/retirement.ts';
import { isSwitched } from '../../../../src/migration/phases.ts';
import type { OpenRecord } from '../../../../src/migration/records/record-changes.ts';
import type { RetirementRequest } from '../../../../src/migration/records/records.ts';
import { asPartitionId } from '../../../../src/model/ids.ts';
import {
  MIGRATION_PHASES,
  type MigrationPhase,
  type PartitionRecord,
} from '../../../../src/model/migration.ts';
import { recordIn as recordOf, STABLE_RECORD } from '../../../support/migration-record.ts';

const test = suite('retirement of a store: answers');

const recordIn = (phase: MigrationPhase): OpenRecord =>
  recordOf(phase, {}, { partitionId: asPartitionId(1) });

const STABLE: PartitionRecord = {
  ...STABLE_RECORD,
  partitionId: asPartitionId(0),
  ownerStoreId: 'store-3',
};
const FACTS: RetirementFacts = { state: 'present', answeringNodeId: null, cleanupCount: 0 };

function ask(
  storeId: string,
  records: readonly (PartitionRecord | null)[],
  { isConfirmed = true, ...facts }: Partial<RetirementFacts & { isConfirmed: boolean }> = {},
): string {
  const request: RetirementRequest = {
    requestId: '1-a',
    by: 'ann@host',
    reason: 'burnt',
    atMs: 0,
    expiresAtMs: 1,
    storeId,
    isConfirmed,
  };
  const answer = answerRetirement(request, records, { ...FACTS, ...facts });
  return answer.kind === 'do' ? `done: ${answer.message}` : `refused: ${answer.why}`;
}

test('of the two stores of a migration only the one that does not own the partition can be retired, in every phase', () => {
  for (const phase of MIGRATION_PHASES) {
    const records = [STABLE, recordIn(phase)];
    const [owner, other] = isSwitched(phase) ? ['store-2', 'store-1'] : ['store-1', 'store-2'];
    const refused = new RegExp(
      `^refused: store ${owner} owns partition 1, .*foreshard takeover 1 --from ${owner}`,
    );
    check.match(ask(owner, records), refused, phase);
    const expected = isSwitched(phase)
      ? /^done: .*ends without the old copy, and with it the way back/
      : phase === 'ABORT'
        ? /^done: .*ends without an answer of the lost copy/
        : /^done: .*is aborted, node 1 stays the owner/;
    check.match(ask(other, records), expected, phase);
  }
});

test('nothing is retired that answers, that nobody knows, or that may own what cannot be read', () => {
  const records = [STABLE, recordIn('COPY')];
  check.match(
    ask('store-2', records, { answeringNodeId: 6 }),
    /^refused: .* answers from node 6: it is not lost/,
  );
  check.match(ask('store-9', records, { state: null }), /^refused: there is no store store-9/);
  check.match(ask('store-9', records, { state: 'retired' }), /^refused: .* is retired already/);
  check.match(ask('store-2', [...records, null]), /^refused: the record of partition 2 is not valid/);
});

test('without a confirmation it is only said what would end', () => {
  const said = ask('store-2', [STABLE, recordIn('SHIFT')], { isConfirmed: false, cleanupCount: 3 });
  check.match(said, /^refused: .*migration 1\/4 \(SHIFT\) is aborted.*3 clean-ups.*--it-is-gone-for-good/);
  check.match(ask('store-9', [STABLE]), /^done: .*nothing waits for it/);
});

test.run();
