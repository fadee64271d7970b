import type { PartitionQuarantine, PartitionRecord } from '../../model/migration.ts';

/** The map's reasons are short: evidence is a record of its own. */
const REASON_LENGTH_MAX = 1000;

/** @returns why no migration of the partition may begin now; undefined when one may. */
export function quarantineOf(
  record: PartitionRecord | null | undefined,
  nowMs: number,
): PartitionQuarantine | undefined {
  const quarantine = record?.quarantine;
  if (!quarantine) return undefined;
  return quarantine.untilMs === null || nowMs < quarantine.untilMs ? quarantine : undefined;
}

/** The record with the partition left alone; one that waits for an operator is not shortened by one that ends by itself. */
export function withQuarantine<R extends PartitionRecord>(record: R, quarantine: PartitionQuarantine): R {
  if (record.quarantine?.untilMs === null && quarantine.untilMs !== null) return record;
  return { ...record, quarantine: { ...quarantine, reason: quarantine.reason.slice(0, REASON_LENGTH_MAX) } };
}

/** A migration that succeeded answers those that had failed before it, but not what waits for an operator. */
export const withoutPassing = (record: PartitionRecord): PartitionRecord =>
  record.quarantine?.untilMs == null ? record : withoutQuarantine(record);

export function withoutQuarantine({ quarantine: _, ...record }: PartitionRecord): PartitionRecord {
  return record;
}
