/** What happens to a migration, and to queries, when etcd goes away in the middle of it. */
import type { LocalEtcd } from '../../../plugin/node/local/local-etcd.ts';
import { MIGRATION_PHASES } from '../../../src/model/migration.ts';
import { sleep } from '../../support/scenario.ts';
import { LEASE_TTL_MS } from './fault-cluster.ts';
import { playRow, type RowContext, type RowPlan, type Stage } from './play-row.ts';
import { partitionOf } from './process-faults.ts';

const KINDS = ['kill -9', 'SIGSTOP'] as const;
type Kind = (typeof KINDS)[number];

/** Longer than a term: whoever was coordinator no longer is when the store is back. */
const AWAY_MS = 2 * LEASE_TTL_MS;
/** The bar of a long outage: no query fails in it. */
const LONG_MS = 60_000;

/** Each phase, with the store killed and with it stopped: the migration must end, one way or the other. */
export function metadataRows(etcd: LocalEtcd): RowPlan[] {
  return MIGRATION_PHASES.flatMap((phase) =>
    KINDS.map((kind) => ({
      stage: 'metadata',
      phase,
      fault: kind,
      victim: 'etcd',
      partitionId: partitionOf(phase),
      inject: (context: RowContext) => strike(etcd, kind, context),
    })),
  );
}

/** A minute without the store while a copy is under way. */
export const longOutage = (etcd: LocalEtcd): RowPlan => ({
  stage: 'metadata',
  phase: 'COPY',
  fault: `kill -9 for ${LONG_MS / 1000} s`,
  victim: 'etcd',
  partitionId: partitionOf('COPY'),
  inject: (context) => strike(etcd, 'kill -9', context, LONG_MS),
});

/** 0 failed queries, and the migration goes on. */
export async function playLongOutage(stage: Stage, plan: RowPlan): Promise<void> {
  const failedBefore = stage.load.failedCount;
  await playRow(stage, plan);
  const failed = stage.load.failedCount - failedBefore;
  if (failed > 0)
    stage.score.violations.other.push(`${failed} queries failed while etcd was away for a minute`);
}

async function strike(
  etcd: LocalEtcd,
  kind: Kind,
  { onStruck }: RowContext,
  awayMs = AWAY_MS,
): Promise<void> {
  // Looked at before, since nothing can be afterwards; and without the store no phase is left.
  await onStruck();
  if (kind === 'kill -9') {
    await etcd.kill();
    await sleep(awayMs);
    await etcd.restart();
    return;
  }
  for (let member = 0; member < etcd.memberCount; member++) await etcd.stop(member);
  await sleep(awayMs);
  for (let member = 0; member < etcd.memberCount; member++) etcd.resume(member);
  await etcd.healthy();
}
