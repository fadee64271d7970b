import { BANDWIDTH_DEFAULT, type PlacementInputs } from './instance.ts';
import type { AffinitySettings } from './settings.ts';

/** What a finished migration tells about the next ones. */
export interface MigrationSample {
  readonly copiedBytes: number;
  /** From the first byte until the copy had caught up; null where it was not seen. */
  readonly copySeconds: number | null;
  /** From the fence to the switch: so long writes to the partition waited. Null where it was not seen. */
  readonly fenceSeconds: number | null;
  /** Clients' p99 while it moved over the one without, and the share of the load that left its source; null where not seen. */
  readonly latencyRatio?: number | null;
  readonly realisedShare?: number | null;
}

/** What the planner takes migrations to cost. */
export interface MigrationPace {
  readonly bytesPerSecond: number;
  /** Typical, and what nine of ten stay below. */
  readonly fenceSeconds: number;
  readonly fenceSecondsHigh: number;
  /** What clients feel of a copy: their p99, over the one without. */
  readonly latencyRatio: number;
  /** How much of a move's relief has come: what a plan promises is taken to be worth as much. */
  readonly realisedShare: number;
  /** Migrations that it rests on, the prior not among them. */
  readonly sampleCount: number;
}

/** The prior counts as so many migrations: three odd ones do not outvote it, a dozen do. Arbitrary. */
const PRIOR_COUNT = 5;

/** Copies below this say more of the fixed parts than of the rate. */
const COPY_BYTES_MIN = 1 << 20;

/** The newest count: disks fill and networks change. */
const SAMPLES_MAX = 100;

/**
 * Estimates how fast copies run and how long fences stand from those that were, by medians: one migration that met a full disk
 * or a paused machine says nothing of the next. The prior takes part as five migrations.
 *
 * @param samples the newest last.
 * @param prior what is assumed before anything was measured; copies are never taken to be faster than its rate, which is the
 *   throttle.
 */
export function paceOf(samples: readonly MigrationSample[], prior: MigrationPace): MigrationPace {
  const newest = samples.slice(-SAMPLES_MAX);
  const rates = newest.flatMap(({ copiedBytes, copySeconds }) =>
    copySeconds !== null && copySeconds > 0 && copiedBytes >= COPY_BYTES_MIN
      ? [copiedBytes / copySeconds]
      : [],
  );
  const ratios = newest.flatMap(({ latencyRatio }) => latencyRatio ?? []);
  const shares = newest.flatMap(({ realisedShare }) => realisedShare ?? []);
  const fences = newest.flatMap(({ fenceSeconds }) => (fenceSeconds === null ? [] : [fenceSeconds]));
  return {
    bytesPerSecond: Math.min(
      prior.bytesPerSecond,
      quantile([...rates, ...repeated(prior.bytesPerSecond)], 0.5),
    ),
    fenceSeconds: quantile([...fences, ...repeated(prior.fenceSeconds)], 0.5),
    fenceSecondsHigh: quantile([...fences, ...repeated(prior.fenceSecondsHigh)], 0.9),
    latencyRatio: quantile([...ratios, ...repeated(prior.latencyRatio)], 0.5),
    realisedShare: quantile([...shares, ...repeated(prior.realisedShare)], 0.5),
    sampleCount: newest.length,
  };
}

const repeated = (value: number): number[] => new Array<number>(PRIOR_COUNT).fill(value);

/** The smallest value that at least this share of all values do not exceed. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number;
}

/** The fence that `moveBlipIndexHours` speaks of, seconds; and what nine of ten are taken to stay below before any was seen. */
const FENCE_PRIOR = { fenceSeconds: 0.1, fenceSecondsHigh: 0.3 };
/** The throttle holds clients' p99 at this; and a plan is believed until moves have shown otherwise. */
const IMPACT_PRIOR = { latencyRatio: 1.5, realisedShare: 1 };
/** A copy that nobody feels still takes network and disk; moves that never paid are not forbidden for ever. */
const LATENCY_FACTOR_MIN = 0.5;
const REALISED_SHARE_MIN = 0.2;

/** What migrations are taken to cost where copies are allowed `bytesPerSecond`. */
export const paceAt = (samples: readonly MigrationSample[], bytesPerSecond: number): MigrationPace =>
  paceOf(samples, { ...FENCE_PRIOR, ...IMPACT_PRIOR, bytesPerSecond, sampleCount: 0 });

/** Nodes that copy as fast as they did, prices by what fences and clients took, and a gain that has to be as doubtful as it was. */
export function calibrated<Inputs extends Omit<PlacementInputs, 'forecast'>>(
  inputs: Inputs,
  settings: AffinitySettings,
): { readonly inputs: Inputs; readonly settings: AffinitySettings } {
  const samples = inputs.memory?.samples ?? [];
  if (samples.length === 0) return { inputs, settings };
  const nodes = inputs.nodes.map((node) => {
    const own = node.bandwidthBytesPerSecond > 0 ? node.bandwidthBytesPerSecond : BANDWIDTH_DEFAULT;
    return { ...node, bandwidthBytesPerSecond: paceAt(samples, own).bytesPerSecond };
  });
  const { fenceSeconds, latencyRatio, realisedShare } = paceAt(samples, BANDWIDTH_DEFAULT);
  const latencyFactor = Math.max(LATENCY_FACTOR_MIN, latencyRatio / IMPACT_PRIOR.latencyRatio);
  const confidence = Math.min(1, Math.max(REALISED_SHARE_MIN, realisedShare));
  return {
    inputs: { ...inputs, nodes },
    settings: {
      ...settings,
      moveBlipIndexHours: (settings.moveBlipIndexHours * fenceSeconds) / FENCE_PRIOR.fenceSeconds,
      moveIndexHoursPerSecond: settings.moveIndexHoursPerSecond * latencyFactor,
      // Moves that bring half of what they promise have to promise twice as much.
      benefitCostRatio: settings.benefitCostRatio / confidence,
    },
  };
}
