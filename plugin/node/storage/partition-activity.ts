/** What a storage node says of the load on it now: counts since its start, of which whoever asks twice makes rates. */
import { z } from 'zod';
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { parseBody } from '../../engines/migration-agent/migration-messages.ts';
import type { ControlReply } from '../../hooks.ts';

export const ACTIVITY_OPERATION = 'activity.read';

const reply = z.object({ atMs: z.number().nonnegative(), cpuSeconds: z.number().nonnegative() });

export interface NodeActivity {
  /** By the node's own monotonic clock: rates must not depend on when an answer arrives. */
  readonly atMs: number;
  /** Of the process, since its start. */
  readonly cpuSeconds: number;
  /** f64[partition]: requests that were run since the start. */
  readonly servedOf: Float64Array;
}

export function answerActivity(servedOf: Float64Array, clock: Clock): ControlReply {
  const { user, system } = process.cpuUsage();
  return {
    body: { atMs: clock.monotonicMs(), cpuSeconds: (user + system) / 1e6 },
    bulk: new Uint8Array(Buffer.from(servedOf.buffer, servedOf.byteOffset, servedOf.byteLength)),
  };
}

/** @throws ForeshardError FORESHARD_CORRUPT. */
export function parseActivity({ body, bulk }: ControlReply, partitionCount: number): NodeActivity {
  const { atMs, cpuSeconds } = parseBody<z.output<typeof reply>>(reply, `${ACTIVITY_OPERATION} reply`, body);
  if (bulk?.length !== 8 * partitionCount)
    throw new ForeshardError(
      'FORESHARD_CORRUPT',
      'report',
      `${ACTIVITY_OPERATION} reply: ${bulk?.length ?? 0} bytes of counts for ${partitionCount} partitions`,
    );
  // Copied: bytes of a frame need not lie where eight-byte numbers may.
  return { atMs, cpuSeconds, servedOf: new Float64Array(Uint8Array.from(bulk).buffer) };
}
