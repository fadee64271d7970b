import type { MetricName } from './catalogue.ts';

export type Labels = Readonly<Record<string, string | number>>;

/** Counts that only grow, by upper edge. */
export interface Buckets {
  /** Rising, without the infinite one. */
  readonly edges: readonly number[];
  /** [bucket], not cumulated; one more than there are edges. */
  readonly counts: readonly number[];
  /** Null where nobody adds up what is counted: the middle of each bucket stands for it. */
  readonly sum: number | null;
}

/** What one part of a process tells of one metric; plain data, since parts are threads. */
export interface Reading {
  readonly name: MetricName;
  readonly labels?: Labels;
  readonly value: number | Buckets;
}

export const reading = (name: MetricName, value: number | Buckets, labels: Labels = {}): Reading => ({
  name,
  labels,
  value,
});

export const flag = (isSo: boolean): number => (isSo ? 1 : 0);
