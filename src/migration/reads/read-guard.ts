/**
 * Whether reads may go to a migration's target: a pure judgement of what the query nodes have measured and how busy the
 * target is.
 *
 *   green --errors in one window, or another measure over its limit in badWindowsMin windows in a row--> red
 *   red   --a window with every known measure below RECOVERED of its limit-----------------------------> green
 *
 * A measure of which there are too few reads is neither: counts are kept until there are enough. What red means (weight 0,
 * a hold, an abort in the end) is for `step.ts`, which keeps it in the record, so that the next coordinator knows as well.
 */
import type { NodePressure } from '../../ports/storage-engine.ts';
import type { ReadGuardSettings } from './read-guard-settings.ts';
import { latencyQuantileMs, latencyTotal } from './read-latency.ts';

/** Reads of one window at one side, over all query nodes. */
export interface SideReads {
  /** All that ended, in whatever way. */
  readonly readCount: number;
  /** That the node refused to do, that its connection lost, or that it did not answer in time. */
  readonly errorCount: number;
  /** [bucket] of read-latency.ts; of those that were answered. */
  readonly latencyCounts: readonly number[];
}

export interface TargetReads extends SideReads {
  /** Of readCount: the copy had not applied what the reader may have seen. */
  readonly behindCount: number;
}

export interface ShadowReads {
  /** Answers of both sides at one lsn. */
  readonly comparedCount: number;
  readonly unequalCount: number;
  /** Which read of which key, where there was an unequal one. */
  readonly evidence: string;
}

export interface ReadSample {
  readonly source: SideReads;
  readonly target: TargetReads;
  readonly shadow: ShadowReads;
  readonly lagEntries: number;
  /** Of the target and of the source, over about the last second; null where a node does not say. */
  readonly load: NodePressure | null;
  readonly sourceLoad: NodePressure | null;
}

export type ReadVerdict =
  | { readonly kind: 'green' }
  | { readonly kind: 'red'; readonly reason: string }
  /** The copy has answered something else than the source, at one lsn. */
  | { readonly kind: 'bad-copy'; readonly reason: string };

/** What a judgement hands on to the next. */
export interface GuardMemory {
  /** Reads of windows that were too few to be judged. */
  readonly source: SideReads;
  readonly target: TargetReads;
  /** The source's latencies, of the whole migration: at weight 1 it answers hardly any reads to compare with. */
  readonly sourceLatencyCounts: readonly number[];
  /** Bad windows in a row: of those in which there were enough reads, and of all by lag and load. */
  readonly badReadWindowCount: number;
  readonly badPressureWindowCount: number;
  readonly redReason: string | null;
}

/** While red, a measure has to fall this far below its limit: at the limit itself reads would go back and forth. */
const RECOVERED = 0.8;
/** So many failed reads are judged though the others are too few: a target that answers nothing never has enough. */
const ERRORS_MIN = 5;
/** A target over its limits must be so much busier than the source: where both are, reads gain nothing by staying. */
const BUSIER = 1.5;
/** Of the source's latencies so many are remembered: older ones fade as new ones come. */
const SOURCE_READS_MAX = 10_000;

const GREEN: ReadVerdict = { kind: 'green' };
const NO_READS: TargetReads = { readCount: 0, errorCount: 0, behindCount: 0, latencyCounts: [] };

export const NEW_GUARD_MEMORY: GuardMemory = {
  source: NO_READS,
  target: NO_READS,
  sourceLatencyCounts: [],
  badReadWindowCount: 0,
  badPressureWindowCount: 0,
  redReason: null,
};

/** @param sample of the window since the last judgement. */
export function judgeReads(
  memory: GuardMemory,
  sample: ReadSample,
  settings: ReadGuardSettings,
): { readonly memory: GuardMemory; readonly verdict: ReadVerdict } {
  const { shadow } = sample;
  if (shadow.unequalCount > 0) {
    const reason = `${shadow.unequalCount} of ${shadow.comparedCount} mirrored reads were answered differently by the copy at the same lsn: ${shadow.evidence}`;
    return { memory, verdict: { kind: 'bad-copy', reason } };
  }
  const source = addSide(memory.source, sample.source);
  const target = addTarget(memory.target, sample.target);
  const sourceLatencyCounts = fade(addCounts(memory.sourceLatencyCounts, sample.source.latencyCounts));
  const isEnough = target.readCount >= settings.readsMin || target.errorCount >= ERRORS_MIN;
  const limitFactor = memory.redReason === null ? 1 : RECOVERED;

  const failing = isEnough ? errorBreach(source, target, settings, limitFactor) : null;
  const slow = isEnough ? readBreach(sourceLatencyCounts, target, settings, limitFactor) : null;
  const pressing = pressureBreach(sample, settings, limitFactor);
  let { badReadWindowCount } = memory;
  if (isEnough) badReadWindowCount = slow === null ? 0 : badReadWindowCount + 1;
  const badPressureWindowCount = pressing === null ? 0 : memory.badPressureWindowCount + 1;
  const windowsMin = memory.redReason === null ? settings.badWindowsMin : 1;
  let redReason = failing;
  if (redReason === null && badReadWindowCount >= windowsMin) redReason = slow;
  if (redReason === null && badPressureWindowCount >= windowsMin) redReason = pressing;
  return {
    memory: {
      source: isEnough ? NO_READS : source,
      target: isEnough ? NO_READS : target,
      sourceLatencyCounts,
      badReadWindowCount,
      badPressureWindowCount,
      redReason,
    },
    verdict: redReason === null ? GREEN : { kind: 'red', reason: redReason },
  };
}

/** The memory for another read weight: reads of the one before say nothing about it. */
export const forgetReads = (memory: GuardMemory): GuardMemory => ({
  ...memory,
  source: NO_READS,
  target: NO_READS,
  badReadWindowCount: 0,
  badPressureWindowCount: 0,
});

function errorBreach(
  source: SideReads,
  target: TargetReads,
  { errorShareMax }: ReadGuardSettings,
  limitFactor: number,
): string | null {
  // What fails at both sides (a client's own mistake, a cut network) does not speak against the target.
  const share = shareOf(target.errorCount, target.readCount) - shareOf(source.errorCount, source.readCount);
  if (share <= errorShareMax * limitFactor) return null;
  return `${percent(share)} of ${target.readCount} reads at the target failed or were late, at most ${percent(errorShareMax)} may`;
}

function readBreach(
  sourceLatencyCounts: readonly number[],
  target: TargetReads,
  { behindShareMax, latencyMsMin, latencyRatioMax, readsMin }: ReadGuardSettings,
  limitFactor: number,
): string | null {
  const behindShare = shareOf(target.behindCount, target.readCount);
  if (behindShare > behindShareMax * limitFactor)
    return `the target was behind for ${percent(behindShare)} of ${target.readCount} reads, at most ${percent(behindShareMax)}`;
  if (latencyTotal(target.latencyCounts) < readsMin || latencyTotal(sourceLatencyCounts) < readsMin)
    return null;
  const targetMs = latencyQuantileMs(target.latencyCounts, 0.99);
  const sourceMs = latencyQuantileMs(sourceLatencyCounts, 0.99);
  if (targetMs <= latencyMsMin || targetMs <= sourceMs * latencyRatioMax * limitFactor) return null;
  return `p99 of reads is ${targetMs.toFixed(1)} ms at the target and ${sourceMs.toFixed(1)} ms at the source, at most ${latencyRatioMax} times as much`;
}

function pressureBreach(
  { lagEntries, load, sourceLoad }: ReadSample,
  settings: ReadGuardSettings,
  limitFactor: number,
): string | null {
  if (lagEntries > settings.lagMax * limitFactor)
    return `the target is ${lagEntries} log entries behind, at most ${settings.lagMax}`;
  if (load === null) return null;
  const isOver = (measure: keyof NodePressure, limit: number): boolean =>
    load[measure] > limit * limitFactor && load[measure] > (sourceLoad?.[measure] ?? 0) * BUSIER;
  if (isOver('cpuShare', settings.cpuShareMax))
    return `the target uses ${percent(load.cpuShare)} of a CPU, at most ${percent(settings.cpuShareMax)}`;
  if (isOver('loopLagMs', settings.loopLagMsMax))
    return `the target's event loop is ${load.loopLagMs.toFixed(0)} ms late, at most ${settings.loopLagMsMax} ms`;
  if (isOver('commitMs', settings.commitMsMax))
    return `a commit takes the target's disk ${load.commitMs.toFixed(0)} ms, at most ${settings.commitMsMax} ms`;
  return null;
}

function addSide(a: SideReads, b: SideReads): SideReads {
  return {
    readCount: a.readCount + b.readCount,
    errorCount: a.errorCount + b.errorCount,
    latencyCounts: addCounts(a.latencyCounts, b.latencyCounts),
  };
}

const addTarget = (a: TargetReads, b: TargetReads): TargetReads => ({
  ...addSide(a, b),
  behindCount: a.behindCount + b.behindCount,
});

/** Either may be shorter: what is missing is 0. */
export function addCounts(a: readonly number[], b: readonly number[]): readonly number[] {
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  return long.map((count, i) => count + (short[i] ?? 0));
}

function fade(counts: readonly number[]): readonly number[] {
  const total = latencyTotal(counts);
  return total <= SOURCE_READS_MAX ? counts : counts.map((count) => (count * SOURCE_READS_MAX) / total);
}

const shareOf = (count: number, total: number): number => (total === 0 ? 0 : count / total);
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
