/**
 * The cluster in the metadata store: names of its keys, validated records, the first map, and reading the map.
 * A record that fails validation quarantines its partition, never the process that read it.
 */
import { z } from 'zod';
import { ForeshardError } from '../../src/base/errors.ts';
import { DIFFERENCE_KINDS, type MismatchEvidence } from '../../src/migration/mismatch.ts';
import {
  AUDITED_ACTIONS,
  type AuditRecord,
  type CleanupRecord,
  type ClusterKeys,
  type MigrationHistory,
  OPERATOR_ACTIONS,
  type OperatorRequest,
  type RecordCodec,
  STORE_STATES,
  type StoreState,
} from '../../src/migration/records.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../src/model/ids.ts';
import { MIGRATION_OUTCOMES, MIGRATION_PHASES, type PartitionRecord } from '../../src/model/migration.ts';
import { assertPartitionCount, contiguousMap, type PartitionMap } from '../../src/model/partition-map.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';

/** Owner of a partition whose record cannot be read. */
export const NO_OWNER = -1;
/** A condition and a write each: stays below the 128 operations of a transaction. */
const BOOTSTRAP_BATCH = 60;

export function clusterKeys(clusterName: string): ClusterKeys {
  if (!/^[A-Za-z0-9_.-]{1,64}$/.test(clusterName))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `cluster name must be 1..64 letters, digits, "_", "." or "-", got ${JSON.stringify(clusterName)}`,
    );
  const root = `/foreshard/v1/${clusterName}/`;
  // Padded, so that the order of keys is the order of partitions.
  const padded = (id: number): string => String(id).padStart(5, '0');
  return {
    cluster: `${root}cluster`,
    coordinator: `${root}coord/leader`,
    mapPrefix: `${root}map/`,
    map: (partitionId) => `${root}map/${padded(partitionId)}`,
    nodePrefix: `${root}node/`,
    node: (nodeId) => `${root}node/${padded(nodeId)}`,
    storePrefix: `${root}store/`,
    store: (storeId) => `${root}store/${storeId}`,
    cleanupPrefix: `${root}cleanup/`,
    cleanup: (partitionId, migrationId, storeId) =>
      `${root}cleanup/${padded(partitionId)}/${migrationId}/${storeId}`,
    historyPrefix: `${root}hist/`,
    history: (partitionId, migrationId) => `${root}hist/${padded(partitionId)}/${migrationId}`,
    evidencePrefix: `${root}evidence/`,
    evidence: (partitionId, migrationId) => `${root}evidence/${padded(partitionId)}/${migrationId}`,
    controlPrefix: `${root}ctl/`,
    pause: `${root}ctl/pause`,
    pauseOf: (partitionId) => `${root}ctl/pause/${padded(partitionId)}`,
    requestPrefix: `${root}ctl/request/`,
    request: (partitionId) => `${root}ctl/request/${padded(partitionId)}`,
    auditPrefix: `${root}audit/`,
    audit: (requestId) => `${root}audit/${requestId}`,
  };
}

const count = z.number().int().nonnegative();
const nodeId = count.max(65_535).transform(asNodeId);
const storeId = z.string().min(1).max(128);
const digest = z.object({
  entryCount: count,
  sizeBytes: count,
  buckets: z
    .array(
      z
        .string()
        .regex(/^[0-9a-f]*$/)
        .max(64),
    )
    .max(8192),
});
const migration = z.object({
  migrationId: count.min(1),
  sourceNodeId: nodeId,
  sourceStoreId: storeId,
  targetNodeId: nodeId,
  targetStoreId: storeId,
  phase: z.enum(MIGRATION_PHASES),
  phaseAtMs: z.number(),
  startedAtMs: z.number(),
  digestSeed: z.string().regex(/^[0-9a-f]{16}$/),
  fenceLsn: count.exactOptional(),
  fenceDigest: digest.exactOptional(),
  verified: z.object({ lsn: count, digest }).exactOptional(),
  readWeight: z.number().min(0).max(1),
  guardReds: count.exactOptional(),
  notBeforeMs: z.number(),
  refutals: count.exactOptional(),
  reason: z.string().max(1000),
  attempt: count,
  kind: z.enum(['rollback', 'takeover']).exactOptional(),
  resumes: count.min(1).exactOptional(),
  takeover: z.object({ lossAfterLsn: count, isEmpty: z.boolean() }).exactOptional(),
  keepsCopyFor: z.enum(['retry', 'follow']).exactOptional(),
  openedFor: z.string().max(1000).exactOptional(),
  abortedIn: z.enum(MIGRATION_PHASES).exactOptional(),
  fenceFailures: count.exactOptional(),
  pausedAtMs: z.number().exactOptional(),
});
const quarantine = z.object({
  sinceMs: z.number(),
  untilMs: z.number().nullable(),
  migrationId: count,
  reason: z.string().max(1000),
});
const partition = z
  .object({
    v: z.literal(1),
    partitionId: count.max(16_383).transform(asPartitionId),
    ownerNodeId: nodeId,
    ownerStoreId: storeId,
    epoch: count.min(1).transform(asEpoch),
    ownedSinceMs: z.number(),
    migrationSeq: count,
    migration: migration.nullable(),
    quarantine: quarantine.exactOptional(),
    lineage: z.object({ epoch: count.min(1).transform(asEpoch), lsn: count }).exactOptional(),
  })
  .refine(
    (record) => (record.migration?.migrationId ?? 0) <= record.migrationSeq,
    'migrationId exceeds migrationSeq',
  )
  .transform(({ v: _, ...record }): PartitionRecord => record);
const cluster = z.object({ v: z.literal(1), partitionCount: count });

const registration = z.object({
  nodeId: count.max(65_535),
  role: z.enum(['storage', 'query']),
  host: z.string().min(1).max(255),
  port: count.max(65_535),
  /** Of a storage node; a query node has none. */
  storeId: z.string().max(128),
  /** Differs at every start of the process. */
  incarnation: z.string().max(64),
  version: z.string().max(64),
  startedAtMs: z.number(),
});
/** `node/<id>`: where a node listens. A hint of liveness, never proof. */
export type NodeRegistration = z.output<typeof registration>;

const storeState = z.object({ state: z.enum(STORE_STATES) });

const history = z.object({
  partitionId: count,
  migrationId: count,
  sourceNodeId: count,
  targetNodeId: count,
  outcome: z.enum(MIGRATION_OUTCOMES),
  reason: z.string(),
  startedAtMs: z.number(),
  endedAtMs: z.number(),
  epoch: count,
  fenceLsn: count.nullable(),
  verifiedLsn: count.nullable(),
  copiedBytes: count,
  copySeconds: z.number().nonnegative().nullable().default(null),
  fenceSeconds: z.number().nonnegative().nullable().default(null),
  kind: z.enum(['rollback', 'takeover']).exactOptional(),
  openedFor: z.string().exactOptional(),
  abortedIn: z.enum(MIGRATION_PHASES).exactOptional(),
  continuedBy: count.exactOptional(),
});

const cleanup = z.object({
  kind: z.enum(['staging', 'source']),
  policy: z.enum(['on-failure', 'deferred']),
  sinceMs: z.number(),
  nodeId: count.exactOptional(),
});

const order = {
  requestId: z.string().regex(/^[0-9a-z-]{1,64}$/),
  atMs: z.number(),
  by: z.string().max(256),
  reason: z.string().max(1000),
};
const request = z.object({
  ...order,
  action: z.enum(OPERATOR_ACTIONS),
  partitionId: count.max(16_383),
  expiresAtMs: z.number(),
  takeover: z
    .object({
      fromStoreId: storeId,
      targetNodeId: count.max(65_535),
      lossAfterLsn: count.nullable(),
      isEmptyAllowed: z.boolean(),
    })
    .exactOptional(),
});
const audit = z.object({
  ...order,
  action: z.enum(AUDITED_ACTIONS),
  partitionId: count.nullable(),
  outcome: z.enum(['done', 'refused']),
  message: z.string(),
});

const evidence = z.object({
  partitionId: count,
  migrationId: count,
  phase: z.enum(MIGRATION_PHASES),
  atMs: z.number(),
  ownerNodeId: count,
  copyNodeId: count,
  lsn: count.nullable(),
  reason: z.string(),
  suspectLaneCount: count,
  listedLaneCount: count,
  ownerEntryCount: count,
  copyEntryCount: count,
  differences: z.array(
    z.object({
      kind: z.enum(DIFFERENCE_KINDS),
      keyPrefix: z.string(),
      keyHash: z.string(),
      ownerValue: z.string(),
      copyValue: z.string(),
    }),
  ),
  differenceCount: count,
  limits: z.string(),
});

const encodeJson = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

function decodeJson<T>(schema: z.ZodType<T>, what: string, bytes: Uint8Array): T {
  try {
    return schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (cause) {
    const detail = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new ForeshardError('FORESHARD_CORRUPT', 'report', `${what} is not valid: ${detail}`, { cause });
  }
}

export function recordCodec(clusterName: string): RecordCodec {
  return {
    keys: clusterKeys(clusterName),
    encodePartition: (record) => encodeJson({ v: 1, ...record }),
    decodePartition(partitionId, bytes) {
      const record = decodeJson(partition, `record of partition ${partitionId}`, bytes);
      if (record.partitionId !== partitionId)
        throw new ForeshardError(
          'FORESHARD_CORRUPT',
          'report',
          `record of partition ${partitionId} speaks of partition ${record.partitionId}`,
        );
      return record;
    },
    encodeHistory: encodeJson,
    encodeCleanup: encodeJson,
    encodeEvidence: encodeJson,
    decodeCleanup: (bytes): CleanupRecord => decodeJson(cleanup, 'clean-up record', bytes),
    encodeRequest: encodeJson,
    decodeRequest: (bytes): OperatorRequest => decodeJson(request, 'request of an operator', bytes),
    encodeAudit: encodeJson,
    encodeStoreState: (state) => encodeJson({ state }),
    decodeStoreState: (bytes) => decodeJson(storeState, 'state of a store', bytes).state,
  };
}

export const encodeRegistration = (node: NodeRegistration): Uint8Array => encodeJson(node);
export const decodeRegistration = (bytes: Uint8Array): NodeRegistration =>
  decodeJson(registration, 'node registration', bytes);
export const decodeHistory = (bytes: Uint8Array): MigrationHistory =>
  decodeJson(history, 'history record', bytes);

export const decodeEvidence = (bytes: Uint8Array): MismatchEvidence =>
  decodeJson(evidence, 'evidence record', bytes);
export const decodeAudit = (bytes: Uint8Array): AuditRecord => decodeJson(audit, 'audit record', bytes);

/** Announces a node; each start overwrites what the one before said. */
export async function registerNode(
  store: MetadataStore,
  clusterName: string,
  node: NodeRegistration,
): Promise<void> {
  const key = clusterKeys(clusterName).node(node.nodeId);
  await store.commit({ conditions: [], writes: [{ kind: 'put', key, value: encodeRegistration(node) }] });
}

/** Registrations sorted by node; those that do not validate are left out. */
export async function listNodes(store: MetadataStore, clusterName: string): Promise<NodeRegistration[]> {
  const { entries } = await store.list(clusterKeys(clusterName).nodePrefix);
  const nodes: NodeRegistration[] = [];
  for (const entry of entries) {
    try {
      nodes.push(decodeRegistration(entry.value));
    } catch (error) {
      if (!(error instanceof ForeshardError)) throw error;
    }
  }
  return nodes.sort((a, b) => a.nodeId - b.nodeId);
}

/** @returns undefined for a store that was never registered. */
export async function readStoreState(
  store: MetadataStore,
  clusterName: string,
  storeIdentity: string,
): Promise<StoreState | undefined> {
  const entry = await store.get(clusterKeys(clusterName).store(storeIdentity));
  return entry && decodeJson(storeState, `state of store ${storeIdentity}`, entry.value).state;
}

/**
 * Forms a cluster: contiguous runs of partitions, as Redis Cluster begins. May be run by several processes at once and
 * again after a crash; a cluster that exists is left alone.
 *
 * @param nodes every storage node with the id of its store; nodeIds dense from 0.
 * @throws ForeshardError FORESHARD_CONFIG when the cluster exists with another partition count.
 */
export async function bootstrapCluster(
  store: MetadataStore,
  clusterName: string,
  options: { partitionCount: number; nodes: readonly { nodeId: number; storeId: string }[] },
): Promise<void> {
  const { partitionCount } = options;
  assertPartitionCount(partitionCount);
  const codec = recordCodec(clusterName);
  const existing = await store.get(codec.keys.cluster);
  if (existing) return assertSamePartitionCount(existing.value, partitionCount);

  const nodes = [...options.nodes].sort((a, b) => a.nodeId - b.nodeId);
  if (nodes.length === 0 || nodes.some((node, index) => node.nodeId !== index))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      'storage nodes must be numbered from 0 without gaps',
    );
  const first = contiguousMap(partitionCount, nodes.length);
  for (let missing = await missingPartitions(store, codec, partitionCount); missing.length > 0; ) {
    const batch = missing.slice(0, BOOTSTRAP_BATCH);
    // Whoever loses a race for a key finds it present in the next round.
    await store.commit({
      conditions: batch.map((p) => ({ key: codec.keys.map(p), revisionIs: 0 })),
      writes: batch.map((p) => {
        const owner = first.ownerOf[p] as number;
        const record: PartitionRecord = {
          partitionId: asPartitionId(p),
          ownerNodeId: asNodeId(owner),
          ownerStoreId: (nodes[owner] as { storeId: string }).storeId,
          epoch: asEpoch(1),
          ownedSinceMs: 0,
          migrationSeq: 0,
          migration: null,
        };
        return { kind: 'put', key: codec.keys.map(p), value: codec.encodePartition(record) };
      }),
    });
    missing = await missingPartitions(store, codec, partitionCount);
  }
  await store.commit({
    conditions: [{ key: codec.keys.cluster, revisionIs: 0 }],
    writes: [
      { kind: 'put', key: codec.keys.cluster, value: encodeJson({ v: 1, partitionCount }) },
      ...nodes.map((node) => ({
        kind: 'put' as const,
        key: codec.keys.store(node.storeId),
        value: encodeJson({ state: 'active' }),
      })),
    ],
  });
}

async function missingPartitions(
  store: MetadataStore,
  codec: RecordCodec,
  partitionCount: number,
): Promise<number[]> {
  const { entries } = await store.list(codec.keys.mapPrefix);
  const present = new Set(entries.map((entry) => entry.key));
  return Array.from({ length: partitionCount }, (_, p) => p).filter((p) => !present.has(codec.keys.map(p)));
}

function assertSamePartitionCount(bytes: Uint8Array, partitionCount: number): void {
  const found = decodeJson(cluster, 'cluster record', bytes).partitionCount;
  if (found !== partitionCount)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `the cluster was formed with ${found} partitions, the settings say ${partitionCount}: use ${found}`,
    );
}

export interface LoadedMap {
  readonly map: PartitionMap;
  /** [partition]; null where the record is missing or not valid: its owner in `map` is NO_OWNER, its epoch 0. */
  readonly records: readonly (PartitionRecord | null)[];
  /** [partition], metadata revision of the record; 0 where it is missing. */
  readonly revisions: readonly number[];
  readonly quarantined: readonly { readonly partitionId: number; readonly why: string }[];
  /** Store revision at which all of this was read. */
  readonly revision: number;
}

interface CachedRecord {
  readonly revision: number;
  readonly record: PartitionRecord | null;
  readonly why: string;
}

/** Reads the map, linearizably; remembers decoded records by their revision, since most do not change between reads. */
export class ClusterMapReader {
  readonly #store: MetadataStore;
  readonly #codec: RecordCodec;
  readonly #cached = new Map<string, CachedRecord>();
  #partitionCount = 0;

  constructor(store: MetadataStore, clusterName: string) {
    this.#store = store;
    this.#codec = recordCodec(clusterName);
  }

  /** @throws ForeshardError FORESHARD_NOT_READY until the cluster has been formed. */
  async load(): Promise<LoadedMap> {
    const partitionCount = await this.#loadPartitionCount();
    const { entries, revision } = await this.#store.list(this.#codec.keys.mapPrefix);
    const found = new Map(entries.map((entry) => [entry.key, entry]));
    const map = {
      partitionCount,
      ownerOf: new Int32Array(partitionCount).fill(NO_OWNER),
      epochOf: new Uint32Array(partitionCount),
    };
    const records: (PartitionRecord | null)[] = [];
    const revisions: number[] = [];
    const quarantined: { partitionId: number; why: string }[] = [];
    for (let p = 0; p < partitionCount; p++) {
      const key = this.#codec.keys.map(p);
      const entry = found.get(key);
      const { record, why } = entry
        ? this.#decode(p, key, entry.revision, entry.value)
        : { record: null, why: 'the record is missing' };
      records.push(record);
      revisions.push(entry?.revision ?? 0);
      if (record) {
        map.ownerOf[p] = record.ownerNodeId;
        map.epochOf[p] = record.epoch;
      } else quarantined.push({ partitionId: p, why });
    }
    return { map, records, revisions, quarantined, revision };
  }

  /** One record, linearizably. @throws ForeshardError FORESHARD_CORRUPT when it does not validate. */
  async readPartition(partitionId: number): Promise<PartitionRecord | undefined> {
    const key = this.#codec.keys.map(partitionId);
    const entry = await this.#store.get(key);
    if (!entry) return undefined;
    const { record, why } = this.#decode(partitionId, key, entry.revision, entry.value);
    if (record === null) throw new ForeshardError('FORESHARD_CORRUPT', 'report', why);
    return record;
  }

  #decode(partitionId: number, key: string, revision: number, bytes: Uint8Array): CachedRecord {
    const cached = this.#cached.get(key);
    if (cached?.revision === revision) return cached;
    let fresh: CachedRecord;
    try {
      fresh = { revision, record: this.#codec.decodePartition(partitionId, bytes), why: '' };
    } catch (error) {
      if (!(error instanceof ForeshardError)) throw error;
      fresh = { revision, record: null, why: error.message };
    }
    this.#cached.set(key, fresh);
    return fresh;
  }

  async #loadPartitionCount(): Promise<number> {
    if (this.#partitionCount > 0) return this.#partitionCount; // never changes once formed
    const entry = await this.#store.get(this.#codec.keys.cluster);
    if (!entry)
      throw new ForeshardError('FORESHARD_NOT_READY', 'wait', 'the cluster has not been formed yet');
    this.#partitionCount = decodeJson(cluster, 'cluster record', entry.value).partitionCount;
    assertPartitionCount(this.#partitionCount);
    return this.#partitionCount;
  }
}

/** Reads the map once. */
export const loadMap = (store: MetadataStore, clusterName: string): Promise<LoadedMap> =>
  new ClusterMapReader(store, clusterName).load();
