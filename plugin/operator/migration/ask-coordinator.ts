import { setTimeout as delay } from 'node:timers/promises';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { AuditRecord, OperatorAction, TakeoverRequest } from '../../../src/migration/records.ts';
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
  const why = await whyNoCoordinator(metadata, clusterName);
  if (why !== null) throw nobodyAnswers(why);
  const atMs = Date.now();
  const requestId = newRequestId(atMs);
  const key = codec.keys.request(order.partitionId);
  const request = { ...order, requestId, by: whoAsks(), atMs, expiresAtMs: atMs + answerMsMax };
  const { isCommitted } = await metadata.commit({
    conditions: [{ key, revisionIs: 0 }],
    writes: [{ kind: 'put', key, value: codec.encodeRequest(request) }],
  });
  if (!isCommitted) await throwOther(metadata, codec, order.partitionId);
  const deadlineMs = performance.now() + answerMsMax;
  while (performance.now() < deadlineMs) {
    const answer = await metadata.get(codec.keys.audit(requestId));
    if (answer) return decodeAudit(answer.value);
    await delay(LOOK_MS);
  }
  return takeBack(metadata, clusterName, { key, requestId });
}

type Codec = ReturnType<typeof recordCodec>;

async function throwOther(metadata: MetadataStore, codec: Codec, partitionId: number): Promise<never> {
  const entry = await metadata.get(codec.keys.request(partitionId));
  const other = entry && codec.decodeRequest(entry.value);
  const what = other ? `${other.by} asked for ${other.action}` : 'somebody asked for something';
  throw new ForeshardError(
    'FORESHARD_CONFLICT',
    'retry',
    `partition ${partitionId}: ${what} a moment ago, and has no answer yet: try again in half a minute`,
  );
}

/** The coordinator's commit and this one exclude each other: what is taken back is not done later. */
async function takeBack(
  metadata: MetadataStore,
  clusterName: string,
  { key, requestId }: { readonly key: string; readonly requestId: string },
): Promise<AuditRecord> {
  const codec = recordCodec(clusterName);
  const entry = await metadata.get(key);
  const isOurs = entry !== undefined && codec.decodeRequest(entry.value).requestId === requestId;
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
