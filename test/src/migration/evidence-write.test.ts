import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { decodeEvidence, recordCodec } from '../../../plugin/metadata/record-codec.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { evidenceWrite } from '../../../src/migration/evidence-write.ts';
import type { Mismatch, OpenRecord } from '../../../src/migration/step.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../src/model/ids.ts';
import type { EntryFingerprint, StorageEngine } from '../../../src/ports/storage-engine.ts';

const test = suite('evidence that is written down');
const [OLD_OWNER, OWNER] = [asNodeId(1), asNodeId(2)];
const ENTRY: EntryFingerprint = {
  position: 0,
  keyDigest: 'k',
  valueDigest: 'v',
  expiryMs: 0,
  keyPrefix: 'k',
  keyHash: '',
};

const recordWith = (refutals: number): OpenRecord => ({
  partitionId: asPartitionId(5),
  ownerNodeId: OWNER,
  ownerStoreId: 'store-2',
  epoch: asEpoch(8),
  ownedSinceMs: 0,
  migrationSeq: 4,
  migration: {
    migrationId: 4,
    sourceNodeId: OLD_OWNER,
    sourceStoreId: 'store-1',
    targetNodeId: OWNER,
    targetStoreId: 'store-2',
    phase: 'GRACE',
    phaseAtMs: 0,
    startedAtMs: 0,
    digestSeed: '0'.repeat(16),
    readWeight: 0,
    notBeforeMs: 0,
    reason: '',
    attempt: 0,
    ...(refutals > 0 && { refutals }),
  },
});

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
