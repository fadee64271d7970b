import type { Logger } from '../../../../src/base/logger.ts';
import type { RedisSettings } from '../../../../src/redis-settings.ts';
import type { AtomicKind } from '../atomic/atomic-jobs.ts';
import type { AtomicMover, JobOrder } from '../atomic/atomic-mover.ts';
import type { CopiesRecord, CopyFirstMover } from '../copy-first/copy-first-mover.ts';
import { scanForBigKeys } from '../slots/big-keys.ts';
import { closeUnmoved } from '../slots/move-slots.ts';
import type { MoveProgress, SlotMover } from '../slots/slot-mover.ts';
import {
  type BigKey,
  type FullSlot,
  type SlotMove,
  type SlotMoveOutcome,
  SlotMoveStopped,
} from '../steps/slot-move.ts';
import type { ClusterView } from '../topology/cluster-view.ts';
import type { Shard } from '../topology/shards.ts';
import type { ClusterTopology, MasterNode } from '../topology/topology.ts';
import { hasBlindReaders, isNamedBy, moveRefusal, type SidesState, withShardMembers } from './guards.ts';
import type { SlotMoveRecord } from './move-record.ts';

export interface PartitionMoveComponents {
  /** As it was read a moment ago. */
  readonly topology: ClusterTopology;
  readonly shards: readonly Shard[];
  readonly mover: SlotMover;
  readonly atomicMover: AtomicMover;
  readonly copyFirstMover: CopyFirstMover;
  readonly view: ClusterView;
  readonly logger: Logger;
  /** Whether more slots may be opened: no pause, no cancel, no end of the process. It is told how many the target has. */
  readonly mayOpen: (record: SlotMoveRecord, movedSlots: number) => Promise<boolean>;
  /** Writes down what copies there may be, or that there are none; null for none. */
  readonly noteCopies: (record: SlotMoveRecord, copies: CopiesRecord | null) => Promise<void>;
  /** What becomes of a migration that the servers carry out by themselves. */
  readonly orderOf: (record: SlotMoveRecord, movedSlots: number) => Promise<JobOrder>;
}

/** What a plan, or whoever approves a part of it, asks for. */
export interface AskedMove {
  readonly partitionId: number;
  /** Shards, by number. */
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  readonly sizeBytes: number;
  readonly reason: string;
}

export interface PartitionMoveOutcome {
  readonly movedSlots: number;
  readonly movedKeys: number;
  readonly sampledKeys: number;
  readonly differingKeys: readonly string[];
  /** On both sides with different contents after a failover: an operator has to say which count. */
  readonly conflictingKeys: readonly string[];
  /** Nothing is open, and nothing is left to do. */
  readonly isOver: boolean;
  /** The target owns all. */
  readonly isComplete: boolean;
  /** Why the servers have given it up. */
  readonly failure: string | null;
}

/** How many keys a message names. */
const NAMED_KEYS_MAX = 10;

/** One partition on its way to another shard: its slots may come from several masters. */
export class PartitionMove {
  readonly #settings: RedisSettings;
  readonly #components: PartitionMoveComponents;

  constructor(settings: RedisSettings, components: PartitionMoveComponents) {
    this.#settings = settings;
    this.#components = components;
  }

  /** What would be written down; null when the target is gone or owns all slots already. */
  draft(
    { partitionId, sourceNodeId, targetNodeId, sizeBytes, reason }: AskedMove,
    { firstSlot, lastSlot }: Pick<SlotMoveRecord, 'firstSlot' | 'lastSlot'>,
  ): Omit<SlotMoveRecord, 'moveId' | 'startedAtMs'> | null {
    const target = this.#masterOf(targetNodeId);
    if (target === undefined) return null;
    const sourceIds = [...this.#slotsBySource({ firstSlot, lastSlot }, target).keys()];
    if (sourceIds.length === 0) return null;
    return {
      v: 1,
      partitionId,
      sourceNodeId,
      targetNodeId,
      firstSlot,
      lastSlot,
      targetIds: [target.nodeId],
      sourceIds,
      sourceEpochs: this.#epochsOf(sourceIds),
      isSourcePromoted: false,
      sizeBytes,
      reason,
      cancelledFor: null,
    };
  }

  /** Why it may not begin; null when it may. */
  async refusal(draft: Omit<SlotMoveRecord, 'moveId' | 'startedAtMs'>): Promise<string | null> {
    const { mover, logger } = this.#components;
    const target = this.#masterOf(draft.targetNodeId) as MasterNode;
    const sides = await this.#sides(draft, target);
    const refusal = moveRefusal(sides, {
      ...this.#settings.slotMove,
      replicaReads: this.#settings.replicaReads,
    });
    if (refusal !== null) return refusal;
    if (hasBlindReaders(sides))
      logger.warn(
        { clients: sides.replicaReaderCount },
        'clients that read from replicas will miss moved keys',
      );
    for (const [sourceId, slots] of this.#slotsBySource(draft, target)) {
      // No MIGRATE, which holds both servers for as long as a key takes.
      if ((await this.#atomicKind({ sourceId, targetId: target.nodeId })) !== null) continue;
      const { bigKeys, fullSlots } = await mover.run(scanForBigKeys(sourceId, slots, mover.limits()));
      if (fullSlots.length > 0) return fullSlotsRefusal(fullSlots);
      if (bigKeys.length > 0) return bigKeysRefusal(bigKeys);
    }
    return null;
  }

  /** A master may have been replaced since: what is open is named by its former id. */
  async withPresentMasters(record: SlotMoveRecord): Promise<SlotMoveRecord> {
    const target = this.#masterOf(record.targetNodeId);
    if (target === undefined) return record;
    const present = [...this.#slotsBySource(record, target).keys()];
    const newSources = present.filter((id) => !record.sourceIds.includes(id));
    const isTargetNew = !record.targetIds.includes(target.nodeId);
    const runIds = await this.runIdsOf(present);
    const restarted = present.filter((id) => record.sourceRunIds?.[id] !== runIds[id]);
    const epochs = this.#epochsOf(present);
    const demoted = present.filter((id) => (record.sourceEpochs?.[id] ?? epochs[id]) !== epochs[id]);
    if (newSources.length + restarted.length + demoted.length === 0 && !isTargetNew) return record;
    return {
      ...record,
      sourceIds: [...record.sourceIds, ...newSources],
      targetIds: isTargetNew ? [...record.targetIds, target.nodeId] : record.targetIds,
      sourceRunIds: { ...record.sourceRunIds, ...runIds },
      sourceEpochs: { ...record.sourceEpochs, ...epochs },
      isSourcePromoted: record.isSourcePromoted || newSources.length + restarted.length + demoted.length > 0,
    };
  }

  #epochsOf(nodeIds: readonly string[]): Readonly<Record<string, number>> {
    const { masters } = this.#components.topology;
    return Object.fromEntries(
      masters
        .filter(({ nodeId }) => nodeIds.includes(nodeId))
        .map(({ nodeId, configEpoch }) => [nodeId, configEpoch]),
    );
  }

  /** `run_id` of nodes: another one says that a server was restarted, maybe with older data. */
  async runIdsOf(nodeIds: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const { view } = this.#components;
    return Object.fromEntries(
      await Promise.all(nodeIds.map(async (id) => [id, (await view.counters(id)).runId])),
    );
  }

  /** Goes on from where the servers stand. What is open is finished first, or closed where it is given up and nothing moved. */
  async run(record: SlotMoveRecord): Promise<PartitionMoveOutcome> {
    const { mover, mayOpen, topology, shards, copyFirstMover, noteCopies } = this.#components;
    const target = this.#masterOf(record.targetNodeId);
    if (target === undefined) return this.#withoutTarget(record);
    const outcomes: SlotMoveOutcome[] = [];
    let isAllBegun = true;
    let failure: string | null = null;
    const slotsBySource = this.#slotsBySource(record, target);
    const ours = withShardMembers(record, shards);
    let movedSlots = record.lastSlot - record.firstSlot + 1;
    for (const slots of slotsBySource.values()) movedSlots -= slots.length;
    const onWindow = ({ committedSlots }: SlotMoveOutcome): void => {
      movedSlots += committedSlots.length;
    };
    // The topology was read before: there they are open.
    const reclaimed = new Set<number>();
    if (record.copies !== undefined) {
      for (const [sourceId, slots] of slotsBySource) {
        const move = this.#slotMove(record, { sourceId, target, slots });
        for (const slot of await copyFirstMover.reclaim(move, record.copies)) reclaimed.add(slot);
      }
      await noteCopies(record, null);
    }
    for (const [sourceId, slots] of slotsBySource) {
      const openSlots = new Set(
        topology.openSlots.filter((open) => isNamedBy(ours, open)).map(({ slot }) => slot),
      );
      for (const slot of topology.contestedSlots) openSlots.add(slot);
      for (const slot of reclaimed) openSlots.delete(slot);
      const move = this.#slotMove(record, { sourceId, target, slots });
      const begun = { ...move, slots: slots.filter((slot) => openSlots.has(slot)) };
      const left = record.cancelledFor === null ? begun.slots : await mover.run(closeUnmoved(begun));
      if (left.length > 0)
        outcomes.push(
          ...(await mover.move({ ...move, slots: left }, { mayOpenWindow: () => true, onWindow })),
        );
      const untouched = slots.filter((slot) => !openSlots.has(slot));
      let isHeld = false;
      const ends = { sourceId, targetId: target.nodeId };
      const kind = untouched.length === 0 ? null : await this.#atomicKind(ends);
      if (kind !== null) {
        const atomic = await this.#components.atomicMover.move({ ...move, slots: untouched }, kind, {
          order: () => this.#components.orderOf(record, movedSlots),
          mayStart: () => mayOpen(record, movedSlots),
        });
        onWindow(atomic);
        outcomes.push(atomic);
        failure ??= atomic.failure;
        isAllBegun &&= atomic.committedSlots.length === untouched.length;
        continue;
      }
      const mayOpenWindow = async (): Promise<boolean> => {
        const may = await mayOpen(record, movedSlots);
        isHeld ||= !may;
        return may;
      };
      const moveWindow: MoveProgress['moveWindow'] =
        this.#settings.slotMove.plan === 'ask'
          ? undefined
          : (window, scanned) =>
              copyFirstMover.moveWindow(window, scanned, {
                note: (copies) => noteCopies(record, copies),
                mayHandOver: mayOpenWindow,
              });
      const progress: MoveProgress = {
        mayOpenWindow,
        onWindow,
        ...(moveWindow === undefined ? {} : { moveWindow }),
      };
      outcomes.push(...(await mover.move({ ...move, slots: untouched }, progress)));
      isAllBegun &&= !isHeld;
    }
    const conflictingKeys = outcomes.flatMap((outcome) =>
      outcome.conflictingKeys.map(({ key }) => shown(key)),
    );
    const isComplete =
      isAllBegun &&
      conflictingKeys.length === 0 &&
      outcomes.every((o) => o.bigKeys.length + o.fullSlots.length === 0);
    return {
      movedSlots: sum(outcomes, ({ committedSlots }) => committedSlots.length),
      movedKeys: sum(outcomes, ({ movedKeyCount }) => movedKeyCount),
      sampledKeys: sum(outcomes, ({ sample }) => sample.checkedCount),
      differingKeys: outcomes.flatMap(({ sample }) => sample.differing.map(shown)).slice(0, NAMED_KEYS_MAX),
      conflictingKeys: conflictingKeys.slice(0, NAMED_KEYS_MAX),
      isOver:
        conflictingKeys.length === 0 && (isAllBegun || record.cancelledFor !== null || failure !== null),
      isComplete,
      failure,
    };
  }

  /**
   * A master that was forgotten has taken with it what was open: each node closes its slots as it forgets.
   *
   * @throws SlotMoveStopped while it, or an open slot, is there yet.
   */
  #withoutTarget(record: SlotMoveRecord): PartitionMoveOutcome {
    const { topology, shards } = this.#components;
    const known = record.targetIds.find((id) => topology.addresses.has(id));
    if (known !== undefined) throw new SlotMoveStopped(`target ${known} does not answer`);
    const open = topology.openSlots.find((slot) => isNamedBy(withShardMembers(record, shards), slot));
    if (open !== undefined)
      throw new SlotMoveStopped(
        `slot ${open.slot} is ${open.kind} at ${open.nodeId} with a node that has gone`,
      );
    return {
      ...{ movedSlots: 0, movedKeys: 0, sampledKeys: 0, differingKeys: [], conflictingKeys: [] },
      ...{ isOver: true, isComplete: false },
      failure: `target ${record.targetIds.at(-1)} is not part of the cluster any more`,
    };
  }

  async #atomicKind(ends: Pick<SlotMove, 'sourceId' | 'targetId'>): Promise<AtomicKind | null> {
    return this.#settings.slotMove.atomic === 'off' ? null : this.#components.atomicMover.kindOf(ends);
  }

  #slotMove(
    record: SlotMoveRecord,
    {
      sourceId,
      target,
      slots,
    }: { readonly sourceId: string; readonly target: MasterNode; readonly slots: readonly number[] },
  ): SlotMove {
    const { masters } = this.#components.topology;
    return {
      sourceId,
      targetId: target.nodeId,
      targetAddress: { host: target.host, port: target.port },
      otherMasterIds: masters
        .map(({ nodeId }) => nodeId)
        .filter((id) => id !== sourceId && id !== target.nodeId),
      slots,
      formerIds: [...record.sourceIds, ...record.targetIds],
      isSourcePromoted: record.isSourcePromoted,
      sourceRunId: record.sourceRunIds?.[sourceId] ?? null,
    };
  }

  /** Slots of the range that the target does not own, or that another claims as well, by whom they come from. */
  #slotsBySource(
    { firstSlot, lastSlot }: Pick<SlotMoveRecord, 'firstSlot' | 'lastSlot'>,
    target: MasterNode,
  ): ReadonlyMap<string, readonly number[]> {
    const { topology } = this.#components;
    const slotsOf = new Map<string, number[]>();
    const isLastStep = new Set(
      topology.openSlots.filter(({ kind }) => kind === 'migrating').map(({ slot }) => slot),
    );
    for (let slot = firstSlot; slot <= lastSlot; slot++) {
      const owner = topology.masters[topology.ownerOf[slot] as number];
      const migrating = isLastStep.has(slot)
        ? topology.openSlots.find((open) => open.slot === slot && open.kind === 'migrating')?.nodeId
        : undefined;
      const sourceId = owner?.nodeId === target.nodeId ? migrating : owner?.nodeId;
      if (sourceId !== undefined) slotsOf.set(sourceId, [...(slotsOf.get(sourceId) ?? []), slot]);
    }
    return slotsOf;
  }

  #masterOf(nodeId: number): MasterNode | undefined {
    const { shards, topology } = this.#components;
    const masterId = shards.find((shard) => shard.nodeId === nodeId)?.masterId;
    return topology.masters.find((master) => master.nodeId === masterId);
  }

  async #sides(
    draft: Pick<SlotMoveRecord, 'sourceIds' | 'sizeBytes'>,
    target: MasterNode,
  ): Promise<SidesState> {
    const { view, topology } = this.#components;
    const found = await view.counters(target.nodeId);
    const replicaIds = topology.masters
      .filter(({ nodeId }) => nodeId === target.nodeId || draft.sourceIds.includes(nodeId))
      .flatMap((master) => master.replicaIds);
    // A replica that does not answer serves nobody either.
    const readers = await Promise.all(replicaIds.map((id) => view.readOnlyClients(id).catch(() => 0)));
    return {
      sizeBytes: draft.sizeBytes,
      targetMemoryMax: found.memoryMax,
      targetMemoryUsed: found.memoryUsed,
      targetReplicaCount: found.replicaCount,
      replicaReaderCount: readers.reduce((total, count) => total + count, 0),
      isReplicaBlindToAsk: !(found.isValkey && found.majorVersion >= 8),
    };
  }
}

function fullSlotsRefusal(fullSlots: readonly FullSlot[]): string {
  const named = fullSlots.slice(0, NAMED_KEYS_MAX).map(({ slot, keyCount }) => `${slot} (${keyCount} keys)`);
  return `these slots have more keys than can be looked at before a move: ${named.join(', ')}`;
}

function bigKeysRefusal(bigKeys: readonly BigKey[]): string {
  const named = bigKeys
    .slice(0, NAMED_KEYS_MAX)
    .map(
      ({ key, type, bytes, elements }) =>
        `${shown(key)} (${type}, ${bytes} bytes${elements > 0 ? `, ${elements} elements` : ''})`,
    );
  const more = bigKeys.length > NAMED_KEYS_MAX ? ` and ${bigKeys.length - NAMED_KEYS_MAX} more` : '';
  return (
    `moving these keys would hold both servers for too long: ${named.join(', ')}${more}: ` +
    'split them, or raise redis.slotMove.keyBytesMax or keyElementsMax'
  );
}

const shown = (key: Buffer): string => JSON.stringify(key.toString('utf8').slice(0, 60));

const sum = <Item>(items: readonly Item[], of: (item: Item) => number): number =>
  items.reduce((total, item) => total + of(item), 0);
