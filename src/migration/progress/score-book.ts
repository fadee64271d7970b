import type { Clock } from '../../base/clock.ts';
import type { NodeId } from '../../model/ids.ts';
import { latencyQuantileMs, latencyTotal } from '../reads/read-latency.ts';
import type { OpenRecord } from '../records/record-changes.ts';
import {
  type ClientWatch,
  countsSince,
  LATENCIES_MIN,
  type LatencyCounts,
  type NodeLatency,
} from '../throttle/client-latency.ts';
import { type MoveMeasures, NOT_MEASURED } from './scorecard.ts';

/** The load after a move is measured over so long of its grace, or over what there is of it, if that is enough. */
const AFTER_MS = 60_000;
const AFTER_MS_MIN = 10_000;
/** Query nodes tell of a grace that seldom. */
const LOOK_MS = 5_000;

interface Side {
  readonly before: NodeLatency;
  /** When the copy was made, and the last before the switch. */
  moving: NodeLatency;
  after: { readonly startMs: number; readonly start: NodeLatency; perSecond: number | null } | null;
}

interface Scored {
  readonly migrationId: number;
  nextLookMs: number;
  readonly sides: Map<NodeId, Side>;
}

/** Measures what moves do to clients and loads. What it remembers may be lost: then a card says that it was not seen. */
export class ScoreBook {
  readonly #clock: Clock;
  readonly #watch: ClientWatch | undefined;
  readonly #scored = new Map<number, Scored>();

  constructor(components: { readonly clock: Clock; readonly watch?: ClientWatch }) {
    this.#clock = components.clock;
    this.#watch = components.watch;
  }

  /** Never throws. */
  async observed({ partitionId, migration }: OpenRecord): Promise<void> {
    const { phase, migrationId } = migration;
    const isGrace = phase === 'GRACE';
    const isMoving = phase === 'COPY' || phase === 'CATCHUP' || phase === 'VERIFY' || phase === 'SHIFT';
    if (this.#watch === undefined || (!isGrace && !isMoving)) return;
    let scored = this.#scored.get(partitionId);
    if (scored?.migrationId !== migrationId) {
      // What was there before can only be seen before.
      if (phase !== 'COPY') return;
      scored = { migrationId, nextLookMs: Number.NEGATIVE_INFINITY, sides: new Map() };
      this.#scored.set(partitionId, scored);
    }
    if (this.#clock.monotonicMs() < scored.nextLookMs) return;
    scored.nextLookMs = this.#clock.monotonicMs() + (isGrace ? LOOK_MS : LOOK_MS / 10);
    for (const nodeId of [migration.sourceNodeId, migration.targetNodeId]) {
      const told = await this.#watch.latencyOf(nodeId);
      if (told !== null) this.#note(scored, nodeId, told, isGrace);
    }
  }

  measuresOf({ partitionId, migration }: OpenRecord): MoveMeasures {
    const scored = this.#scored.get(partitionId);
    if (scored?.migrationId !== migration.migrationId) return NOT_MEASURED;
    const source = scored.sides.get(migration.sourceNodeId);
    const target = scored.sides.get(migration.targetNodeId);
    return {
      sourceBefore: source?.before.calmPerSecond ?? null,
      sourceAfter: source?.after?.perSecond ?? null,
      targetBefore: target?.before.calmPerSecond ?? null,
      targetAfter: target?.after?.perSecond ?? null,
      ...worstLatency([source, target]),
    };
  }

  ended(partitionId: number): void {
    this.#scored.delete(partitionId);
  }

  #note({ sides }: Scored, nodeId: NodeId, told: NodeLatency, isGrace: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    const side = sides.get(nodeId);
    if (side === undefined) {
      if (!isGrace) sides.set(nodeId, { before: told, moving: told, after: null });
    } else if (!isGrace) side.moving = told;
    else if (side.after === null || countOf(told, side.after.start) === null)
      side.after = { startMs: nowMs, start: told, perSecond: null };
    else {
      const elapsedMs = nowMs - side.after.startMs;
      const isDone = side.after.perSecond !== null && elapsedMs > AFTER_MS;
      const count = countOf(told, side.after.start) as number;
      if (!isDone && elapsedMs >= AFTER_MS_MIN) side.after.perSecond = (count / elapsedMs) * 1000;
    }
  }
}

/** Queries answered in between; null where somebody counts anew. */
function countOf({ total: now }: NodeLatency, { total: start }: NodeLatency): number | null {
  const reads = countsSince(now.reads, start.reads);
  const writes = countsSince(now.writes, start.writes);
  return reads === null || writes === null ? null : latencyTotal(reads) + latencyTotal(writes);
}

/** Of reads and writes at either node the one that suffered most. */
function worstLatency(
  sides: readonly (Side | undefined)[],
): Pick<MoveMeasures, 'latencyMs' | 'calmLatencyMs'> {
  let worst: { latencyMs: number; calmLatencyMs: number } | null = null;
  for (const side of sides)
    for (const kind of ['reads', 'writes'] as const) {
      const found = side === undefined ? null : latencyOf(side, kind);
      if (found === null) continue;
      if (worst === null || found.latencyMs / found.calmLatencyMs > worst.latencyMs / worst.calmLatencyMs)
        worst = found;
    }
  return worst ?? { latencyMs: null, calmLatencyMs: null };
}

function latencyOf(
  { before, moving }: Side,
  kind: keyof LatencyCounts,
): { readonly latencyMs: number; readonly calmLatencyMs: number } | null {
  const during = countsSince(moving.total[kind], before.total[kind]);
  const calm = before.calm[kind];
  if (during === null || latencyTotal(during) < LATENCIES_MIN || latencyTotal(calm) < LATENCIES_MIN)
    return null;
  return { latencyMs: latencyQuantileMs(during, 0.99), calmLatencyMs: latencyQuantileMs(calm, 0.99) };
}
