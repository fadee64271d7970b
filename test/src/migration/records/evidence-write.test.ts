import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { decodeEvidence, recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { evidenceWrite } from '../../../../src/migration/records/evidence-write.ts';
import type { Mismatch, OpenRecord } from '../../../../src/migration/step.ts';
import { asNodeId } from '../../../../src/model/ids.ts';
import type { EntryFingerprint, StorageEngine } from '../../../../src/ports/storage-engine.ts';
import { recordIn } from '../../../support/migration-record.ts';

const test = suite('evidence that is written down');
const OWNER = asNodeId(2);
const ENTRY: EntryFingerprint = {
  position: 0,
  keyDigest: 'k',
  valueDigest: 'v',
  expiryMs: 0,
  keyPrefix: 'k',
  keyHash: '',
};

const recordWith = (refutals: number): OpenRecord => recordIn('GRACE', refutals > 0 ? { refutals } : {});

const sideOf = (lane: string) => {
  const digest = { entryCount: 1, sizeBytes: 1, buckets: [lane] };
  return { lsn: 30, scanned: digest, running: digest };
};
const MISMATCH: Mismatch = { reason: 'they differ', sides: { owner: sideOf('00'), copy: sideOf('ff') } };

/** @returns the keys that stand in what is written; null where nothing is. */
async function keysWritten(refutals: number, listEntries: StorageEngine['listEntries']) {
  const write = await evidenceWrite(recordWith(refutals), MISMATCH, {
    codec: recordCodec('local'),
    clock: systemClock(),
    engine: { listEntries } as StorageEngine,
    logger: silentLogger,
  });
  if (write?.kind !== 'put') return null;
  return decodeEvidence(write.value).differences.map(({ keyPrefix }) => keyPrefix);
}

const listing: StorageEngine['listEntries'] = async (nodeId) => ({
  entries: nodeId === OWNER ? [ENTRY] : [],
  nextPosition: null,
});
const forgetful: StorageEngine['listEntries'] = async () => {
  throw new ForeshardError('FORESHARD_NOT_READY', 'abort', 'what stood at lsn 30 is gone');
};

test('a list of keys replaces what was found before, evidence without keys only stands where there is none', async () => {
  check.equal(await keysWritten(0, listing), ['k']);
  check.equal(await keysWritten(0, forgetful), []);
  check.equal(await keysWritten(1, listing), ['k']);
  check.is(await keysWritten(1, forgetful), null);
});

test.run();
