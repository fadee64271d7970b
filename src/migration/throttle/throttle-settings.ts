import { integerFrom, numberFrom } from '../../base/claims.ts';

/** How far copies may go, and when they give way to clients. */
export interface ThrottleSettings {
  /** Whether copies give way at all; else they run at the limits whatever clients feel. */
  readonly isAdaptive: boolean;
  /** Most that all copies out of a node pull together, and as much into it. */
  readonly nodeBytesPerSecond: number;
  readonly nodeEntriesPerSecond: number;
  /** Most that all copies of the cluster pull together. */
  readonly clusterBytesPerSecond: number;
  readonly clusterEntriesPerSecond: number;
  /** No distress of clients brings a copy below this: it would never end, and its log would grow meanwhile. */
  readonly bytesPerSecondMin: number;
  /** Clients' p99 of reads and of writes, now over the one without migrations: above it a copy is halved. */
  readonly latencyRatioMax: number;
  /** A p99 up to this is never too long. */
  readonly latencyMsMin: number;
  /** How late the event loop of source or target may be before the target halves its copy by itself. */
  readonly loopLagMsMax: number;
  /** A copy that applies less than is written for so long is given up. */
  readonly catchUpMs: number;
}

export const DEFAULT_THROTTLE: ThrottleSettings = {
  isAdaptive: true,
  nodeBytesPerSecond: 64 << 20,
  nodeEntriesPerSecond: 200_000, // of one event loop, about what a storage node can apply and nothing else
  clusterBytesPerSecond: 1 << 30,
  clusterEntriesPerSecond: 2_000_000,
  bytesPerSecondMin: 1 << 20, // a GiB in a quarter of an hour
  latencyRatioMax: 1.5,
  latencyMsMin: 2, // a synced commit takes as much: below it the ratio is that of two noises
  loopLagMsMax: 20,
  catchUpMs: 10_000,
};

export const THROTTLE_RANGES = {
  'throttle.nodeBytesPerSecond': integerFrom(1024, 2 ** 40),
  'throttle.nodeEntriesPerSecond': integerFrom(1, 1e9),
  'throttle.clusterBytesPerSecond': integerFrom(1024, 2 ** 50),
  'throttle.clusterEntriesPerSecond': integerFrom(1, 1e12),
  'throttle.bytesPerSecondMin': integerFrom(1024, 2 ** 40),
  'throttle.latencyRatioMax': numberFrom(1, 100),
  'throttle.latencyMsMin': numberFrom(0, 60_000),
  'throttle.loopLagMsMax': numberFrom(1, 10_000),
  'throttle.catchUpMs': integerFrom(1000, 3_600_000),
};
