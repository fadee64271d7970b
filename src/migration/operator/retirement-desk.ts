import { asNodeId } from '../../model/ids.ts';
import type { PartitionRecord } from '../../model/migration.ts';
import type { MetadataCondition } from '../../ports/metadata-store.ts';
import type { CoordinatorParts } from '../coordinator-parts.ts';
import { listLeftovers } from '../leftovers.ts';
import type { Controls, PendingRetirement } from '../records/controls.ts';
import { closingWrites, heard, RequestWork, TOO_LATE } from './request-work.ts';
import {
  answerRetirement,
  isPartyTo,
  type RetirementAnswer,
  type RetirementFacts,
  standsInTheWay,
} from './retirement.ts';

/** States of stores as they were read at one tick. */
type Stores = Pick<Controls, 'retiredStoreIds' | 'storeRevisions'>;
type Records = readonly (PartitionRecord | null)[];

/**
 * Retires stores that operators say are lost for good. While a request stands no commit makes its store an owner (see
 * `unlessRetired`), so a map that is read after it tells for good whether the store owns anything; and the commit that retires
 * it is conditioned on the request. What waits for the store ends by its own steps, which ask nothing of a retired one.
 */
export class RetirementDesk {
  readonly #components: CoordinatorParts;
  readonly #work: RequestWork;

  constructor(components: CoordinatorParts) {
    this.#components = components;
    this.#work = new RequestWork(components.logger);
  }

  /** @param readRecords reads the map anew. */
  attend(
    requests: readonly PendingRetirement[],
    stores: Stores,
    readRecords: () => Promise<{ readonly records: Records }>,
  ): void {
    for (const pending of requests)
      this.#work.take(pending.key, async () => {
        const { records } = await readRecords();
        await this.#close(pending, stores, await this.#decide(pending, stores, records));
      });
  }

  settled(): Promise<void> {
    return this.#work.settled();
  }

  async #decide({ request }: PendingRetirement, stores: Stores, records: Records): Promise<RetirementAnswer> {
    if (this.#components.clock.nowMs() > request.expiresAtMs) return { kind: 'refuse', why: TOO_LATE };
    return answerRetirement(request, records, await this.#factsOf(request.storeId, stores, records));
  }

  async #factsOf(
    storeId: string,
    { retiredStoreIds, storeRevisions }: Stores,
    records: Records,
  ): Promise<RetirementFacts> {
    const cleanups = (await listLeftovers(this.#components)).filter((left) => left.storeId === storeId);
    const isNamed = records.some(
      (record) =>
        record?.ownerStoreId === storeId || (record?.migration && isPartyTo(record.migration, storeId)),
    );
    const isKnown = isNamed || cleanups.length > 0 || storeRevisions.has(storeId);
    const state = retiredStoreIds.has(storeId) ? 'retired' : isKnown ? 'present' : null;
    // Nodes that are silent take their time: they are not asked for nothing.
    const isRefused = standsInTheWay(storeId, records, state) !== null;
    const answeringNodeId = isRefused ? null : await this.#nodeWith(storeId, records);
    return { state, answeringNodeId, cleanupCount: cleanups.length };
  }

  /** Asks every node there is: a disk may have been put into another machine. */
  async #nodeWith(storeId: string, records: Records): Promise<number | null> {
    const { engine, metadata, codec } = this.#components;
    const { nodePrefix } = codec.keys;
    const { entries } = await metadata.list(nodePrefix);
    const nodeIds = new Set(entries.map(({ key }) => Number(key.slice(nodePrefix.length))));
    for (const record of records) {
      if (record) nodeIds.add(record.ownerNodeId);
      if (record?.migration) nodeIds.add(record.migration.sourceNodeId).add(record.migration.targetNodeId);
    }
    const asked = [...nodeIds].filter(Number.isSafeInteger).map(async (nodeId) => {
      const said = await heard(engine.nodeStatistics(asNodeId(nodeId)));
      return 'answer' in said && said.answer.storeId === storeId ? nodeId : null;
    });
    return (await Promise.all(asked)).find((nodeId) => nodeId !== null) ?? null;
  }

  async #close(pending: PendingRetirement, stores: Stores, answer: RetirementAnswer): Promise<void> {
    const { committer, codec, clock, logger } = this.#components;
    const { key, revision, request } = pending;
    const { storeId, by, reason } = request;
    const isDone = answer.kind === 'do';
    const message = isDone ? answer.message : answer.why;
    const conditions: MetadataCondition[] = [{ key, revisionIs: revision }];
    const writes = closingWrites(
      pending,
      {
        atMs: clock.nowMs(),
        action: 'retire',
        partitionId: null,
        outcome: isDone ? 'done' : 'refused',
        message,
      },
      codec,
    );
    if (isDone) {
      const storeKey = codec.keys.store(storeId);
      conditions.push({ key: storeKey, revisionIs: stores.storeRevisions.get(storeId) ?? 0 });
      writes.push({ kind: 'put', key: storeKey, value: codec.encodeStoreState('retired') });
    }
    const committed = await committer.commit(conditions, writes);
    if (isDone && committed !== null)
      logger.warn({ storeId, by, reason, message }, 'a store is retired by order of an operator');
  }
}
