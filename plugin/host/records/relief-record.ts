import type { ReliefReport } from '../../../src/relief-cycle.ts';
import { decodeRecord, encodeRecord } from './json-record.ts';

/** `relief/last` in the metadata store: the last relief between cycles, and what came of it. */
export interface ReliefRecord {
  readonly v: 1;
  readonly atMs: number;
  readonly mode: string;
  readonly stresses: ReliefReport['lasting'];
  readonly moves: readonly {
    readonly partitionId: number;
    readonly sourceNodeId: number;
    readonly targetNodeId: number;
  }[];
  /** Why nothing was moved. */
  readonly refusal: ReliefReport['refusal'];
}

export const encodeRelief = ({ atMs, lasting, moves, refusal }: ReliefReport, mode: string): Uint8Array =>
  encodeRecord({
    v: 1,
    ...{ atMs, mode, stresses: lasting, refusal },
    moves: moves.map(({ partitionId, sourceNodeId, targetNodeId }) => ({
      partitionId,
      sourceNodeId,
      targetNodeId,
    })),
  } satisfies ReliefRecord);

/** @throws ForeshardError FORESHARD_CORRUPT when it is not what encodeRelief wrote. */
export const decodeRelief = (key: string, bytes: Uint8Array): ReliefRecord =>
  decodeRecord<ReliefRecord>(
    key,
    bytes,
    ({ v, stresses, moves }) => v === 1 && Array.isArray(stresses) && Array.isArray(moves),
  );
