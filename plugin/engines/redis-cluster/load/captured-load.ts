import { LOAD_DIMENSION_COUNT } from '../../../../src/model/load-profile.ts';
import type { ProfileLedger, WindowLoad } from '../../../host/analysis/profile-ledger.ts';
import type { CapturedProcess } from '../../../redis/pulse-record.ts';

/** What a captured process asked of late, by partition. */
interface Mix {
  /** f64[partition][dimension] over `count` queries. */
  readonly values: Float64Array;
  readonly count: number;
}

interface SeenProcess {
  readonly windows: ReadonlyMap<number, WindowLoad>;
  readonly mix: Mix | null;
  readonly pulse: Pick<CapturedProcess, 'atMs' | 'capturedCount'>;
  readonly perSecond: number;
}

/**
 * Load of this moment as captured applications tell it, for clusters whose servers do not count by slot: how many queries a
 * second by their pulses, and which partitions by what their open windows have grown by since they were published before.
 */
export class CapturedLoad {
  readonly #ledger: Pick<ProfileLedger, 'windowAt' | 'windowMs' | 'partitionCount'>;
  #processes: ReadonlyMap<number, SeenProcess> = new Map();

  constructor(ledger: Pick<ProfileLedger, 'windowAt' | 'windowMs' | 'partitionCount'>) {
    this.#ledger = ledger;
  }

  /**
   * @param processes those that are there now.
   * @returns f64[partition][dimension], a second; null as long as nothing can be told of any of them.
   */
  look(nowMs: number, processes: readonly CapturedProcess[]): Float64Array | null {
    const { windowMs, partitionCount } = this.#ledger;
    const presentMs = Math.floor(nowMs / windowMs) * windowMs;
    const parts = [presentMs - windowMs, presentMs].flatMap((startMs) => this.#ledger.windowAt(startMs));
    const seen = new Map<number, SeenProcess>();
    const sum = new Float64Array(partitionCount * LOAD_DIMENSION_COUNT);
    let isKnown = false;
    for (const { captureId, atMs, capturedCount } of processes) {
      const windows = new Map(
        parts.filter(({ queryNodeId }) => queryNodeId === captureId).map((part) => [part.startMs, part]),
      );
      const before = this.#processes.get(captureId);
      const own = {
        windows,
        mix: before ? (growth(before.windows, windows) ?? before.mix) : null,
        pulse: { atMs, capturedCount },
        perSecond: before ? rateSince(before, { atMs, capturedCount }) : 0,
      };
      seen.set(captureId, own);
      if (own.mix === null) continue;
      isKnown = true;
      const { values, count } = own.mix;
      for (let i = 0; i < sum.length; i++) sum[i]! += ((values[i] as number) / count) * own.perSecond;
    }
    this.#processes = seen;
    return isKnown ? sum : null;
  }
}

/** Null where nothing new was published, or nothing was asked. A window that has come since begins at nothing. */
function growth(before: ReadonlyMap<number, WindowLoad>, now: ReadonlyMap<number, WindowLoad>): Mix | null {
  let values: Float64Array | null = null;
  let count = 0;
  for (const [startMs, window] of now) {
    const last = before.get(startMs);
    const grown = window.capturedCount - (last?.capturedCount ?? 0);
    // Of one that nobody has seen begin it is not known when its queries came.
    if (grown <= 0 || (last === undefined && before.size === 0)) continue;
    count += grown;
    values ??= new Float64Array(window.values.length);
    for (let i = 0; i < values.length; i++)
      values[i]! += (window.values[i] as number) - (last?.values[i] ?? 0);
  }
  return values === null ? null : { values, count };
}

function rateSince({ pulse, perSecond }: SeenProcess, { atMs, capturedCount }: SeenProcess['pulse']): number {
  if (atMs <= pulse.atMs) return perSecond;
  return (1000 * Math.max(0, capturedCount - pulse.capturedCount)) / (atMs - pulse.atMs);
}
