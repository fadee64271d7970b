/** One round: a migration under load, something bad at a chosen phase, and what must hold after it has healed. */
import type { MigrationPhase } from '../../../src/model/migration.ts';
import { until } from '../../support/scenario.ts';
import type { FaultCluster } from './fault-cluster.ts';
import { MigrationWatch } from './migration-watch.ts';
import type { OpenLoopLoad } from './open-loop-load.ts';
import { type FaultRow, type FaultScore, messageOf, seconds } from './score.ts';

export interface RowContext {
  readonly cluster: FaultCluster;
  readonly partitionId: number;
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  readonly watch: MigrationWatch;
  /** To be called when the fault is in force: notes whether the phase still stands. */
  readonly onStruck: () => Promise<void>;
}

export interface RowPlan {
  readonly stage: string;
  /** Null: `inject` is called as soon as the migration has been opened. */
  readonly phase: MigrationPhase | null;
  readonly fault: string;
  readonly victim: string;
  readonly faultCount?: number;
  readonly partitionId: number;
  /** Does it, and heals it. */
  readonly inject: (context: RowContext) => Promise<void>;
}

export interface Stage {
  readonly cluster: FaultCluster;
  readonly load: OpenLoopLoad;
  readonly score: FaultScore;
  readonly say: (line: string) => void;
}

/** A phase that does not come within this is not going to: the round is played again. */
const PHASE_MS_MAX = 20_000;
/** A machine that is busy may be too late; such a round does not count, and is done again. */
const TRIES_MAX = 3;
/** Around the fence as it was seen: looking takes a few milliseconds, and the last write that waited ends after it. */
const PAUSE_MARGIN_MS = 50;
/**
 * After a fault clients still work off what waited for it, and one soon after a hand-over meets routers that have not heard of
 * that yet: a hand-over so near is counted as under it.
 */
const SETTLED_MS = 300;
/** Writes that must be acknowledged after a round, so that "has an owner" means that it serves. */
const WRITES_AFTER = 4;

export const labelOf = ({ fault, victim, phase }: RowPlan): string =>
  `${fault} ${victim} in ${phase ?? 'any phase'}`;

/** Plays a round until the fault has met its phase. A violation is noted, never thrown: the next round is played all the same. */
export async function playRow(stage: Stage, plan: RowPlan): Promise<void> {
  // An earlier round may have left it stuck, which was noted then.
  if ((await stage.cluster.migration(plan.partitionId)) !== null) return;
  for (let attempt = 1; attempt <= TRIES_MAX; attempt++) {
    const row = await playOnce(stage, plan);
    if (!row.hasMet && row.outcome !== 'violated' && attempt < TRIES_MAX) continue;
    stage.score.rows.push(row);
    const pause = row.writePauseMs === null ? '' : `, writes waited ${row.writePauseMs} ms`;
    const failed = row.failedQueries === 0 ? '' : `, ${row.failedQueries} queries failed`;
    stage.say(
      `${stage.score.faults} ${row.stage}: ${row.fault} ${row.victim} in ${row.phase}: ${row.outcome} after ${row.seconds} s${pause}${failed}${row.hasMet ? '' : ' (phase missed)'}`,
    );
    return;
  }
}

async function playOnce({ cluster, load, score, say }: Stage, plan: RowPlan): Promise<FaultRow> {
  const { partitionId, phase } = plan;
  const startedMs = performance.now();
  const failedBefore = load.failedCount;
  const label = labelOf(plan);
  const epochBefore = (await cluster.record(partitionId)).epoch;
  load.focus = partitionId;
  const ends = await cluster.beginMigration(partitionId);
  const watch = new MigrationWatch(cluster, partitionId, ends.sourceNodeId);
  let hasMet = phase === null;
  let outcome: FaultRow['outcome'] = 'violated';
  const force = { sinceMs: Number.POSITIVE_INFINITY, untilMs: Number.NEGATIVE_INFINITY };
  try {
    const isReached = phase === null || (await watch.reach(phase, PHASE_MS_MAX));
    if (isReached) {
      force.sinceMs = performance.now();
      const onStruck = async (): Promise<void> => {
        hasMet ||= (await cluster.migration(partitionId))?.phase === phase;
      };
      await plan.inject({ cluster, partitionId, ...ends, watch, onStruck });
      force.untilMs = performance.now();
    }
    const after = await cluster.untilStable(partitionId, label);
    outcome = after.ownerNodeId === ends.targetNodeId ? 'moved' : 'aborted';
    const epochExpected = epochBefore + (outcome === 'moved' ? 1 : 0);
    if (after.epoch !== epochExpected)
      score.violations.other.push(`${label}: epoch ${after.epoch}, not ${epochExpected}`);
  } catch (error) {
    outcome = 'violated';
    score.violations.stuck.push(`${label}: ${messageOf(error)}`);
    say(
      `${label}: ${JSON.stringify(await cluster.record(partitionId), withoutBuckets)}\n${await cluster.lastWords()}`,
    );
  }
  await watch.end();
  if (outcome !== 'violated') await checkServed({ cluster, load, score }, partitionId, label);
  return {
    stage: plan.stage,
    phase: phase ?? 'any',
    fault: plan.fault,
    victim: plan.victim,
    faults: hasMet ? (plan.faultCount ?? 1) : 0,
    hasMet,
    outcome,
    seconds: seconds(startedMs),
    failedQueries: load.failedCount - failedBefore,
    writePauseMs: notePause({ load, score }, watch, partitionId, force),
  };
}

/** A digest's sums say nothing to people, and fill the screen. */
const withoutBuckets = (name: string, value: unknown): unknown => (name === 'buckets' ? undefined : value);

/** The owner serves writes, and is the only one. */
async function checkServed(
  { cluster, load, score }: Pick<Stage, 'cluster' | 'load' | 'score'>,
  partitionId: number,
  label: string,
): Promise<void> {
  try {
    const before = load.acknowledgedOf(partitionId);
    await until(
      async () => load.acknowledgedOf(partitionId) >= before + WRITES_AFTER,
      `writes of partition ${partitionId} go on: ${label}`,
    );
    score.violations.ownerless.push(...(await cluster.findOwnerless(partitionId)));
  } catch (error) {
    score.violations.ownerless.push(messageOf(error));
  }
}

function notePause(
  { load, score }: Pick<Stage, 'load' | 'score'>,
  { enteredMs, switchedMs }: MigrationWatch,
  partitionId: number,
  force: { readonly sinceMs: number; readonly untilMs: number },
): number | null {
  if (switchedMs === null) return null;
  const fenceMs = enteredMs.get('FENCING') ?? enteredMs.get('FENCED') ?? switchedMs;
  const [fromMs, untilMs] = [fenceMs - PAUSE_MARGIN_MS, switchedMs + PAUSE_MARGIN_MS];
  const { here: pauseMs, elsewhere } = load.writePauseMs(partitionId, fromMs, untilMs);
  if (pauseMs === null) return null;
  const isUndisturbed = force.untilMs + SETTLED_MS < fromMs || force.sinceMs > untilMs + SETTLED_MS;
  score.addPause(pauseMs, { isUndisturbed });
  if (isUndisturbed && elsewhere !== null) score.pausesElsewhere.add(elsewhere);
  return Math.round(pauseMs * 10) / 10;
}
