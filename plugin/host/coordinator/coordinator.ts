import { isDeepStrictEqual } from 'node:util';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Components } from '../../../src/components.ts';
import type { AdmissionReport, PluginMode } from '../../../src/controller.ts';
import type { MigrationExecutor } from '../../../src/migration/executor.ts';
import type { AdmissionOptions } from '../../../src/migration/queue/planned-moves.ts';
import type { ClusterKeys, RecordCodec } from '../../../src/migration/records/records.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import type { Leadership, MetadataCondition, MetadataWrite } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { decodeLastCoordinator, encodeLastCoordinator } from '../../metadata/coordinator-status.ts';
import { migrationReadings } from '../../metrics/migration-readings.ts';
import type { Reading } from '../../metrics/reading.ts';
import type { MigrationStatusReport } from '../control-messages.ts';

/** Of half a second, the budget of a fence, so that a successor still has time to finish it. */
const RESIGN_AFTER_MS_MAX = 250;
/** Without open migrations the executor only looks for records that a predecessor left. */
const IDLE_TICK_MS = 250;

export interface CoordinatorComponents extends Components {
  readonly codec: Pick<RecordCodec, 'encodeAudit'> & {
    readonly keys: Pick<ClusterKeys, 'coordinator' | 'lastCoordinator' | 'audit'>;
  };
  /** What it may do by its config. */
  readonly mode: PluginMode;
  /** The executor acts only while the leadership that it is handed is held. */
  readonly makeExecutor: (leadership: () => Leadership | null) => MoveExecutor;
  /** Told of the fence of each term that begins, and null when it is over. */
  readonly onTerm: (fence: MetadataCondition | null) => void;
  /** Told of a bug of ours by which elections or moves have stopped: the process should end, and another takes over. */
  readonly onFault: (error: unknown) => void;
}

/** Whatever carries moves out: this package's own migrations, or those of another engine. */
export type MoveExecutor = Pick<MigrationExecutor, 'admit' | 'tick' | 'settled' | 'status'>;

const NOTHING_ADMITTED: AdmissionReport = { admittedCount: 0, queuedCount: 0, scheduledCount: 0 };

/**
 * Stands for election and, while elected, drives migrations. It keeps nothing that matters: a successor reads the map and
 * goes on. Nothing here computes: leases and fences have deadlines, so plans are made in another thread.
 */
export class Coordinator {
  readonly #settings: Settings['controller'];
  readonly #candidate: string;
  readonly #components: CoordinatorComponents;
  readonly #executor: MoveExecutor;
  readonly #end = new AbortController();
  readonly #loops: readonly Promise<void>[];
  #leadership: Leadership | null = null;
  #electedAtMs = 0;

  constructor(settings: Settings['controller'], candidate: string, components: CoordinatorComponents) {
    this.#settings = settings;
    this.#candidate = candidate;
    this.#components = components;
    this.#executor = components.makeExecutor(() => this.#leadership);
    this.#loops = [this.#campaignLoop(), this.#executorLoop()].map((loop) =>
      loop.catch((error: unknown) => {
        components.logger.error({ fault: String(error) }, 'the coordinator has stopped');
        components.onFault(error);
      }),
    );
  }

  /** Takes over the moves of a plan that was made in the present term; those of a past one are left to the next plan. */
  async admit(
    proposal: Proposal,
    fence: MetadataCondition,
    options?: AdmissionOptions,
  ): Promise<AdmissionReport> {
    if (!this.#isElected || !isDeepStrictEqual(this.#leadership?.fence, fence)) {
      this.#components.logger.warn(
        { moves: proposal.moves.length },
        'a plan of a past term is not carried out',
      );
      return NOTHING_ADMITTED;
    }
    const { queued } = await this.#executor.admit(proposal, options);
    const { queuedMoveCount, scheduledMoveCount } = this.#executor.status();
    return {
      admittedCount: queued.length,
      queuedCount: queuedMoveCount,
      scheduledCount: scheduledMoveCount,
    };
  }

  migrationStatus(): MigrationStatusReport {
    const status = this.#executor.status();
    return {
      open: status.open.map((open) => ({
        partitionId: open.partitionId,
        migrationId: open.migrationId,
        sourceNodeId: open.sourceNodeId,
        targetNodeId: open.targetNodeId,
        phase: open.phase,
        readWeight: open.readWeight,
        reason: open.reason,
        reads: open.reads,
      })),
      queuedCount: status.queuedMoveCount,
      scheduledCount: status.scheduledMoveCount,
      doneCount: status.doneCount,
      abortedCount: status.abortedCount,
      abortReasons: status.abortReasons,
      movedBytes: status.copiedBytes,
    };
  }

  readings(): readonly Reading[] {
    return migrationReadings(this.#isElected, this.#executor.status());
  }

  /**
   * Steps that are under way get a moment to end, since a fence that is finished costs clients less than one that the next
   * coordinator finds; then the office is left, and whatever is still under way commits nothing any more.
   */
  async close(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#loops);
    const patience = new AbortController();
    const settled = this.#executor.settled();
    await Promise.race([settled, this.#components.clock.sleep(RESIGN_AFTER_MS_MAX, patience.signal)]);
    patience.abort();
    if (this.#leadership !== null) {
      await this.#tellOffice(this.#leadership, { leftAtMs: this.#components.clock.nowMs() });
      await this.#leadership.resign();
    }
    await settled;
  }

  /** Who holds the office says so, for commands that find nobody in it. Never throws: nothing rests on it. */
  async #tellOffice({ fence }: Leadership, left: { readonly leftAtMs?: number }): Promise<void> {
    const { metadata, codec, logger, mode } = this.#components;
    const key = codec.keys.lastCoordinator;
    const value = encodeLastCoordinator({
      candidate: this.#candidate,
      electedAtMs: this.#electedAtMs,
      mode,
      ...left,
    });
    try {
      const former = decodeLastCoordinator(await metadata.get(key))?.mode;
      const changed = former === undefined || former === mode ? [] : [this.#auditOfMode(former)];
      await metadata.commit({ conditions: [fence], writes: [{ kind: 'put', key, value }, ...changed] });
    } catch (error) {
      logger.debug({ fault: (error as Error).message }, 'who is coordinator could not be written down');
    }
  }

  /** No command gives this order, but a config file: what may be moved without being asked for has changed all the same. */
  #auditOfMode(former: string): MetadataWrite {
    const { codec, mode } = this.#components;
    const atMs = this.#electedAtMs;
    const requestId = `${String(Math.floor(atMs)).padStart(15, '0')}-mode`;
    const value = codec.encodeAudit({
      ...{ requestId, atMs, by: this.#candidate, action: 'mode', partitionId: null, outcome: 'done' },
      reason: 'its config',
      message: `plugin.mode is ${mode}, it was ${former}`,
    });
    return { kind: 'put', key: codec.keys.audit(requestId), value };
  }

  get #isElected(): boolean {
    return this.#leadership?.isHeld() === true;
  }

  async #campaignLoop(): Promise<void> {
    const { metadata, codec, logger, clock, onTerm } = this.#components;
    const { signal } = this.#end;
    const { leaseTtlMs } = this.#settings;
    while (!signal.aborted) {
      try {
        const leadership = await metadata.campaign({
          election: codec.keys.coordinator,
          candidate: this.#candidate,
          ttlMs: leaseTtlMs,
          signal,
        });
        if (signal.aborted && !leadership.isHeld()) return;
        this.#leadership = leadership;
        this.#electedAtMs = clock.nowMs();
        onTerm(leadership.fence);
        void this.#tellOffice(leadership, {});
        logger.info({ candidate: this.#candidate }, 'elected coordinator');
        await Promise.race([leadership.lost, aborted(signal)]);
        onTerm(null);
        if (!signal.aborted) logger.warn({ candidate: this.#candidate }, 'no longer the coordinator');
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ForeshardError)) throw error;
        logger.warn({ fault: error.message }, 'the election could not be held');
        await clock.sleep(leaseTtlMs / 4, signal);
      }
    }
  }

  async #executorLoop(): Promise<void> {
    const { clock } = this.#components;
    const { signal } = this.#end;
    while (!signal.aborted) {
      if (this.#isElected) await this.#executor.tick();
      const { open, queuedMoveCount } = this.#executor.status();
      const isBusy = open.length > 0 || queuedMoveCount > 0;
      await clock.sleep(isBusy ? this.#settings.executorIntervalMs : IDLE_TICK_MS, signal);
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
