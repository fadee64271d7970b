import type { PlanMemory } from '../../../src/affinity/plan-memory.ts';
import type { Components } from '../../../src/components.ts';
import {
  type ClusterState,
  type CycleComponents,
  type CycleReport,
  type ProposalBackground,
  runCycle,
  type SilentNode,
} from '../../../src/controller.ts';
import type { ClusterKeys } from '../../../src/migration/records/records.ts';
import type { Forecast } from '../../../src/model/forecast.ts';
import type { LoadProfile } from '../../../src/model/load-profile.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import type { MetadataCondition } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { orNothing } from '../../metadata/json-values.ts';
import type { CycleBook } from '../../metrics/cycle-book.ts';
import { tellOfProposal } from '../../webhooks/open-webhooks.ts';
import type { WebhookSender } from '../../webhooks/webhook-sender.ts';
import type { CoordinatorLink } from '../coordinator/coordinator-link.ts';
import { planBytes } from '../plans/kept-plan.ts';
import type { PlanArchive } from '../plans/plan-archive.ts';
import { encodeForecast } from '../records/forecast-record.ts';
import { keepProposal } from '../records/past-proposals.ts';
import { readPlanMemory } from '../records/plan-memory-record.ts';
import { decodeProposal, encodeProposal, encodeStays } from '../records/proposal-record.ts';
import { inputsHash } from './inputs-hash.ts';

/** The clock is the one by which cycles are stamped: a replay's, where there is one. */
export interface CycleRunnerComponents extends Components {
  readonly coordinator: Pick<CoordinatorLink, 'fence' | 'admit'>;
  readonly keys: Pick<ClusterKeys, 'historyPrefix'>;
  readonly proposalKey: string;
  readonly staysKey: string;
  readonly pastProposalsPrefix: string;
  readonly forecastPrefix: string;
  /** Of the kernels that search: a plan replays with the same ones only. */
  readonly kernelHash: string;
  readonly forecaster: { forecast(profile: LoadProfile): Promise<Forecast> };
  readonly affinity: CycleComponents['affinity'];
  readonly observer: { observe(profile: LoadProfile): Promise<ClusterState> };
  /** Measured load as it is now, of all query nodes. */
  readonly loadProfile: () => Promise<LoadProfile>;
  /** Told of every cycle, for metrics. */
  readonly book: CycleBook;
  /** Who is told of proposals and failures; null: nobody. */
  readonly webhooks: WebhookSender | null;
  /** Plans with all that they were made from. */
  readonly archive: Pick<PlanArchive, 'keep'>;
}

/** What a coordinator knows while it plans: the term that it began in, for all that comes of it. */
interface Background extends ProposalBackground {
  readonly silentNodes: readonly SilentNode[];
  readonly fence: MetadataCondition;
}

/** Runs the cycles of a process that is the coordinator, one at a time, and hands what they propose to its other thread. */
export class CycleRunner {
  readonly #settings: Settings;
  readonly #components: CycleRunnerComponents;
  #cycle: Promise<unknown> = Promise.resolve();
  /** Of the failure that people were told of last, in a row of failures: one that is tried again is news once. */
  #failureTold: string | null = null;
  #plannedIn: MetadataCondition | null = null;

  constructor(settings: Settings, components: CycleRunnerComponents) {
    this.#settings = settings;
    this.#components = components;
  }

  /** One cycle, after the one that may be running; null when this process is not the coordinator. */
  runCycle(): Promise<CycleReport | null> {
    return this.inTurn((fence) => this.#runCycleIn(fence));
  }

  /** Work beside which no cycle runs; null when this process is not the coordinator. */
  inTurn<Outcome>(work: (fence: MetadataCondition) => Promise<Outcome>): Promise<Outcome | null> {
    const next = this.#cycle.then(() => {
      const { fence } = this.#components.coordinator;
      return fence === null ? null : work(fence);
    });
    this.#cycle = next.catch((error: unknown) => {
      this.#components.book.noteFailure();
      const { message: reason } = error as Error;
      if (reason === this.#failureTold) return;
      this.#failureTold = reason;
      this.#components.webhooks?.send('cycle.failed', { reason });
    });
    return next;
  }

  /** The term whose coordinator has the moves of the last plan in its queue; null before the first plan. */
  get plannedIn(): MetadataCondition | null {
    return this.#plannedIn;
  }

  /** What was planned and moved before, as far back as plans look ahead. */
  memory(): Promise<PlanMemory> {
    const { metadata, keys, proposalKey, clock } = this.#components;
    const { forecast, analyzer } = this.#settings;
    const horizonMs = forecast.horizonSteps * analyzer.windowMs;
    return readPlanMemory(metadata, { keys, proposalKey, horizonMs, nowMs: clock.nowMs() });
  }

  /** Whether the latest proposal, whoever made it, is older than an interval; false where there is none. */
  async isOverdue(): Promise<boolean> {
    const { metadata, proposalKey, clock } = this.#components;
    const entry = await metadata.get(proposalKey);
    const [latest] = entry === undefined ? [] : orNothing(() => decodeProposal(entry.value));
    return latest !== undefined && clock.nowMs() - latest.atMs > this.#settings.controller.cycleIntervalMs;
  }

  /** Resolves when no cycle is running. */
  async settled(): Promise<void> {
    await this.#cycle;
  }

  async #runCycleIn(fence: MetadataCondition): Promise<CycleReport> {
    const { clock, logger, loadProfile, forecaster, affinity, observer } = this.#components;
    let profile: LoadProfile | null = null;
    let state: ClusterState | null = null;
    const report = await runCycle({
      mode: this.#settings.plugin.mode,
      skillMin: this.#settings.controller.skillMin,
      clock,
      logger,
      analyzer: {
        loadProfile: async () => {
          profile = await loadProfile();
          return profile;
        },
        forecast: (measured) => forecaster.forecast(measured),
      },
      cluster: {
        observe: async () => {
          state = await observer.observe(profile as LoadProfile);
          return state;
        },
      },
      affinity,
      proposals: {
        memory: () => this.memory(),
        record: (proposal, background) =>
          this.#record(proposal, { ...background, silentNodes: state?.silentNodes ?? [], fence }),
      },
      migration: { admit: (proposal) => this.#components.coordinator.admit(proposal, fence) },
    });
    this.#plannedIn = fence;
    tellOfProposal(this.#components.webhooks, report, this.#settings.plugin.mode);
    this.#components.book.note({ report, profile, state, settings: this.#settings });
    if (report.forecast !== null) await this.#publishForecast(report.forecast, fence);
    this.#failureTold = null;
    return report;
  }

  /** For people to look at, in every mode. */
  async #publishForecast(forecast: Forecast, fence: MetadataCondition): Promise<void> {
    const { metadata, forecastPrefix } = this.#components;
    for (const [chunk, value] of encodeForecast(forecast).entries()) {
      const key = `${forecastPrefix}${String(chunk).padStart(2, '0')}`;
      await metadata.commit({ conditions: [fence], writes: [{ kind: 'put', key, value }] });
    }
  }

  async #record(
    proposal: Proposal,
    { ignoredForecasts, silentNodes, inputs, plan, evidence, fence }: Background,
  ): Promise<void> {
    const {
      clock,
      metadata,
      proposalKey,
      staysKey,
      pastProposalsPrefix: prefix,
      kernelHash,
    } = this.#components;
    const { controller, migration, affinity } = this.#settings;
    const atMs = clock.nowMs();
    const { copiesPerNodeMax } = migration;
    const hash = inputs && inputsHash(inputs, { affinity, copiesPerNodeMax });
    const value = encodeProposal(proposal, {
      atMs,
      expiresAtMs: atMs + controller.cycleIntervalMs,
      wayBackMs: migration.graceMs,
      inputsHash: hash,
      kernelHash,
      ignoredForecasts,
      silentNodes,
      evidence,
    });
    const stays = encodeStays(evidence?.stays ?? [], atMs);
    // Apart: both may be large, and a transaction has a limit. A deposed coordinator must not write over its successor's.
    for (const [key, bytes] of [
      [proposalKey, value],
      [staysKey, stays],
    ] as const)
      await metadata.commit({ conditions: [fence], writes: [{ kind: 'put', key, value: bytes }] });
    await keepProposal(metadata, decodeProposal(value), { prefix, fence });
    if (inputs && plan && hash)
      await this.#components.archive.keep({
        ...{ atMs, inputs, inputsHash: hash, kernelHash, settings: affinity },
        clusterName: this.#settings.cluster.name,
        copiesPerNodeMax,
        seed: plan.seed.toString(),
        endedAfter: plan.endedAfter ?? null,
        plan: planBytes(plan),
      });
  }
}
