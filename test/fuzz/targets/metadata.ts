import { decodeHotKeys } from '../../../plugin/host/records/hot-keys-record.ts';
import { decodeProposal, decodeStays } from '../../../plugin/host/records/proposal-record.ts';
import { decodeQueryClusters } from '../../../plugin/host/records/query-clusters-record.ts';
import { decodeQueryHours } from '../../../plugin/host/records/query-hours-record.ts';
import { decodeQueryTypes } from '../../../plugin/host/records/query-types-record.ts';
import { decodePartitionCount } from '../../../plugin/metadata/form-cluster.ts';
import { decodeMember } from '../../../plugin/metadata/members.ts';
import { decodeRegistration } from '../../../plugin/metadata/node-registrations.ts';
import { decodeReadReport } from '../../../plugin/metadata/read-report.ts';
import {
  decodeAudit,
  decodeEvidence,
  decodeHistory,
  recordCodec,
} from '../../../plugin/metadata/record-codec.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Random } from '../../../src/base/random.ts';
import { mutateJson, mutateTree } from '../mutate.ts';
import type { FuzzTarget, Outcome } from '../target.ts';

const codec = recordCodec('fuzz');
const DECODERS: readonly (readonly [name: string, decode: (bytes: Uint8Array) => unknown])[] = [
  ['partition', (bytes) => codec.decodePartition(3, bytes)],
  ['cleanup', (bytes) => codec.decodeCleanup(bytes)],
  ['request', (bytes) => codec.decodeRequest(bytes)],
  ['approval', (bytes) => codec.decodeApproval(bytes)],
  ['rejection', (bytes) => codec.decodeRejection(bytes)],
  ['store', (bytes) => codec.decodeStoreState(bytes)],
  ['history', decodeHistory],
  ['evidence', decodeEvidence],
  ['audit', decodeAudit],
  ['member', decodeMember],
  ['registration', decodeRegistration],
  ['reads', (bytes) => decodeReadReport('reads/1', bytes)],
  ['partitions', decodePartitionCount],
  ['proposal', decodeProposal],
  ['stays', (bytes) => decodeStays('stays', bytes)],
  ['hot keys', (bytes) => decodeHotKeys('hot-keys', bytes)],
  ['clusters', (bytes) => decodeQueryClusters('clusters', bytes)],
  ['hours', (bytes) => decodeQueryHours('hours', bytes)],
  ['types', (bytes) => decodeQueryTypes('types', bytes)],
];

const PARTITION = {
  v: 1,
  partitionId: 3,
  ownerNodeId: 0,
  ownerStoreId: 's0',
  epoch: 1,
  ownedSinceMs: 1,
  migrationSeq: 0,
  migration: null,
};

/** Every value of the metadata store, read by every reader: a key may hold what belongs under another. */
export class MetadataTarget implements FuzzTarget {
  readonly name = 'metadata';

  generate(random: Random): Buffer {
    return Buffer.from(JSON.stringify(mutateTree(PARTITION, random)) ?? 'null');
  }

  mutate(input: Buffer, random: Random): Buffer {
    return mutateJson(input, random);
  }

  run(input: Buffer): Outcome {
    const read: unknown[] = [];
    const kinds: string[] = [];
    let refusal: unknown = null;
    for (const [name, decode] of DECODERS)
      try {
        read.push(decode(input));
        kinds.push(name);
      } catch (error) {
        if (!(error instanceof ForeshardError)) throw error;
        refusal ??= error;
      }
    if (read.length === 0) throw refusal;
    return { kind: kinds.join(), value: read };
  }
}
