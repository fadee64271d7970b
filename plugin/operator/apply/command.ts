import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { changedAtMs } from '../../host/records/proposal-record.ts';
import { whyNoCoordinator } from '../../metadata/coordinator-status.ts';
import { readDecisions } from '../../metadata/decisions.ts';
import { approve } from '../approval/approve.ts';
import { chooseMoves } from '../approval/choose-moves.ts';
import { parsePartitions } from '../approval/commands.ts';
import { readDoneMoves } from '../approval/done-moves.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { confirm, YES_FLAG, type YesFlags } from '../confirm.ts';
import { type CommonFlags, REASON_FLAG, settingsOf, withConfig, withJson } from '../flags.ts';
import { readPauses } from '../held-back.ts';
import { printLine, printOutcome, printRemark } from '../output.ts';
import { ProgressLine } from '../progress-line.ts';
import { readProposal } from '../proposals/latest-proposal.ts';
import { asRanges, asTime, counted } from '../units-text.ts';
import { assertPartitions } from '../what-is-there.ts';
import {
  type Beforehand,
  type FollowedMove,
  isOver,
  lookAtMoves,
  type MoveOutcome,
  readBeforehand,
} from './follow-moves.ts';

interface ApplyFlags extends CommonFlags, YesFlags {
  readonly all?: boolean;
  readonly reason: string;
}

const LOOK_MS = 250;

export function addApplyCommand(program: Command, exitWith: (code: number) => void): void {
  withJson(withConfig(program.command('apply')))
    .argument('[partitions...]', 'of the latest proposal, such as 3 7-9')
    .option('--all', 'all moves of the proposal')
    .requiredOption(...REASON_FLAG)
    .option(...YES_FLAG)
    .description(
      'approve moves of the latest proposal, begin them at once, and stay until they are over; exit code 1 unless all are done',
    )
    .action(async (partitions: string[], flags: ApplyFlags) => {
      if ((flags.all === true) === partitions.length > 0)
        throw usage('say which: partitions such as 3 7-9, or --all');
      const chosen = flags.all === true ? null : parsePartitions(partitions);
      const { settings } = await settingsOf(flags);
      await withMetadata(settings, async (metadata) => {
        await assertPartitions(metadata, settings.cluster.name, chosen);
        const outcomes = await apply(metadata, settings.cluster.name, { chosen, flags });
        if (!outcomes.every(({ state }) => state === 'moved')) exitWith(1);
      });
    });
}

async function apply(
  metadata: MetadataStore,
  clusterName: string,
  { chosen, flags }: { readonly chosen: readonly number[] | null; readonly flags: ApplyFlags },
): Promise<readonly MoveOutcome[]> {
  const proposal = await readProposal(metadata, clusterName);
  const { approvals } = await readDecisions(metadata, clusterName, Date.now());
  const done = await readDoneMoves(metadata, clusterName, proposal);
  const given = new Set([...done, ...approvals.map(({ partitionId }) => partitionId)]);
  const moves = chooseMoves(proposal, chosen, given).flatMap(({ move }) =>
    done.has(move.partitionId) ? [] : [move],
  );
  if (moves.length === 0) {
    const message = `nothing to do: of the proposal of ${asTime(changedAtMs(proposal))} all is where it should be`;
    printOutcome(message, flags, { moves: [] });
    return [];
  }
  const partitionIds = moves.map(({ partitionId }) => partitionId);
  await assertSomethingWillHappen(metadata, clusterName, partitionIds);
  await confirm(
    `${counted(moves.length, 'move')} of the proposal of ${asTime(changedAtMs(proposal))} begin now`,
    flags,
  );
  const before = await readBeforehand(metadata, clusterName);
  const order = {
    partitionIds,
    isNow: true,
    fromMs: null,
    untilMs: null,
    reason: flags.reason,
  };
  await approve(metadata, clusterName, { ...order, proposalAtMs: changedAtMs(proposal) }, Date.now());
  const outcomes = await followToTheEnd(metadata, clusterName, { moves, before, flags });
  const doneCount = outcomes.filter(({ state }) => state === 'moved').length;
  const message = `${doneCount} of ${counted(outcomes.length, 'move')} done`;
  printOutcome(message, flags, { moves: outcomes });
  return outcomes;
}

/** Whoever waits for moves must not wait for somebody who is not there. */
async function assertSomethingWillHappen(
  metadata: MetadataStore,
  clusterName: string,
  partitionIds: readonly number[],
): Promise<void> {
  const nobody = await whyNoCoordinator(metadata, clusterName);
  if (nobody !== null)
    throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', `${nobody}; nothing was approved`);
  const { isPaused, pausedPartitionIds } = await readPauses(metadata, clusterName);
  const held = partitionIds.filter((partitionId) => pausedPartitionIds.includes(partitionId));
  if (!isPaused && held.length === 0) return;
  const what = isPaused ? 'all migrations are' : `partition ${asRanges(held)} is`;
  throw new ForeshardError(
    'FORESHARD_CONFLICT',
    're-read',
    `${what} paused: \`foreshard resume\` first; nothing was approved`,
  );
}

/** Tells each move once it is over. Ctrl-C ends the telling alone. */
async function followToTheEnd(
  metadata: MetadataStore,
  clusterName: string,
  {
    moves,
    before,
    flags,
  }: { readonly moves: readonly FollowedMove[]; readonly before: Beforehand; readonly flags: ApplyFlags },
): Promise<MoveOutcome[]> {
  const ending = new AbortController();
  const interrupt = (): void => ending.abort();
  process.once('SIGINT', interrupt);
  const progress = new ProgressLine(ProgressLine.optionsOf({}));
  const isTold = new Set<number>();
  try {
    for (;;) {
      const outcomes = await lookAtMoves(metadata, clusterName, {
        moves: moves.map(({ partitionId, sourceNodeId, targetNodeId }) => ({
          partitionId,
          sourceNodeId,
          targetNodeId,
        })),
        before,
      });
      for (const outcome of outcomes.filter((of) => isOver(of) && !isTold.has(of.partitionId))) {
        isTold.add(outcome.partitionId);
        progress.end();
        if (flags.json !== true) printLine(outcomeLine(outcome));
      }
      if (outcomes.every(isOver)) return outcomes;
      if (ending.signal.aborted) {
        printRemark(
          'interrupted: the moves go on; `foreshard migrations` shows them, `foreshard reject` takes back those that wait',
        );
        return outcomes;
      }
      const count = (state: MoveOutcome['state']): number =>
        outcomes.filter((of) => of.state === state).length;
      progress.update(() => `${count('moved')} of ${outcomes.length} moved, ${count('moving')} on their way`);
      await delay(LOOK_MS, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  } finally {
    progress.end();
    process.removeListener('SIGINT', interrupt);
  }
}

const outcomeLine = ({ partitionId, sourceNodeId, targetNodeId, state, detail }: MoveOutcome): string =>
  `partition ${partitionId}: node ${sourceNodeId} -> ${targetNodeId}: ${state}${state === 'moved' ? '' : `: ${detail}`}`;

const usage = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', `${message}; nothing was approved`);
