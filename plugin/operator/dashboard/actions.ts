/** What may be done from the dashboard: what the commands do, by the same code. */
import { z } from 'zod';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { approve } from '../approval/approve.ts';
import { REJECTION_MS_MAX, reject } from '../approval/reject.ts';
import { REASON_LENGTH_MAX } from '../flags.ts';
import { askCoordinator } from '../migration/ask-coordinator.ts';
import { setPaused } from '../migration/pause-command.ts';
import { hasControlCharacters } from '../output.ts';

const partitionId = z.number().int().min(0).max(16_383);
const reason = z
  .string()
  .trim()
  .min(1, 'say why; it is kept in the audit')
  .max(REASON_LENGTH_MAX)
  .refine((text) => !hasControlCharacters(text), 'no line breaks or other control characters');
/** Null: all. */
const partitionIds = z.array(partitionId).min(1).max(16_384).nullable();

export const actionSchemas = {
  approve: z.strictObject({
    partitionIds,
    isNow: z.boolean(),
    fromMs: z.number().nullable(),
    untilMs: z.number().nullable(),
    reason,
  }),
  reject: z.strictObject({
    partitionIds,
    forMs: z.number().positive().max(REJECTION_MS_MAX),
    reason,
  }),
  pause: z.strictObject({ partitionId: partitionId.nullable(), reason }),
  resume: z.strictObject({ partitionId: partitionId.nullable(), reason }),
  cancel: z.strictObject({ partitionId, reason }),
  rollback: z.strictObject({ partitionId, reason }),
} as const;

/** Each answers with what to tell. @throws ForeshardError with the reason for refusing. */
export type Actions = {
  readonly [Name in keyof typeof actionSchemas]: (
    order: z.output<(typeof actionSchemas)[Name]>,
  ) => Promise<string>;
};

/** @param nowMs the clock by which plans are stamped. */
export function actionsOn(metadata: MetadataStore, clusterName: string, nowMs: () => number): Actions {
  const ask = async (action: 'cancel' | 'rollback', order: { partitionId: number; reason: string }) => {
    const { outcome, message } = await askCoordinator(metadata, clusterName, { action, ...order });
    if (outcome === 'refused')
      throw new ForeshardError('FORESHARD_CONFLICT', 're-read', `${action}: refused: ${message}`);
    return message;
  };
  return {
    approve: (order) => approve(metadata, clusterName, order, nowMs()),
    reject: (order) => reject(metadata, clusterName, order, Date.now()),
    pause: (order) => setPaused(metadata, clusterName, { ...order, isPaused: true }),
    resume: (order) => setPaused(metadata, clusterName, { ...order, isPaused: false }),
    cancel: (order) => ask('cancel', order),
    rollback: (order) => ask('rollback', order),
  };
}
