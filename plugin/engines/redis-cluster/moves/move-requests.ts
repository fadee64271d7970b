import type { Clock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import type { Logger } from '../../../../src/base/logger.ts';
import type { AuditRecord, OperatorRequest } from '../../../../src/migration/records/records.ts';
import type {
  MetadataCondition,
  MetadataStore,
  MetadataWrite,
} from '../../../../src/ports/metadata-store.ts';
import { recordCodec } from '../../../metadata/record-codec.ts';
import { encodeSlotMove, type SlotMoveRecord, slotMoveKey } from './move-record.ts';

/** Orders of operators that concern moves which are open. Every answer carries the leader's fence, and stands in the audit. */
export class MoveRequests {
  readonly #clusterName: string;
  readonly #components: { readonly metadata: MetadataStore; readonly clock: Clock; readonly logger: Logger };
  readonly #codec: ReturnType<typeof recordCodec>;

  constructor(
    clusterName: string,
    components: { readonly metadata: MetadataStore; readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#clusterName = clusterName;
    this.#components = components;
    this.#codec = recordCodec(clusterName);
  }

  /**
   * A cancel of an open move is taken up, all else is answered with why not.
   *
   * @throws ForeshardError FORESHARD_CONFLICT when another agent is the leader, or somebody was faster.
   */
  async answer(open: readonly SlotMoveRecord[], fence: MetadataCondition): Promise<void> {
    const { metadata, logger } = this.#components;
    const { entries } = await metadata.list(this.#codec.keys.requestPrefix);
    for (const { key, value, revision } of entries) {
      let request: OperatorRequest;
      try {
        request = this.#codec.decodeRequest(value);
      } catch (error) {
        logger.warn({ key, fault: (error as Error).message }, 'a request cannot be read');
        continue;
      }
      const record = open.find(({ partitionId }) => partitionId === request.partitionId);
      const result = await metadata.commit({
        conditions: [fence, { key, revisionIs: revision }],
        writes: [{ kind: 'delete', key }, ...this.#answerWrites(request, record)],
      });
      if (!result.isCommitted)
        throw new ForeshardError('FORESHARD_CONFLICT', 're-read', `${result.failed.key} has changed`);
    }
  }

  #answerWrites(request: OperatorRequest, record: SlotMoveRecord | undefined): MetadataWrite[] {
    const { requestId, action, partitionId, by, reason } = request;
    const atMs = this.#components.clock.nowMs();
    const answer = answerTo(request, record, atMs);
    const audit: AuditRecord = { requestId, atMs, action, partitionId, by, reason, ...answer };
    const told: MetadataWrite = {
      kind: 'put',
      key: this.#codec.keys.audit(requestId),
      value: this.#codec.encodeAudit(audit),
    };
    if (record === undefined || answer.outcome !== 'done') return [told];
    return [
      told,
      {
        kind: 'put',
        key: slotMoveKey(this.#clusterName, partitionId),
        value: encodeSlotMove({ ...record, cancelledFor: reason }),
      },
    ];
  }
}

function answerTo(
  { action, expiresAtMs }: OperatorRequest,
  record: SlotMoveRecord | undefined,
  nowMs: number,
): Pick<AuditRecord, 'outcome' | 'message'> {
  const refused = (message: string): Pick<AuditRecord, 'outcome' | 'message'> => ({
    outcome: 'refused',
    message,
  });
  if (expiresAtMs < nowMs) return refused('it came too late');
  if (action !== 'cancel')
    return refused(
      `Redis Cluster has no ${action}: slots that have moved are moved back by a move of their own`,
    );
  if (record === undefined) return refused('no move of this partition is open');
  return {
    outcome: 'done',
    message: 'no more slots are opened; those with keys on both sides are finished, the others closed',
  };
}
