import type { ClusterState, CycleReport } from '../../src/controller.ts';
import type { Forecast } from '../../src/model/forecast.ts';
import {
  dimensionIndex,
  LOAD_DIMENSION_COUNT,
  type LoadDimension,
  type LoadProfile,
} from '../../src/model/load-profile.ts';
import type { Proposal, Refusal } from '../../src/model/proposal.ts';
import type { Settings } from '../../src/settings.ts';
import { ForecastJudge, type JudgedWindow } from './forecast-judge.ts';
import { type Reading, reading } from './reading.ts';

const QUERIES = dimensionIndex('queries');
const SKILL_QUANTILES = [0.1, 0.5, 0.9] as const;

/** A cycle, with what it looked at. */
export interface SeenCycle {
  readonly report: CycleReport;
  readonly profile: LoadProfile | null;
  /** Null where no storage node answered. */
  readonly state: ClusterState | null;
  /** By which it was planned. */
  readonly settings: Pick<Settings, 'controller' | 'affinity'>;
}

interface ProposalFacts {
  readonly atMs: number;
  readonly moveCount: number;
  readonly leftOutCount: number;
  readonly refusal: Refusal | null;
  readonly costs: Readonly<Record<'before' | 'after' | 'bound', number>>;
}

interface CycleFacts {
  readonly atMs: number;
  readonly forecastMs: number;
  readonly planMs: number;
  readonly skill: SkillFacts | null;
}

interface SkillFacts {
  readonly level: number;
  /** Of partitions whose skill is known, ascending. */
  readonly sorted: Float64Array;
  readonly byLoad: number;
  readonly ignoredCount: number;
}

/** What planning cycles have come to, as metrics: the latest, and counts over all. */
export class CycleBook {
  readonly #judge = new ForecastJudge();
  readonly #cycleCounts: Record<CycleReport['outcome'] | 'failed', number> = {
    planned: 0,
    'too-little-history': 0,
    failed: 0,
  };
  #cycle: CycleFacts | null = null;
  #proposal: ProposalFacts | null = null;
  #state: ClusterState | null = null;
  /** Those that are planned by. */
  #dimensions: readonly LoadDimension[] = [];

  noteFailure(): void {
    this.#cycleCounts.failed++;
  }

  note({ report, profile, state, settings }: SeenCycle): void {
    const { atMs, outcome, forecast, forecastMs, planMs, proposal } = report;
    this.#cycleCounts[outcome]++;
    this.#state = state ?? this.#state;
    if (profile !== null) this.#judge.judge(profile);
    if (forecast !== null) this.#judge.remember(forecast);
    const skill = forecast && skillOf(forecast, settings.controller.skillMin);
    this.#dimensions = settings.affinity.dimensions.map(({ dimension }) => dimension);
    this.#cycle = { atMs, forecastMs, planMs, skill };
    if (proposal !== null) this.#proposal = factsOf(proposal, atMs);
  }

  readings(): Reading[] {
    return [
      ...Object.entries(this.#cycleCounts).map(([outcome, count]) =>
        reading('foreshard_cycles_total', count, { outcome }),
      ),
      ...(this.#cycle === null ? [] : cycleReadings(this.#cycle)),
      ...(this.#proposal === null ? [] : proposalReadings(this.#proposal)),
      reading('foreshard_forecast_judged_total', this.#judge.counts.judged),
      reading('foreshard_forecast_covered_total', this.#judge.counts.covered),
      ...(this.#judge.last === null ? [] : this.#loadReadings(this.#judge.last)),
    ];
  }

  #loadReadings({ startMs, windowMs, measured, predicted }: JudgedWindow): Reading[] {
    const seconds = windowMs / 1000;
    const { nodes, map } = this.#state ?? { nodes: [], map: { ownerOf: new Int32Array(0) } };
    const loads = this.#dimensions.flatMap((dimension) => {
      const d = dimensionIndex(dimension);
      const nodeLoads = { measured: nodes.map(() => 0), predicted: nodes.map(() => 0) };
      const totals = { measured: 0, predicted: 0 };
      for (let p = 0; p < measured.length / LOAD_DIMENSION_COUNT; p++) {
        const came = (measured[p * LOAD_DIMENSION_COUNT + d] as number) / seconds;
        const said = (predicted[p * LOAD_DIMENSION_COUNT + d] as number) / seconds;
        totals.measured += came;
        totals.predicted += said;
        const owner = map.ownerOf[p] ?? -1;
        if (owner < 0 || owner >= nodes.length) continue;
        nodeLoads.measured[owner] += came;
        nodeLoads.predicted[owner] += said;
      }
      return [
        reading('foreshard_load_measured', totals.measured, { dimension }),
        reading('foreshard_load_predicted', totals.predicted, { dimension }),
        ...nodes.flatMap(({ capacity }, node) => {
          const labels = { storage_node: node, dimension };
          return [
            reading('foreshard_node_load_measured', nodeLoads.measured[node] as number, labels),
            reading('foreshard_node_load_predicted', nodeLoads.predicted[node] as number, labels),
            reading('foreshard_node_capacity', (capacity[d] as number) / seconds, labels),
          ];
        }),
      ];
    });
    return [...loads, reading('foreshard_load_window_timestamp_seconds', startMs / 1000)];
  }
}

function factsOf({ moves, leftOut, refusal, ...proposal }: Proposal, atMs: number): ProposalFacts {
  return {
    atMs,
    moveCount: moves.length,
    leftOutCount: leftOut.length,
    refusal: refusal ?? null,
    costs: { before: proposal.costBefore, after: proposal.costAfter, bound: proposal.lowerBound },
  };
}

/** @param skillMin as controller.skillMin: partitions below it are planned with last week's load. */
function skillOf({ skill, mean, level, partitionCount }: Forecast, skillMin: number): SkillFacts {
  let weighted = 0;
  let weight = 0;
  let ignoredCount = 0;
  const known: number[] = [];
  for (let p = 0; p < partitionCount; p++) {
    const own = skill[p] as number;
    if (Number.isNaN(own)) continue;
    const load = mean[p * LOAD_DIMENSION_COUNT + QUERIES] as number;
    known.push(own);
    weighted += own * load;
    weight += load;
    if (own < skillMin) ignoredCount++;
  }
  return { level, sorted: Float64Array.from(known).sort(), byLoad: weighted / weight, ignoredCount };
}

function cycleReadings({ atMs, forecastMs, planMs, skill }: CycleFacts): Reading[] {
  return [
    reading('foreshard_cycle_timestamp_seconds', atMs / 1000),
    reading('foreshard_cycle_duration_seconds', forecastMs / 1000, { part: 'forecast' }),
    reading('foreshard_cycle_duration_seconds', planMs / 1000, { part: 'plan' }),
    ...(skill === null ? [] : skillReadings(skill)),
  ];
}

const skillReadings = ({ level, sorted, byLoad, ignoredCount }: SkillFacts): Reading[] => [
  reading('foreshard_forecast_level_ratio', level),
  reading('foreshard_forecast_ignored_partitions', ignoredCount),
  reading('foreshard_forecast_load_skill_ratio', byLoad),
  ...SKILL_QUANTILES.map((quantile) =>
    reading('foreshard_forecast_skill_ratio', sorted[Math.floor(quantile * sorted.length)] ?? Number.NaN, {
      quantile,
    }),
  ),
];

const proposalReadings = ({ atMs, moveCount, leftOutCount, refusal, costs }: ProposalFacts): Reading[] => [
  reading('foreshard_plan_timestamp_seconds', atMs / 1000),
  reading('foreshard_plan_moves', moveCount, { state: 'planned' }),
  reading('foreshard_plan_moves', leftOutCount, { state: 'left-out' }),
  ...Object.entries(costs).map(([map, cost]) => reading('foreshard_plan_cost', cost, { map })),
  reading(
    'foreshard_plan_gap_ratio',
    costs.bound > 0 ? Math.max(0, costs.after / costs.bound - 1) : Number.NaN,
  ),
  ...(refusal === null ? [] : [reading('foreshard_plan_refusal', 1, { reason: refusal })]),
];
