import { LATENCY_BUCKET_COUNT, latencyBucket } from '../../../src/migration/reads/read-latency.ts';
import type { NodeId } from '../../../src/model/ids.ts';

/** What was learnt of a calm node loses half its weight in so long: the baseline follows the day, not the minute. */
const HALF_LIFE_MS = 120_000;
/** After a migration its removals, and what it has put out of caches, are felt for a while. */
const CALM_AFTER_MS = 2_000;

/** Latencies of one storage node's answers as this query node's clients feel them. */
export class NodeLatencyMeter {
  readonly nodeId: number;
  /** Wall clock, milliseconds: tells this meter from one of the process's life before. */
  readonly openedAtMs: number;
  /** [bucket] since then. */
  readonly reads = new Uint32Array(LATENCY_BUCKET_COUNT);
  readonly writes = new Uint32Array(LATENCY_BUCKET_COUNT);
  /** [bucket] without a migration at the node; the older, the less it counts. */
  readonly calmReads = new Float64Array(LATENCY_BUCKET_COUNT);
  readonly calmWrites = new Float64Array(LATENCY_BUCKET_COUNT);
  /** Queries a second over the same time. */
  calmPerSecond = 0;
  readonly #learntReads = new Uint32Array(LATENCY_BUCKET_COUNT);
  readonly #learntWrites = new Uint32Array(LATENCY_BUCKET_COUNT);
  #busyUntilMs = Number.NEGATIVE_INFINITY;
  #learntAtMs: number;
  #calmMs = 0;

  constructor(nodeId: number, openedAtMs: number, monotonicMs: number) {
    this.nodeId = nodeId;
    this.openedAtMs = openedAtMs;
    this.#learntAtMs = monotonicMs;
  }

  answered(isWrite: boolean, latencyMs: number): void {
    const bucket = latencyBucket(latencyMs);
    if (isWrite) this.writes[bucket]++;
    else this.reads[bucket]++;
  }

  /** Takes in what was answered since the last call, unless a migration had part in it. */
  learn(nowMs: number, isBusy: boolean): void {
    const elapsedMs = nowMs - this.#learntAtMs;
    this.#learntAtMs = nowMs;
    if (isBusy) this.#busyUntilMs = nowMs + CALM_AFTER_MS;
    const isCalm = nowMs >= this.#busyUntilMs;
    const kept = isCalm ? 2 ** (-elapsedMs / HALF_LIFE_MS) : 1;
    let total = 0;
    for (let bucket = 0; bucket < LATENCY_BUCKET_COUNT; bucket++) {
      const [reads, writes] = [this.reads[bucket] as number, this.writes[bucket] as number];
      if (isCalm) {
        this.calmReads[bucket] = this.calmReads[bucket] * kept + reads - this.#learntReads[bucket];
        this.calmWrites[bucket] = this.calmWrites[bucket] * kept + writes - this.#learntWrites[bucket];
      }
      this.#learntReads[bucket] = reads;
      this.#learntWrites[bucket] = writes;
      total += this.calmReads[bucket] + this.calmWrites[bucket];
    }
    if (!isCalm) return;
    this.#calmMs = this.#calmMs * kept + elapsedMs;
    this.calmPerSecond = this.#calmMs === 0 ? 0 : (total / this.#calmMs) * 1000;
  }
}

/** One meter for each storage node that has answered. */
export class NodeLatencies {
  readonly #meterOf: (NodeLatencyMeter | undefined)[] = [];
  readonly #wallMs: () => number;

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  answered(nodeId: number, isWrite: boolean, receivedMs: number, nowMs: number): void {
    let meter = this.#meterOf[nodeId];
    if (meter === undefined) {
      meter = new NodeLatencyMeter(nodeId, this.#wallMs(), nowMs);
      this.#meterOf[nodeId] = meter;
    }
    meter.answered(isWrite, nowMs - receivedMs);
  }

  /** @param busyNodes storage nodes that a migration reads from or writes to. */
  learn(nowMs: number, busyNodes: ReadonlySet<NodeId>): void {
    for (const meter of this.#meterOf) meter?.learn(nowMs, busyNodes.has(meter.nodeId as NodeId));
  }

  get all(): NodeLatencyMeter[] {
    return this.#meterOf.filter((meter) => meter !== undefined);
  }

  /** Those of the nodes that have answered anybody. */
  of(nodes: ReadonlySet<NodeId>): NodeLatencyMeter[] {
    return this.#meterOf.filter(
      (meter): meter is NodeLatencyMeter => meter !== undefined && nodes.has(meter.nodeId as NodeId),
    );
  }
}
