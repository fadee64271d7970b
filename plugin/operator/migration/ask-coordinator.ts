import { setTimeout as delay } from 'node:timers/promises';
import { ForeshardError } from '../../../src/base/errors.ts';
import type {
  AuditRecord,
  CoordinatorRequest,
  OperatorAction,
  TakeoverRequest,
} from '../../../src/migration/records/records.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { coordinatorText, readCoordinator, whyNoCoordinator } from '../../metadata/coordinator-status.ts';
import { decodeAudit, recordCodec } from '../../metadata/record-codec.ts';
import { newRequestId, whoAsks } from './order.ts';

export interface Order {
  readonly action: OperatorAction;
  readonly partitionId: number;
  readonly reason: string;
  readonly takeover?: TakeoverRequest;
}

export interface RetirementOrder {
  readonly storeId: string;
  readonly reason: string;
  readonly isConfirmed: boolean;
}

/** A coordinator that has just been elected, and nodes that do not answer, take some seconds. */
const ANSWER_MS_MAX = 30_000;
const LOOK_MS = 50;

/**
 * Leaves a request for the coordinator and waits for its answer: only the coordinator changes the map.
 *
 * @throws ForeshardError FORESHARD_CONFLICT while another request for the partition waits; FORESHARD_UNAVAILABLE when no
 * coordinator answered in time: the request has been taken back then, and nothing was done.
 */
export async function askCoordinator(
  metadata: MetadataStore,
  clusterName: string,
  order: Order,
  answerMsMax = ANSWER_MS_MAX,
): Promise<AuditRecord> {
  const codec = recordCodec(clusterName);
  const head = headOf(answerMsMax);
  const key = codec.keys.request(order.partitionId);
  return ask(metadata, clusterName, {
    key,
    requestId: head.requestId,
    value: codec.encodeRequest({ ...order, ...head }),
    requestIdIn: (value) => codec.decodeRequest(value).requestId,
    answerMsMax,
    describeOther(value) {
      const { by, action, partitionId } = codec.decodeRequest(value);
      return `partition ${partitionId}: ${by} asked for ${action}`;
    },
  });
}

/** The same about a store. @throws ForeshardError as above, FORESHARD_CONFLICT while another request for the store waits. */
export async function askToRetire(
  metadata: MetadataStore,
  clusterName: string,
  order: RetirementOrder,
  answerMsMax = ANSWER_MS_MAX,
): Promise<AuditRecord> {
  const codec = recordCodec(clusterName);
  const head = headOf(answerMsMax);
  return ask(metadata, clusterName, {
    key: codec.keys.retirement(order.storeId),
    requestId: head.requestId,
    value: codec.encodeRetirement({ ...order, ...head }),
    requestIdIn: (value) => codec.decodeRetirement(value).requestId,
    answerMsMax,
    describeOther(value) {
      const { by, storeId } = codec.decodeRetirement(value);
      return `store ${storeId}: ${by} asked for its retirement`;
    },
  });
}

function headOf(answerMsMax: number): Omit<CoordinatorRequest, 'reason'> {
  const atMs = Date.now();
  return { requestId: newRequestId(atMs), by: whoAsks(), atMs, expiresAtMs: atMs + answerMsMax };
}

interface Question {
  readonly key: string;
  readonly requestId: string;
  readonly value: Uint8Array;
  /** The id of a request under the same key. */
  readonly requestIdIn: (value: Uint8Array) => string;
  readonly answerMsMax: number;
  /** What somebody else has asked for under the same key. */
  readonly describeOther: (value: Uint8Array) => string;
}

async function ask(metadata: MetadataStore, clusterName: string, question: Question): Promise<AuditRecord> {
  const { keys } = recordCodec(clusterName);
  const { key, requestId, value, answerMsMax } = question;
  const why = await whyNoCoordinator(metadata, clusterName);
  if (why !== null) throw nobodyAnswers(why);
  const { isCommitted } = await metadata.commit({
    conditions: [{ key, revisionIs: 0 }],
    writes: [{ kind: 'put', key, value }],
  });
  if (!isCommitted) await throwOther(metadata, question);
  const deadlineMs = performance.now() + answerMsMax;
  while (performance.now() < deadlineMs) {
    const answer = await metadata.get(keys.audit(requestId));
    if (answer) return decodeAudit(answer.value);
    await delay(LOOK_MS);
  }
  return takeBack(metadata, clusterName, question);
}

async function throwOther(metadata: MetadataStore, { key, describeOther }: Question): Promise<never> {
  const entry = await metadata.get(key);
  const what = entry ? describeOther(entry.value) : 'somebody asked for something';
  throw new ForeshardError(
    'FORESHARD_CONFLICT',
    'retry',
    `${what} a moment ago, and has no answer yet: try again in half a minute`,
  );
}

/** The coordinator's commit and this one exclude each other: what is taken back is not done later. */
async function takeBack(
  metadata: MetadataStore,
  clusterName: string,
  { key, requestId, requestIdIn }: Question,
): Promise<AuditRecord> {
  const codec = recordCodec(clusterName);
  const entry = await metadata.get(key);
  const isOurs = entry !== undefined && requestIdIn(entry.value) === requestId;
  const isTakenBack =
    isOurs &&
    (
      await metadata.commit({
        conditions: [{ key, revisionIs: entry.revision }],
        writes: [{ kind: 'delete', key }],
      })
    ).isCommitted;
  const answer = isTakenBack ? undefined : await metadata.get(codec.keys.audit(requestId));
  if (answer) return decodeAudit(answer.value);
  const status = await readCoordinator(metadata, clusterName, Date.now());
  throw nobodyAnswers(`the coordinator did not answer (${coordinatorText(status)})`);
}

const nobodyAnswers = (why: string): ForeshardError =>
  new ForeshardError(
    'FORESHARD_UNAVAILABLE',
    'retry',
    `${why}; nothing was done. A query node whose plugin is attached has to run: it is the coordinator`,
  );
