/** kill -9 and SIGSTOP of every kind of process in every phase, then several at once. */
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { MIGRATION_PHASES, type MigrationPhase } from '../../../src/model/migration.ts';
import { sleep } from '../../support/scenario.ts';
import {
  FAULT_SETTINGS,
  type FaultCluster,
  LEASE_TTL_MS,
  QUERY_NODES,
  STORAGE_NODES,
} from './fault-cluster.ts';
import { playRow, type RowContext, type RowPlan, type Stage } from './play-row.ts';

const VICTIMS = ['source', 'target', 'coordinator', 'query node'] as const;
type Victim = (typeof VICTIMS)[number];
const KINDS = ['kill -9', 'SIGSTOP'] as const;
type Kind = (typeof KINDS)[number];

const DOWN_MS = 100;
/** Long enough to be deposed: the process comes back as one that still thinks it holds what it has lost. */
const STOP_MS = 1.2 * LEASE_TTL_MS;
/** Phases that pass in milliseconds stand this long, before their commands go out, so that a fault can meet them. */
const HOLD_MS = 250;
/** Fences of this partition outlive their budget: that is how it comes to ABORT. */
const ABORTING = MIGRATION_PHASES.indexOf('ABORT');
/** Partitions without a hold, for several migrations and faults at once. */
export const FREE_PARTITIONS = [11, 12, 13, 14, 15] as const;

/** Each phase has a partition of its own, which the failpoint holds in it. */
export const partitionOf = (phase: MigrationPhase): number => MIGRATION_PHASES.indexOf(phase);

/** Without a hold and with little in them: a move takes about a second. */
const LIGHT_PARTITIONS = [partitionOf('SHIFT'), partitionOf('GRACE')] as const;

export const HOLD_PHASE: string = [
  ...(['PREPARE', 'CATCHUP', 'VERIFY', 'FENCING', 'FENCED', 'SWITCHED', 'CLEANUP', 'ABORT'] as const).map(
    (phase) => `${phase}@${partitionOf(phase)}:${HOLD_MS}`,
  ),
  `FENCED@${ABORTING}:${FAULT_SETTINGS.fenceBudgetMs + 50}`,
].join(',');

/** The whole matrix, 88 rounds, or the first so many of it in an order that the seed chooses. */
export function matrix(options: { readonly seed: bigint; readonly faultsMax: number }): RowPlan[] {
  const plans: RowPlan[] = [];
  for (const phase of MIGRATION_PHASES)
    for (const fault of KINDS)
      for (const victim of VICTIMS)
        plans.push({
          stage: 'process',
          phase,
          fault,
          victim,
          partitionId: partitionOf(phase),
          inject: (context) => strike(context, fault, victim),
        });
  return shuffled(plans, seededRandom(options.seed)).slice(0, options.faultsMax);
}

async function strike(context: RowContext, kind: Kind, victim: Victim): Promise<void> {
  await hit(context.cluster, kind, await nodeOf(context, victim), context.onStruck);
}

async function hit(
  cluster: FaultCluster,
  kind: Kind,
  nodeId: number,
  onStruck: () => Promise<void> = async () => {},
): Promise<void> {
  if (kind === 'kill -9') await cluster.killAndRestart(nodeId, { forMs: DOWN_MS, onStruck });
  else await cluster.stopAndContinue(nodeId, { forMs: STOP_MS, onStruck });
}

async function nodeOf({ cluster, sourceNodeId, targetNodeId }: RowContext, victim: Victim): Promise<number> {
  if (victim === 'source') return sourceNodeId;
  if (victim === 'target') return targetNodeId;
  const coordinator = await cluster.coordinator();
  return victim === 'coordinator' ? coordinator : (QUERY_NODES.find((id) => id !== coordinator) as number);
}

/** Two or three processes at moments of their own, during migrations that nothing holds: what nobody thought of. */
export async function playSeveral(stage: Stage, seed: bigint, roundCount: number): Promise<void> {
  const random = seededRandom(seed).fork('several');
  for (let round = 0; round < roundCount; round++) {
    const nodes = shuffled([...STORAGE_NODES, ...QUERY_NODES], random).slice(0, 2 + (round % 2));
    const hits = nodes.map((nodeId) => ({
      nodeId,
      kind: KINDS[random.nextU64() & 1n ? 1 : 0] as Kind,
      afterMs: random.nextFloat() * 900,
    }));
    const [focus, ...beside] = shuffled([...FREE_PARTITIONS], random).slice(0, 3) as [number, ...number[]];
    for (const partitionId of beside) await stage.cluster.beginMigration(partitionId);
    await playRow(stage, {
      stage: 'several',
      phase: null,
      fault: hits.map(({ kind }) => kind).join(' + '),
      victim: nodes.map((nodeId) => `node ${nodeId}`).join(' + '),
      faultCount: hits.length,
      partitionId: focus,
      inject: async ({ cluster }) => {
        await Promise.all(
          hits.map(async ({ nodeId, kind, afterMs }) => {
            await sleep(afterMs);
            await hit(cluster, kind, nodeId);
          }),
        );
      },
    });
    for (const partitionId of beside)
      await stage.cluster
        .untilStable(partitionId, 'beside others')
        .catch((error) => stage.score.violations.stuck.push(String(error)));
  }
}

/** Hand-overs with nothing wrong, one after the other: how long writes wait then. */
export async function playHandOvers(stage: Stage, count: number): Promise<void> {
  for (let i = 0; i < count; i++)
    await playRow(stage, {
      stage: 'hand-over',
      phase: null,
      fault: 'none',
      victim: 'nobody',
      faultCount: 0,
      partitionId: LIGHT_PARTITIONS[i % LIGHT_PARTITIONS.length] as number,
      inject: async () => {},
    });
}

function shuffled<T>(values: readonly T[], random: Random): T[] {
  const result = [...values];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random.nextFloat() * (i + 1));
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}
