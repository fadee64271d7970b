/** What a storage node says of what its partitions cost it: counts since its start, of which whoever asks twice makes shares. */
import { z } from 'zod';
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { ControlReply } from '../../hooks.ts';
import { parseBody } from './migration-messages.ts';

export const COSTS_OPERATION = 'costs.read';

const COLUMNS = ['requests', 'writes', 'timedSeconds', 'kibibytes'] as const;

const reply = z.object({ atMs: z.number().nonnegative(), cpuSeconds: z.number().nonnegative() });

/** f64[partition] each, since the start of the process. */
export type CostCounts = Readonly<Record<(typeof COLUMNS)[number], Float64Array>>;

export interface NodeCosts extends CostCounts {
  /** By the node's own monotonic clock, which begins anew with its process. */
  readonly atMs: number;
  /** Of the process, since its start. */
  readonly cpuSeconds: number;
}

export function answerCosts(costs: CostCounts, clock: Clock): ControlReply {
  const { user, system } = process.cpuUsage();
  const columns = COLUMNS.map((name) => new Uint8Array(costs[name].buffer, costs[name].byteOffset));
  return {
    body: { atMs: clock.monotonicMs(), cpuSeconds: (user + system) / 1e6 },
    bulk: Buffer.concat(columns),
  };
}

/** @throws ForeshardError FORESHARD_CORRUPT. */
export function parseCosts({ body, bulk }: ControlReply, partitionCount: number): NodeCosts {
  const { atMs, cpuSeconds } = parseBody<z.output<typeof reply>>(reply, `${COSTS_OPERATION} reply`, body);
  const columnBytes = 8 * partitionCount;
  if (bulk?.length !== columnBytes * COLUMNS.length)
    throw new ForeshardError(
      'FORESHARD_CORRUPT',
      'report',
      `${COSTS_OPERATION} reply: ${bulk?.length ?? 0} bytes of counts for ${partitionCount} partitions`,
    );
  const column = (index: number): Float64Array => {
    // Copied: bytes of a frame need not lie where eight-byte numbers may.
    const bytes = Uint8Array.from(bulk.subarray(index * columnBytes, (index + 1) * columnBytes));
    const counts = new Float64Array(bytes.buffer);
    const wrong = counts.findIndex((count) => !(count >= 0 && count < Number.POSITIVE_INFINITY));
    if (wrong >= 0)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        'report',
        `${COSTS_OPERATION} reply: ${COLUMNS[index]} of partition ${wrong} are ${counts[wrong]}`,
      );
    return counts;
  };
  return {
    atMs,
    cpuSeconds,
    requests: column(0),
    writes: column(1),
    timedSeconds: column(2),
    kibibytes: column(3),
  };
}
