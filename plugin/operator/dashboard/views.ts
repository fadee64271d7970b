/** What the dashboard shows, gathered from the metadata store and the nodes: the same as the commands print. */
import { ForeshardError } from '../../../src/base/errors.ts';
import { mayAbort, mayPause } from '../../../src/migration/phases.ts';
import type { MigrationPhase } from '../../../src/model/migration.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { StorageEngine } from '../../../src/ports/storage-engine.ts';
import type { Settings } from '../../../src/settings.ts';
import { type PublishedForecast, readForecast } from '../../host/records/forecast-record.ts';
import { decodeProposal, decodeStays, type ProposalRecord } from '../../host/records/proposal-record.ts';
import type { QueryTypesRecord } from '../../host/records/query-types-record.ts';
import { decodeQueryTypes } from '../../host/records/query-types-record.ts';
import { forecastPrefix, proposalKey, queryTypesPrefix, staysKey } from '../../host/records/record-keys.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { loadMap } from '../../metadata/cluster-map.ts';
import { readDecisions } from '../../metadata/decisions.ts';
import { orNothing } from '../../metadata/json-values.ts';
import { readAudit } from '../migration/audit-command.ts';
import { gatherReport } from '../migration/migrations-report.ts';
import { gatherScorecards } from '../migration/scorecard-command.ts';
import { whyStay } from '../proposals/explain-partition.ts';
import { FATE_MEANING, gatherProposals } from '../proposals/past-proposals.ts';
import { type HeatMatrix, type HeatRequest, heatMatrix, type LoadColumns } from './heat-matrix.ts';
import type { LoadHistory } from './load-history.ts';

export interface ViewComponents {
  readonly settings: Settings;
  readonly metadata: MetadataStore;
  readonly engine: StorageEngine;
  readonly history: LoadHistory;
  /** As much of it as is shown at first. */
  readonly pastMs: number;
  /** The clock by which load is recorded. */
  readonly nowMs: () => number;
}

const AUDIT_MAX = 200;
const ENDED_MAX = 50;
const CARDS_MAX = 50;
/** Of a mix, on one line of the page. */
const MIX_MAX = 4;

export class Views {
  readonly #components: ViewComponents;

  constructor(components: ViewComponents) {
    this.#components = components;
  }

  async overview(): Promise<unknown> {
    const { settings, metadata, nowMs, pastMs } = this.#components;
    const { cluster, analyzer, affinity, plugin } = settings;
    const keys = clusterKeys(cluster.name);
    const { map, records } = await loadMap(metadata, cluster.name);
    const partitionsOf = new Array<number>(cluster.storageNodeCount).fill(0);
    for (const owner of map.ownerOf) if (owner >= 0) partitionsOf[owner] = (partitionsOf[owner] ?? 0) + 1;
    return {
      clusterName: cluster.name,
      partitionCount: map.partitionCount,
      partitionsOf,
      openCount: records.filter((record) => record?.migration != null).length,
      hasCoordinator: (await metadata.get(keys.coordinator)) !== undefined,
      isPaused: (await metadata.get(keys.pause)) !== undefined,
      mode: plugin.mode,
      windowMs: analyzer.windowMs,
      pastMs,
      horizonMs: settings.forecast.horizonSteps * analyzer.windowMs,
      zones: affinity.relief.zones,
      nowMs: nowMs(),
    };
  }

  async heat(request: HeatRequest): Promise<HeatMatrix> {
    return heatMatrix(await this.#loadParts(request.fromMs), request);
  }

  /** The proposal in force; null before the first. */
  async proposal(): Promise<unknown> {
    const { metadata, settings } = this.#components;
    const decisions = await readDecisions(metadata, settings.cluster.name, Date.now());
    return { proposal: await this.#latestProposal(), fates: await this.#latestFates(), decisions };
  }

  async #latestFates(): Promise<unknown> {
    const { metadata, settings, nowMs } = this.#components;
    const [latest] = await gatherProposals(metadata, settings.cluster.name, nowMs());
    return (latest?.moves ?? []).map(({ partitionId, fate }) => ({
      partitionId,
      fate,
      text: FATE_MEANING[fate],
    }));
  }

  async migrations(): Promise<unknown> {
    const { metadata, engine, settings } = this.#components;
    const report = await gatherReport(metadata, engine, {
      clusterName: settings.cluster.name,
      settings: settings.migration,
      partitionId: null,
      nowMs: Date.now(),
    });
    return {
      ...report,
      open: report.open.map((migration) => ({ ...migration, ...permitted(migration) })),
      ended: report.ended.slice(0, ENDED_MAX),
      endedCount: report.ended.length,
    };
  }

  /** What moves were to bring, and what they brought. */
  async scorecards(): Promise<unknown> {
    const { metadata, settings } = this.#components;
    const { cards, learnt } = await gatherScorecards(metadata, {
      clusterName: settings.cluster.name,
      partitionId: null,
      copyBytesPerSecond: settings.migration.copyBytesPerSecond,
    });
    return { cards: cards.slice(0, CARDS_MAX), learnt };
  }

  async audit(): Promise<unknown> {
    const { metadata, settings } = this.#components;
    return { audit: (await readAudit(metadata, settings.cluster.name)).slice(-AUDIT_MAX).reverse() };
  }

  /** @throws ForeshardError FORESHARD_CONFIG for a partition that there is none of. */
  async partition(partitionId: number): Promise<unknown> {
    const { metadata, settings, nowMs, pastMs } = this.#components;
    const { name, partitionCount } = settings.cluster;
    if (!(partitionId >= 0 && partitionId < partitionCount))
      throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', `there is no partition ${partitionId}`);
    const { records } = await loadMap(metadata, name);
    const record = records[partitionId];
    const parts = await this.#loadParts(nowMs() - pastMs);
    const proposal = await this.#latestProposal();
    const key = staysKey(name);
    const stays = await metadata.get(key);
    const stay = orNothing(() => (stays ? decodeStays(key, stays.value) : []))
      .flat()
      .find((reason) => reason.partitionId === partitionId);
    return {
      partitionId,
      ownerNodeId: record?.ownerNodeId ?? null,
      epoch: record?.epoch ?? null,
      move: proposal?.moves.find((move) => move.partitionId === partitionId) ?? null,
      stay: stay && proposal ? whyStay(stay, proposal) : null,
      series: parts.map((part) => ({
        startMs: part.startMs,
        stepMs: part.stepMs,
        queries: Array.from({ length: part.columnCount }, (_, column) => {
          const queries = part.at(partitionId, column);
          return Number.isNaN(queries) ? null : Number(queries.toPrecision(4));
        }),
      })),
      types: await this.#typesOf(partitionId, partitionId),
    };
  }

  /** What has been measured, then what is forecast: where both speak of a window, the measurement holds. */
  async #loadParts(fromMs: number): Promise<LoadColumns[]> {
    const { history, metadata, settings, nowMs } = this.#components;
    const measured = await history.load(fromMs, nowMs());
    const forecast = await readForecast(metadata, forecastPrefix(settings.cluster.name));
    return forecast?.partitionCount === measured.partitionCount
      ? [measured, columnsOf(forecast)]
      : [measured];
  }

  async #latestProposal(): Promise<ProposalRecord | null> {
    const { metadata, settings } = this.#components;
    const entry = await metadata.get(proposalKey(settings.cluster.name));
    return entry === undefined ? null : (orNothing(() => decodeProposal(entry.value))[0] ?? null);
  }

  /** Who asks some partitions for what, as shares of what is known of them: the most first. */
  async mix(first: number, last: number): Promise<unknown> {
    const types = await this.#typesOf(first, last);
    const byClient = new Map<string, number>();
    // What clients ask of a type is told of all partitions together: each type's clients share what is asked of these.
    for (const { count, clients } of types) {
      const total = clients.reduce((sum, [, asked]) => sum + asked, 0);
      for (const [client, asked] of clients)
        byClient.set(client, (byClient.get(client) ?? 0) + (count * asked) / total);
    }
    return {
      templates: sharesOf(types.map(({ template, count }) => [template, count])),
      clients: sharesOf([...byClient]),
    };
  }

  /** Query types that partitions are asked for, of those that query nodes publish, the most first. */
  async #typesOf(first: number, last: number): Promise<TypeMix[]> {
    const { metadata, settings } = this.#components;
    const { entries } = await metadata.list(queryTypesPrefix(settings.cluster.name));
    const countOf = new Map<
      string,
      { count: number; clients: QueryTypesRecord['types'][number]['clients'] }
    >();
    for (const { types } of entries.flatMap(({ key, value }) =>
      orNothing(() => decodeQueryTypes(key, value)),
    ))
      for (const { template, partitions, clients } of types) {
        const own = partitions
          .filter(([id]) => id >= first && id <= last)
          .reduce((sum, [, count]) => sum + count, 0);
        if (own === 0) continue;
        const known = countOf.get(template)?.count ?? 0;
        countOf.set(template, { count: known + own, clients });
      }
    return [...countOf]
      .map(([template, { count, clients }]) => ({ template, count, clients }))
      .sort((a, b) => b.count - a.count);
  }
}

/** What may be ordered of a migration in its phase; the coordinator decides. */
const permitted = ({ phase }: { readonly phase: MigrationPhase }) => ({
  canCancel: mayAbort(phase),
  canPause: mayPause(phase),
  canRollBack: phase === 'GRACE',
});

interface TypeMix {
  readonly template: string;
  readonly count: number;
  readonly clients: QueryTypesRecord['types'][number]['clients'];
}

/** The largest, as [name, share of all]. */
function sharesOf(counts: readonly (readonly [string, number])[]): (readonly [string, number])[] {
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, MIX_MAX)
    .map(([name, count]) => [name, count / total] as const);
}

const columnsOf = ({ queries, ...forecast }: PublishedForecast): LoadColumns => ({
  startMs: forecast.startMs,
  stepMs: forecast.stepMs,
  columnCount: forecast.horizonSteps,
  partitionCount: forecast.partitionCount,
  at: (partition, column) => queries[partition * forecast.horizonSteps + column] as number,
});
