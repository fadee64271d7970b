/** The words of a move of slots, by ASK redirects: what is asked for, and what came of it. */
import type { SlotMoveSettings } from '../../../../src/redis-settings.ts';

export interface SlotMove {
  readonly sourceId: string;
  readonly targetId: string;
  /** Where the source finds the target. */
  readonly targetAddress: { readonly host: string; readonly port: number };
  /** The other masters: they are told last, or learn by gossip. */
  readonly otherMasterIds: readonly string[];
  readonly slots: readonly number[];
  /** Former ids of source and target, before a failover: what is open with them is ours. */
  readonly formerIds: readonly string[];
  /**
   * The source was a replica when slots were opened, or was restarted since. What its predecessor had handed over may be there again, since
   * deletions had not reached it: which copy of a key counts cannot be told any more.
   */
  readonly isSourcePromoted: boolean;
  /**
   * `run_id` of the source's INFO before the first slot was opened; null where the move begins now. Another one says that the
   * source was restarted since, maybe with older data: then it has to be treated as promoted.
   */
  readonly sourceRunId: string | null;
  /** As they were when the target was known to believe the source; undefined where nobody has looked. */
  readonly settledEpochs?: SettledEpochs;
}

/** Configuration epochs. */
export interface SettledEpochs {
  readonly source: number;
  readonly target: number;
}

export interface MoveLimits
  extends Pick<
    SlotMoveSettings,
    'keyBytesMax' | 'keyElementsMax' | 'sampleShare' | 'replicasMin' | 'replicaWaitMs' | 'migrateTimeoutMs'
  > {
  /** Asked before each round, since the pace changes. */
  readonly keysPerMigrate: () => number;
  /** `AUTH2 user password` or `AUTH password` for the target, as the source logs on to it; empty without a password. */
  readonly migrateLogin: readonly string[];
}

export interface BigKey {
  readonly slot: number;
  readonly key: Buffer;
  readonly type: string;
  readonly bytes: number;
  /** 0 where it was not counted. */
  readonly elements: number;
}

/** A slot that has too many keys to be looked at. */
export interface FullSlot {
  readonly slot: number;
  readonly keyCount: number;
}

export interface SampleReport {
  readonly checkedCount: number;
  /** Keys that read otherwise after their move: a client has written in between, or something is wrong. */
  readonly differing: readonly Buffer[];
}

export interface SlotMoveOutcome {
  /** Owned by the target now, those included that were so before. */
  readonly committedSlots: readonly number[];
  /** Not opened, because of keys that would hold the servers for too long. */
  readonly bigKeys: readonly BigKey[];
  /** Not opened, because they have too many keys to be looked at. */
  readonly fullSlots: readonly FullSlot[];
  /** Slots that are open still: these keys are on both sides, with different contents, after a failover of the source. */
  readonly conflictingKeys: readonly { readonly slot: number; readonly key: Buffer }[];
  /** Slots that neither side owns any more. */
  readonly lostSlots: readonly number[];
  readonly movedKeyCount: number;
  readonly sample: SampleReport;
}

/** Something in the cluster is not as the move needs it. Slots may be open: looking again and going on is the remedy. */
export class SlotMoveStopped extends Error {
  override readonly name = 'SlotMoveStopped';
}
