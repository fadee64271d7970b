import { isDeepStrictEqual } from 'node:util';
import { stressText } from '../../../src/affinity/relief/plan-relief.ts';
import {
  type LoadLook,
  StressWatch,
  type StressWatchSettings,
  type WatchedCluster,
} from '../../../src/affinity/relief/stress-watch.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { LoadDimension } from '../../../src/model/load-profile.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import type { MetadataCondition, MetadataStore } from '../../../src/ports/metadata-store.ts';
import { type ReliefReport, runReliefCycle } from '../../../src/relief-cycle.ts';
import type { Settings } from '../../../src/settings.ts';
import { orNothing } from '../../metadata/json-values.ts';
import type { Member } from '../../metadata/members.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { isOwnBug } from '../../threads/faults.ts';
import { keepProposal } from '../records/past-proposals.ts';
import {
  decodeProposal,
  encodeProposal,
  type ProposalRecord,
  withReliefMoves,
} from '../records/proposal-record.ts';
import { pastProposalsPrefix, proposalKey, reliefKey } from '../records/record-keys.ts';
import { decodeRelief, encodeRelief } from '../records/relief-record.ts';
import { capacityPerSecond } from './node-capacity.ts';
import type { Planning } from './planning.ts';

export interface ReliefWatchComponents {
  readonly metadata: MetadataStore;
  /** What plans and moves now: settings may be reloaded. */
  readonly planning: () => Planning;
  /** As it stands in the audit. */
  readonly name: string;
  /** Who owns what, and what nodes carry, at the time of a look. */
  readonly cluster: () => Promise<WatchedCluster>;
  /** What looks tell. */
  readonly told: readonly LoadDimension[];
  readonly logger: Logger;
  /** Told of a bug of ours. */
  readonly onFault: (error: unknown) => void;
}

/** So often nodes are looked at, so that relief comes in time; as often as they are anyway where it is off. */
export const reliefLookMs = ({ reliefAfterMs }: Settings['controller'], usualMs: number): number =>
  reliefAfterMs === 0 ? usualMs : Math.min(usualMs, Math.max(1_000, reliefAfterMs / 4));

/**
 * Watches what nodes are asked between cycles, and has those relieved that are outside their comfort zone for too long:
 * docs/affinity.md, between cycles.
 */
export class ReliefWatch {
  readonly #components: ReliefWatchComponents;
  readonly #watch = new StressWatch();
  #relieving: Promise<unknown> | null = null;

  constructor(components: ReliefWatchComponents) {
    this.#components = components;
  }

  /** Whoever does not lead knows nothing of the time until it does. */
  pause(): void {
    this.#watch.reset();
  }

  /** {@link ReliefWatch.look}, for whoever does not wait: looks go on while a cycle runs. Never throws. */
  take(look: LoadLook): void {
    const { logger, onFault } = this.#components;
    this.look(look).catch((error: unknown) => {
      if (isOwnBug(error)) onFault(error);
      else logger.warn({ fault: (error as Error).message }, 'nobody could be relieved for now');
    });
  }

  /** Resolves when nobody is being relieved. */
  async settled(): Promise<void> {
    await this.#relieving?.catch(() => undefined);
  }

  /**
   * Takes in a look, and relieves whoever is due.
   *
   * @returns what came of it; null where nobody is, or it is too soon after the last relief.
   * @throws ForeshardError of whatever cannot be reached: the next look tries again.
   */
  async look(look: LoadLook): Promise<ReliefReport | null> {
    const { planning, cluster } = this.#components;
    const { settings, cycles, coordinator } = planning();
    if (
      settings.controller.reliefAfterMs === 0 ||
      settings.plugin.mode === 'observe' ||
      !coordinator.isElected
    ) {
      this.pause();
      return null;
    }
    const watched = watchSettings(settings, this.#components.told);
    this.#watch.note(look, await cluster(), watched);
    if (this.#relieving !== null || this.#watch.due(watched).length === 0) return null;
    // A cycle may be running: who is due is seen when it has ended, by the looks that came meanwhile.
    const relieving = cycles
      .inTurn((fence) => this.#relieve(fence))
      .finally(() => {
        this.#relieving = null;
      });
    this.#relieving = relieving;
    return relieving;
  }

  /** By the settings of the time at which its turn comes: they may have been reloaded since the look. */
  async #relieve(fence: MetadataCondition): Promise<ReliefReport | null> {
    const { planning, told } = this.#components;
    const { settings, cycles, rooms, coordinator } = planning();
    const { controller, plugin, cluster } = settings;
    if (controller.reliefAfterMs === 0) return null;
    const watched = watchSettings(settings, told);
    const lasting = this.#watch.due(watched);
    if (plugin.mode === 'observe' || lasting.length === 0) return null;
    const nowMs = rooms.clock.nowMs();
    if (await this.#isTooSoon(settings, nowMs)) return null;
    const latest = await this.#latest(cluster.name);
    const isPlanAlive =
      latest !== null &&
      latest.expiresAtMs >= nowMs &&
      (plugin.mode === 'propose' || isDeepStrictEqual(cycles.plannedIn, fence));
    return runReliefCycle(
      {
        ...rooms,
        mode: plugin.mode,
        record: (report, proposal) => this.#record(settings, { latest, report, proposal, fence }),
        admit: (proposal) => coordinator.admit(proposal, fence, { isAddition: true }),
      },
      {
        lasting,
        perSecond: this.#watch.meanPerSecond(),
        told,
        unknown: this.#watch.unknown(watched),
        reliefAfterMs: controller.reliefAfterMs,
        isPlanAlive,
      },
    );
  }

  /** Whoever led before may have been the one. */
  async #isTooSoon({ cluster, controller }: Settings, nowMs: number): Promise<boolean> {
    const key = reliefKey(cluster.name);
    const entry = await this.#components.metadata.get(key);
    const last = entry && orNothing(() => decodeRelief(key, entry.value))[0];
    // One that is stamped later than now was so by a clock that was wrong.
    return last !== undefined && nowMs >= last.atMs && nowMs - last.atMs < controller.reliefIntervalMs;
  }

  async #latest(clusterName: string): Promise<ProposalRecord | null> {
    const entry = await this.#components.metadata.get(proposalKey(clusterName));
    return (entry && orNothing(() => decodeProposal(entry.value))[0]) ?? null;
  }

  /** That it was done before anything else: it is not done twice, whatever happens to this process. */
  async #record(
    settings: Settings,
    made: {
      readonly latest: ProposalRecord | null;
      readonly report: ReliefReport;
      readonly proposal: Proposal;
      readonly fence: MetadataCondition;
    },
  ): Promise<void> {
    const { metadata, planning, name } = this.#components;
    const { cluster, plugin } = settings;
    const { report, proposal, fence } = made;
    const last = { key: reliefKey(cluster.name), value: encodeRelief(report, plugin.mode) };
    const audit = report.moves.length === 0 ? [] : [auditOf(settings, report, name)];
    const { isCommitted } = await metadata.commit({
      conditions: [fence],
      writes: [last, ...audit].map((write) => ({ kind: 'put' as const, ...write })),
    });
    if (!isCommitted || report.moves.length === 0) return;
    const record = proposed(settings, { ...made, kernelHash: planning().rooms.kernelHash });
    const value = new TextEncoder().encode(JSON.stringify(record));
    await metadata.commit({
      conditions: [fence],
      writes: [{ kind: 'put', key: proposalKey(cluster.name), value }],
    });
    // Beside what was planned before it, not in its place.
    await keepProposal(
      metadata,
      { ...record, atMs: report.atMs },
      { prefix: pastProposalsPrefix(cluster.name), fence },
    );
    planning().rooms.tell({ atMs: report.atMs, proposal });
  }
}

const watchSettings = (
  { controller, affinity }: Settings,
  told: readonly LoadDimension[],
): StressWatchSettings => ({
  reliefAfterMs: controller.reliefAfterMs,
  dimensions: affinity.dimensions.map(({ dimension }) => dimension).filter((own) => told.includes(own)),
  relief: affinity.relief,
});

/** What storage nodes own and carry, of the embedded engine. */
export function watchedCluster(
  settings: Settings,
  ownerOf: Int32Array,
  members: readonly Pick<Member, 'nodeId' | 'role' | 'capacity'>[],
): WatchedCluster {
  const storage = members.filter(({ role }) => role === 'storage');
  const ids = [...ownerOf, ...storage.map(({ nodeId }) => nodeId)];
  const nodeCount = ids.reduce((most, id) => Math.max(most, id + 1), settings.cluster.storageNodeCount);
  const capacityOf = Array.from({ length: nodeCount }, (_, node) =>
    capacityPerSecond(settings, storage.find(({ nodeId }) => nodeId === node)?.capacity),
  );
  return { ownerOf, capacityOf };
}

/**
 * The moves before those of the last plan, or alone where there is none. A plan that nobody can approve any more would take them
 * with it; in `auto` it stays, since a coordinator may have it in its queue.
 */
function proposed(
  { controller, migration, plugin }: Settings,
  {
    latest,
    report: { atMs, lasting, evidence },
    proposal,
    kernelHash,
  }: {
    readonly latest: ProposalRecord | null;
    readonly report: ReliefReport;
    readonly proposal: Proposal;
    readonly kernelHash: string;
  },
): ProposalRecord {
  const reason = stressText(lasting);
  if (latest !== null && (latest.expiresAtMs >= atMs || plugin.mode === 'auto')) {
    // Until the next relief may put others here; what is past does not come back.
    const heldMs = Math.min(controller.cycleIntervalMs, controller.reliefIntervalMs);
    const expiresAtMs = latest.expiresAtMs >= atMs ? atMs + heldMs : latest.expiresAtMs;
    return withReliefMoves(latest, proposal, { atMs, reason, evidence, expiresAtMs });
  }
  const alone = encodeProposal(proposal, {
    ...{ atMs, kernelHash, inputsHash: null, ignoredForecasts: [], evidence: null },
    expiresAtMs: atMs + controller.cycleIntervalMs,
    wayBackMs: migration.graceMs,
  });
  return { ...decodeProposal(alone), relief: { atMs, reason } };
}

function auditOf(
  { cluster, plugin }: Settings,
  { atMs, lasting, moves }: ReliefReport,
  by: string,
): { readonly key: string; readonly value: Uint8Array } {
  const codec = recordCodec(cluster.name);
  const requestId = `${String(Math.floor(atMs)).padStart(15, '0')}-relief`;
  const what = moves
    .map((move) => `partition ${move.partitionId}: node ${move.sourceNodeId} -> ${move.targetNodeId}`)
    .join(', ');
  const value = codec.encodeAudit({
    ...{ requestId, atMs, by, action: 'relief', partitionId: null, outcome: 'done' },
    reason: stressText(lasting).slice(0, 500),
    message: `${plugin.mode === 'auto' ? 'to be moved at once' : 'proposed'}: ${what}`,
  });
  return { key: codec.keys.audit(requestId), value };
}
