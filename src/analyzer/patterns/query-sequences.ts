import type { QueryRecord } from '../../model/query-log.ts';
import { CoAccess, type CoAccessReport, type CoAccessSettings } from './co-access.ts';
import { ForwardDecay } from './decay.ts';

/** Parts of one multi-key query are answered by different nodes; later than this after each other they are of different ones. */
const PARTS_WITHIN_MS = 250;

/** A client's multi-key query of which more parts may come. */
interface OpenQuery {
  readonly command: string;
  readonly partitions: number[];
  readonly timeMs: number;
}

export interface QuerySequenceSettings extends CoAccessSettings {
  /** After so long a pair counts half. */
  readonly halfLifeMs: number;
  /** Commands of several keys, whose queries are recorded partition by partition. */
  readonly splitCommands: ReadonlySet<string>;
  /** Of one batch of records so many are looked at, from its beginning on: sequences need neighbours, not a sample here and there. */
  readonly recordsMax: number;
}

/**
 * Co-access out of captured records, which hold one partition each: a query over several partitions is one record for each of
 * them, as they are answered. Those of one client and one command, soon after each other and each of another partition, are
 * taken for one query: a client that waits for replies never has two such queries open. Of one that does not wait, some may
 * be taken for one.
 */
export class QuerySequences {
  readonly #settings: QuerySequenceSettings;
  readonly #decay: ForwardDecay;
  readonly #coAccess: CoAccess;
  readonly #open = new Map<number, OpenQuery>();
  #leftInBatch = 0;
  #skippedCount = 0;

  constructor(settings: QuerySequenceSettings) {
    this.#settings = settings;
    this.#decay = new ForwardDecay(settings.halfLifeMs);
    this.#coAccess = new CoAccess(settings);
    this.#leftInBatch = settings.recordsMax;
  }

  /** Records that came when there were too many in one batch. */
  get skippedCount(): number {
    return this.#skippedCount;
  }

  add({ timeMs, clientId, command, partitionId }: QueryRecord): void {
    if (this.#leftInBatch === 0) {
      this.#skippedCount++;
      return;
    }
    this.#leftInBatch--;
    const isSplit = this.#settings.splitCommands.has(command);
    const open = this.#open.get(clientId);
    if (open !== undefined) {
      const isPart =
        isSplit &&
        open.command === command &&
        timeMs - open.timeMs <= PARTS_WITHIN_MS &&
        !open.partitions.includes(partitionId);
      if (isPart) {
        open.partitions.push(partitionId);
        return;
      }
      this.#close(clientId, open);
    }
    if (isSplit) this.#open.set(clientId, { command, partitions: [partitionId], timeMs });
    else this.#count(clientId, timeMs, [partitionId]);
  }

  /** Ends a batch. Queries whose parts have had time to come are counted. */
  endBatch(nowMs: number): void {
    this.#leftInBatch = this.#settings.recordsMax;
    for (const [clientId, open] of this.#open)
      if (nowMs - open.timeMs > PARTS_WITHIN_MS || this.#open.size > this.#settings.clientsMax)
        this.#close(clientId, open);
  }

  report(): CoAccessReport {
    return this.#coAccess.report(this.#decay.scale);
  }

  #close(clientId: number, { partitions, timeMs }: OpenQuery): void {
    this.#open.delete(clientId);
    this.#count(clientId, timeMs, partitions);
  }

  #count(clientId: number, timeMs: number, partitions: readonly number[]): void {
    if (this.#decay.isBeyond(timeMs)) this.#coAccess.rescale(this.#decay.moveLandmark(timeMs));
    const weight = this.#decay.weightAt(timeMs);
    this.#coAccess.add({ timeMs, client: clientId, partitions, weight });
  }
}
