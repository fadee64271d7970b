import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ForeshardError } from '../../../src/base/errors.ts';
import {
  differencesOf,
  ENTRIES_LISTED_MAX,
  type EvidenceRequest,
  gatherEvidence,
  KEYS_KEPT_MAX,
  LANES_LISTED_MAX,
} from '../../../src/migration/mismatch.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../src/model/ids.ts';
import type { Digest } from '../../../src/model/migration.ts';
import type { EntryFingerprint, ListEntriesOptions } from '../../../src/ports/storage-engine.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('evidence of a mismatch');
const RUNS = { seed: Number(testSeed('evidence') % 2n ** 31n) };
const [OWNER, COPY] = [asNodeId(1), asNodeId(2)];

const entryAt = (position: number, change: Partial<EntryFingerprint> = {}): EntryFingerprint => ({
  position,
  keyDigest: `key ${position}`,
  valueDigest: `value ${position}`,
  expiryMs: 0,
  keyPrefix: `k${position}`,
  keyHash: '',
  ...change,
});
const entriesUpTo = (count: number): EntryFingerprint[] =>
  Array.from({ length: count }, (_, position) => entryAt(position));

const digestOf = (lanes: readonly string[]): Digest => ({ entryCount: 1, sizeBytes: 1, buckets: lanes });
const LANES = Array.from({ length: 20 }, () => '00');

function requestWith(ownerLanes: readonly string[], copyLanes: readonly string[]): EvidenceRequest {
  const [owner, copy] = [digestOf(ownerLanes), digestOf(copyLanes)];
  return {
    command: { partitionId: asPartitionId(5), migrationId: 4, epoch: asEpoch(2) },
    phase: 'VERIFY',
    nowMs: 7,
    ownerNodeId: OWNER,
    copyNodeId: COPY,
    reason: 'they differ',
    sides: {
      owner: { lsn: 30, scanned: owner, running: owner },
      copy: { lsn: 30, scanned: copy, running: copy },
    },
    privacy: { prefixBytes: 8, isHashKept: false },
  };
}

/** Nodes that hold these entries and page them as asked. */
function engineOf(held: Readonly<Record<number, readonly EntryFingerprint[]>>) {
  const asked: ListEntriesOptions[] = [];
  return {
    asked,
    engine: {
      async listEntries(nodeId: number, _command: unknown, options: ListEntriesOptions) {
        asked.push(options);
        const rest = (held[nodeId] ?? []).filter(({ position }) => position >= options.fromPosition);
        const entries = rest.slice(0, options.entriesMax);
        return { entries, nextPosition: rest[entries.length]?.position ?? null };
      },
    },
  };
}

test('what is found is what was changed, whatever was changed', () => {
  const kinds = fc.constantFrom('same', 'missing-on-copy', 'extra-on-copy', 'other-value', 'other-expiry');
  fc.assert(
    fc.property(fc.array(kinds, { maxLength: 30 }), (changes) => {
      const owner: EntryFingerprint[] = [];
      const copy: EntryFingerprint[] = [];
      changes.forEach((kind, position) => {
        if (kind !== 'extra-on-copy') owner.push(entryAt(position));
        if (kind === 'missing-on-copy') return;
        const value = kind === 'other-value' ? { valueDigest: 'another' } : {};
        copy.push(entryAt(position, kind === 'other-expiry' ? { expiryMs: 9 } : value));
      });
      check.equal(
        differencesOf(owner, copy).map(({ kind, keyPrefix }) => `${keyPrefix} ${kind}`),
        changes.flatMap((kind, position) => (kind === 'same' ? [] : [`k${position} ${kind}`])),
      );
    }),
    RUNS,
  );
});

test('entries of differing lanes are asked for page by page, of both sides at one lsn', async () => {
  const owner = entriesUpTo(2_500);
  const copy = owner.filter(({ position }) => position !== 1_700);
  const { engine, asked } = engineOf({ [OWNER]: owner, [COPY]: copy });
  const other = LANES.map((lane, i) => (i === 6 || i === 7 ? 'ff' : lane));
  const evidence = await gatherEvidence(requestWith(LANES, other), engine);
  check.equal(
    evidence.differences.map(({ keyPrefix, kind }) => [keyPrefix, kind]),
    [['k1700', 'missing-on-copy']],
  );
  check.equal([evidence.ownerEntryCount, evidence.copyEntryCount], [2_500, 2_499]);
  check.equal([evidence.suspectLaneCount, evidence.listedLaneCount], [2, 2]);
  check.is(evidence.limits, '');
  for (const { lsn, lanes } of asked) check.equal([lsn, lanes], [30, [6, 7]]);
});

test('lists that are too long end at one place on both sides: nothing beyond it counts as missing', async () => {
  const owner = entriesUpTo(ENTRIES_LISTED_MAX + 5_000);
  const copy = owner.filter(({ position }) => position !== 3);
  const { engine } = engineOf({ [OWNER]: owner, [COPY]: copy });
  const evidence = await gatherEvidence(requestWith(LANES, ['ff', ...LANES.slice(1)]), engine);
  check.equal(
    evidence.differences.map(({ keyPrefix }) => keyPrefix),
    ['k3'],
  );
  check.match(evidence.limits, /the first 20000 entries/);
});

test('of many differences the first are kept, and all are counted', async () => {
  const { engine } = engineOf({ [OWNER]: entriesUpTo(400), [COPY]: [] });
  const all = LANES.map(() => 'ff');
  const evidence = await gatherEvidence(requestWith(LANES, all), engine);
  check.is(evidence.differences.length, KEYS_KEPT_MAX);
  check.is(evidence.differenceCount, 400);
  check.match(evidence.limits, `keys of ${LANES_LISTED_MAX} of 20 differing lanes`);
});

test('without a scan, or from a node that has forgotten it, there is evidence without keys', async () => {
  const { engine } = engineOf({});
  const atFence = await gatherEvidence({ ...requestWith(LANES, LANES), sides: null }, engine);
  check.is(atFence.limits, 'nothing in this phase tells keys apart');
  const forgetful = {
    listEntries: () =>
      Promise.reject(new ForeshardError('FORESHARD_NOT_READY', 'abort', 'what stood at lsn 30 is gone')),
  };
  const evidence = await gatherEvidence(requestWith(LANES, ['ff', ...LANES.slice(1)]), forgetful);
  check.is(evidence.differenceCount, 0);
  check.is(evidence.suspectLaneCount, 1);
  check.match(evidence.limits, /could not be listed: what stood at lsn 30 is gone/);
});

test.run();
