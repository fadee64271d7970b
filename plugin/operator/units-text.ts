import type { LoadDimension } from '../../src/model/load-profile.ts';

/** Such as `2026-01-01 13:00 UTC`. */
export const asTime = (ms: number): string =>
  `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** Such as `2026-01-01 13:00:07 UTC`. */
export const asSecond = (ms: number): string =>
  `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** To the minute, but to the second where it is less than five minutes away. */
export const asMoment = (ms: number, nowMs: number): string =>
  Math.abs(ms - nowMs) < 5 * 60_000 ? asSecond(ms) : asTime(ms);

/** How far a plan is above the best, at most: a lower bound of a fraction of its cost is a weak one. */
export const gapText = (gap: number): string =>
  gap <= 1
    ? `at most ${(100 * gap).toFixed(1)} % above the best`
    : `${(1 + gap).toFixed(1)} times that bound, which may be weak`;

export const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** Such as `90 s`, `60 min`: in the largest unit of which it has two, to three digits. */
export function durationText(ms: number): string {
  for (const [unitMs, unit] of [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1_000, 's'],
  ] as const)
    if (ms >= 2 * unitMs) return `${Number((ms / unitMs).toPrecision(3))} ${unit}`;
  return `${Number(ms.toPrecision(3))} ms`;
}

/** Such as `1 node`, `3 nodes`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

const UNITS: Readonly<Record<LoadDimension, string>> = {
  queries: 'queries/s',
  cpuSeconds: 'CPU seconds/s',
  readBytes: 'bytes read/s',
  writeBytes: 'bytes written/s',
};

/** A node's capacity in one dimension; without a number where nobody has said what a node carries. */
export const capacityText = (dimension: LoadDimension, perSecond: number | null): string =>
  perSecond === null
    ? `capacity in ${UNITS[dimension]}`
    : `capacity of ${Number(perSecond.toPrecision(6))} ${UNITS[dimension]}`;

/** 0,1,2,5 as `0-2 5`. */
export function asRanges(sorted: readonly number[]): string {
  const ranges: string[] = [];
  for (let i = 0; i < sorted.length; ) {
    let end = i;
    while (sorted[end + 1] === (sorted[end] as number) + 1) end++;
    ranges.push(end === i ? `${sorted[i]}` : `${sorted[i]}-${sorted[end]}`);
    i = end + 1;
  }
  return ranges.join(' ');
}
