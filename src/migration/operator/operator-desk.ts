import type { Random } from '../../base/random.ts';
import { asEpoch, asNodeId, type NodeId } from '../../model/ids.ts';
import type { MigrationCommand, PartitionRecord } from '../../model/migration.ts';
import type { MetadataWrite } from '../../ports/metadata-store.ts';
import type { NodeMigrationStatus } from '../../ports/storage-engine.ts';
import type { CoordinatorParts } from '../coordinator-parts.ts';
import { listLeftovers } from '../leftovers.ts';
import type { MigrationLedger } from '../progress/ledger.ts';
import type { PendingRequest } from '../records/controls.ts';
import { isOpen, type OpenRecord } from '../records/record-changes.ts';
import type { AuditRecord } from '../records/records.ts';
import { openingWrite, outcomeOf, transitionWrites } from '../records/transition-writes.ts';
import type { MigrationSettings } from '../settings.ts';
import {
  answerCancel,
  answerRollback,
  answerTakeover,
  type RequestAnswer,
  refuseRollback,
  type TakeoverFacts,
} from './operator-requests.ts';
import { closingWrites, heard, RequestWork, TOO_LATE } from './request-work.ts';

export interface OperatorDeskComponents extends CoordinatorParts {
  readonly random: Random;
  readonly ledger: MigrationLedger;
  readonly isRetired: (storeId: string) => boolean;
}

/**
 * Carries out what operators ask for of a partition: asks the nodes, decides, and commits the answer, the audit record and
 * the end of the request in one transaction. A request whose commit is lost is found again at the next tick.
 */
export class OperatorDesk {
  readonly #settings: MigrationSettings;
  readonly #components: OperatorDeskComponents;
  readonly #work: RequestWork;

  constructor(settings: MigrationSettings, components: OperatorDeskComponents) {
    this.#settings = settings;
    this.#components = components;
    this.#work = new RequestWork(components.logger);
  }

  attend(
    requests: readonly PendingRequest[],
    recordOf: (partitionId: number) => { readonly record: PartitionRecord; readonly revision: number } | null,
  ): void {
    for (const pending of requests)
      this.#work.take(pending.key, () => this.#answer(pending, recordOf(pending.request.partitionId)));
  }

  settled(): Promise<void> {
    return this.#work.settled();
  }

  async #answer(
    pending: PendingRequest,
    found: { readonly record: PartitionRecord; readonly revision: number } | null,
  ): Promise<void> {
    const { clock } = this.#components;
    const { request } = pending;
    if (clock.nowMs() > request.expiresAtMs) return this.#refuse(pending, TOO_LATE);
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
    const { engine, clock, random, ledger, isRetired } = this.#components;
    const statusAt = (nodeId: NodeId) =>
      engine.status(nodeId, commandOf(record, Math.max(1, record.migrationSeq)));
    const targetNodeId = asNodeId(takeover.targetNodeId);
    const target = heard(
      engine.nodeStatistics(targetNodeId).then(async ({ storeId }) => ({
        storeId,
        isRetired: isRetired(storeId),
        status: await statusAt(targetNodeId),
      })),
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

  /** What other nodes have that the partition's records name: its open migration, and clean-ups of earlier ones. */
  async #copiesBeside(
    { partitionId, ownerNodeId, migration }: PartitionRecord,
    targetNodeId: NodeId,
    statusAt: (nodeId: NodeId) => Promise<NodeMigrationStatus>,
  ): Promise<TakeoverFacts['otherCopies']> {
    const { isRetired } = this.#components;
    const stores = new Map<string, number>();
    if (migration) {
      stores.set(migration.sourceStoreId, migration.sourceNodeId);
      stores.set(migration.targetStoreId, migration.targetNodeId);
    }
    for (const { storeId, cleanup } of await listLeftovers(this.#components, { partitionId }))
      if (cleanup.nodeId !== undefined) stores.set(storeId, cleanup.nodeId);
    const nodeIds = new Set([...stores].flatMap(([storeId, nodeId]) => (isRetired(storeId) ? [] : [nodeId])));
    nodeIds.delete(targetNodeId);
    nodeIds.delete(ownerNodeId);
    return Promise.all(
      [...nodeIds].map(async (nodeId) => ({ nodeId, status: await heard(statusAt(asNodeId(nodeId))) })),
    );
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

  #closingWrites(pending: PendingRequest, outcome: AuditRecord['outcome'], message: string): MetadataWrite[] {
    const { codec, clock } = this.#components;
    const { action, partitionId } = pending.request;
    return closingWrites(pending, { atMs: clock.nowMs(), action, partitionId, outcome, message }, codec);
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
