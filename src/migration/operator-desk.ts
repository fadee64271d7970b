import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import { asEpoch, asNodeId, type NodeId } from '../model/ids.ts';
import type { MigrationCommand, PartitionRecord } from '../model/migration.ts';
import type { MetadataWrite } from '../ports/metadata-store.ts';
import type { NodeMigrationStatus, StorageEngine } from '../ports/storage-engine.ts';
import type { Committer } from './committer.ts';
import type { PendingRequest } from './controls.ts';
import type { MigrationLedger } from './ledger.ts';
import {
  answerCancel,
  answerRollback,
  answerTakeover,
  type Heard,
  type RequestAnswer,
  refuseRollback,
} from './operator-requests.ts';
import { isOpen, type OpenRecord } from './record-changes.ts';
import type { AuditRecord, RecordCodec } from './records.ts';
import type { MigrationSettings } from './settings.ts';
import { openingWrite, outcomeOf, transitionWrites } from './transition-writes.ts';

export interface OperatorDeskComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly engine: StorageEngine;
  readonly codec: RecordCodec;
  readonly committer: Committer;
  readonly ledger: MigrationLedger;
}

/**
 * Carries out what operators ask for: asks the nodes, decides, and commits the answer, the audit record and the end of the
 * request in one transaction. A request whose commit is lost is found again at the next tick.
 */
export class OperatorDesk {
  readonly #settings: MigrationSettings;
  readonly #components: OperatorDeskComponents;
  readonly #inHand = new Map<string, Promise<void>>();

  constructor(settings: MigrationSettings, components: OperatorDeskComponents) {
    this.#settings = settings;
    this.#components = components;
  }

  /** Begins with every request that is not in hand already: a node that does not answer must not hold up the tick. */
  attend(
    requests: readonly PendingRequest[],
    recordOf: (partitionId: number) => { readonly record: PartitionRecord; readonly revision: number } | null,
  ): void {
    for (const pending of requests) {
      if (this.#inHand.has(pending.key)) continue;
      const { request } = pending;
      const work = this.#answer(pending, recordOf(request.partitionId))
        .catch((error) =>
          this.#components.logger.warn(
            { partitionId: request.partitionId, error: String(error) },
            'a request of an operator could not be answered, it is tried again',
          ),
        )
        .finally(() => this.#inHand.delete(pending.key));
      this.#inHand.set(pending.key, work);
    }
  }

  async settled(): Promise<void> {
    while (this.#inHand.size > 0) await Promise.all(this.#inHand.values());
  }

  async #answer(
    pending: PendingRequest,
    found: { readonly record: PartitionRecord; readonly revision: number } | null,
  ): Promise<void> {
    const { clock } = this.#components;
    const { request } = pending;
    if (clock.nowMs() > request.expiresAtMs)
      return this.#refuse(pending, 'no coordinator was there in time; nothing was done: ask again');
    if (found === null)
      return this.#refuse(
        pending,
        `partition ${request.partitionId} has no valid record (see foreshard map)`,
      );
    const answer = await this.#decide(pending, found.record);
    if (answer.kind === 'refuse') return this.#refuse(pending, answer.why);
    await this.#carryOut(pending, found, answer);
  }

  #decide({ request }: PendingRequest, record: PartitionRecord): RequestAnswer | Promise<RequestAnswer> {
    if (request.action === 'cancel') {
      const nowMs = this.#components.clock.nowMs();
      return answerCancel(record, request, { settings: this.#settings, nowMs });
    }
    return request.action === 'rollback'
      ? this.#decideRollback(request, record)
      : this.#decideTakeover(request, record);
  }

  async #decideRollback(request: PendingRequest['request'], record: PartitionRecord): Promise<RequestAnswer> {
    const refusal = refuseRollback(record);
    if (refusal !== null || !isOpen(record)) return refusal as RequestAnswer;
    const { engine, clock } = this.#components;
    const { migration } = record;
    const command = commandOf(record, migration.migrationId);
    const facts = {
      canFollow: engine.capabilities.reverseStream,
      follower: await heard(engine.status(migration.sourceNodeId, command)),
      owner: await heard(engine.status(migration.targetNodeId, command)),
    };
    return answerRollback(record, request, facts, { settings: this.#settings, nowMs: clock.nowMs() });
  }

  async #decideTakeover(request: PendingRequest['request'], record: PartitionRecord): Promise<RequestAnswer> {
    const { takeover } = request;
    if (!takeover) return { kind: 'refuse', why: 'the request does not say which store is lost' };
    const { engine, clock, random, ledger } = this.#components;
    const statusAt = (nodeId: NodeId) =>
      engine.status(nodeId, commandOf(record, Math.max(1, record.migrationSeq)));
    const targetNodeId = asNodeId(takeover.targetNodeId);
    const target = heard(
      engine
        .nodeStatistics(targetNodeId)
        .then(async ({ storeId }) => ({ storeId, status: await statusAt(targetNodeId) })),
    );
    const facts = {
      ownerStoreId: await heard(engine.nodeStatistics(record.ownerNodeId).then(({ storeId }) => storeId)),
      target: await target,
      otherCopies: await this.#copiesBeside(record, targetNodeId, statusAt),
      lastOwnerLsn: ledger.ownerLsnOf(record.partitionId),
      digestSeed: random.nextU64().toString(16).padStart(16, '0'),
    };
    return answerTakeover(record, { ...request, takeover }, facts, clock.nowMs());
  }

  async #copiesBeside(
    { ownerNodeId, migration }: PartitionRecord,
    targetNodeId: NodeId,
    statusAt: (nodeId: NodeId) => Promise<NodeMigrationStatus>,
  ): Promise<{ nodeId: number; status: NodeMigrationStatus }[]> {
    const parties = new Set(migration ? [migration.sourceNodeId, migration.targetNodeId] : []);
    const copies: { nodeId: number; status: NodeMigrationStatus }[] = [];
    for (const nodeId of parties) {
      if (nodeId === targetNodeId || nodeId === ownerNodeId) continue;
      const status = await heard(statusAt(nodeId));
      if ('answer' in status) copies.push({ nodeId, status: status.answer });
    }
    return copies;
  }

  async #carryOut(
    pending: PendingRequest,
    found: { readonly record: PartitionRecord; readonly revision: number },
    answer: Extract<RequestAnswer, { kind: 'do' }>,
  ): Promise<void> {
    const { clock, codec, committer, ledger, logger } = this.#components;
    const { request, key, revision } = pending;
    const { record: before } = found;
    const { record: after, message, retiresStoreId } = answer;
    const nowMs = clock.nowMs();
    const writes: MetadataWrite[] = this.#closingWrites(pending, 'done', message);
    if (retiresStoreId !== undefined)
      writes.push({
        kind: 'put',
        key: codec.keys.store(retiresStoreId),
        value: codec.encodeStoreState('retired'),
      });
    const outcome = isOpen(before) ? outcomeOf(before, after) : null;
    if (isOpen(before)) {
      const history = outcome && ledger.historyOf(before, outcome, after.migration.migrationId);
      writes.push(...transitionWrites({ before, after, history, nowMs }, codec));
    } else writes.push(openingWrite(after, codec, nowMs));
    const committed = await committer.commitRecord(after, found.revision, writes, [
      { key, revisionIs: revision },
    ]);
    if (committed === null) return;
    const { partitionId, action, by, reason } = request;
    logger.warn({ partitionId, action, by, reason, message }, 'done by order of an operator');
    if (isOpen(before) && outcome !== null) ledger.ended(before, outcome);
  }

  async #refuse(pending: PendingRequest, why: string): Promise<void> {
    const { committer } = this.#components;
    const { key, revision } = pending;
    await committer.commit([{ key, revisionIs: revision }], this.#closingWrites(pending, 'refused', why));
  }

  #closingWrites(
    { key, request }: PendingRequest,
    outcome: AuditRecord['outcome'],
    message: string,
  ): MetadataWrite[] {
    const { codec, clock } = this.#components;
    const { requestId, action, partitionId, by, reason } = request;
    const audit = { requestId, atMs: clock.nowMs(), action, partitionId, by, reason, outcome, message };
    return [
      { kind: 'delete', key },
      { kind: 'put', key: codec.keys.audit(requestId), value: codec.encodeAudit(audit) },
    ];
  }
}

const commandOf = (
  { partitionId, epoch }: PartitionRecord | OpenRecord,
  migrationId: number,
): MigrationCommand => ({
  partitionId,
  migrationId,
  epoch: asEpoch(epoch),
});

async function heard<T>(question: Promise<T>): Promise<Heard<T>> {
  try {
    return { answer: await question };
  } catch (error) {
    return { silence: error instanceof Error ? error.message : String(error) };
  }
}
