import type { Command } from 'commander';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { parseDuration } from '../duration.ts';
import {
  type CommonFlags,
  PARTITION_ID_MAX,
  REASON_FLAG,
  settingsOf,
  withConfig,
  withJson,
} from '../flags.ts';
import { printOutcome } from '../output.ts';
import { assertPartitions } from '../what-is-there.ts';
import { approve } from './approve.ts';
import { parseMoment } from './moments.ts';
import { REJECTION_MS_MAX, reject } from './reject.ts';

interface ChoiceFlags extends CommonFlags {
  readonly all?: boolean;
  readonly reason: string;
}

interface ApproveFlags extends ChoiceFlags {
  readonly now?: boolean;
  readonly from?: string;
  readonly until?: string;
}

interface RejectFlags extends ChoiceFlags {
  readonly for: string;
}

export function addApprovalCommands(program: Command): void {
  withChoice(withJson(withConfig(program.command('approve'))))
    .description('let moves of the latest proposal be carried out, at their hours or in a window')
    .option('--now', 'as soon as there is a place, not at the hours of the timetable')
    .option('--from <time>', 'not before: 22:00 in UTC, or 2026-01-31T22:00Z')
    .option('--until <time>', 'void if they have not begun by then (default: a day after they may)')
    .action((partitions: string[], flags: ApproveFlags) => {
      const nowMs = Date.now();
      const fromMs = flags.from === undefined ? null : parseMoment('--from', flags.from, nowMs);
      const untilMs = flags.until === undefined ? null : parseMoment('--until', flags.until, fromMs ?? nowMs);
      return decide(partitions, flags, (metadata, clusterName, partitionIds) =>
        approve(
          metadata,
          clusterName,
          { partitionIds, isNow: flags.now === true, fromMs, untilMs, reason: flags.reason },
          nowMs,
        ),
      );
    });
  withChoice(withJson(withConfig(program.command('reject'))))
    .description('leave partitions where they are for a while, whatever is proposed; takes approvals back')
    .option('--for <time>', 'so long: 12h, 7d, at most 365d', '1d')
    .action((partitions: string[], flags: RejectFlags) => {
      const forMs = parseDuration('--for', flags.for);
      if (forMs > REJECTION_MS_MAX)
        throw usage(
          `--for: found "${flags.for}", at most 365d: what is to stay for good is a rule, affinity.rules.pinned`,
        );
      return decide(partitions, flags, (metadata, clusterName, partitionIds) =>
        reject(metadata, clusterName, { partitionIds, forMs, reason: flags.reason }, Date.now()),
      );
    });
}

const withChoice = (command: Command): Command =>
  command
    .argument('[partitions...]', 'of the proposal, such as 3 7-9')
    .option('--all', 'all moves of the proposal')
    .requiredOption(...REASON_FLAG);

async function decide(
  partitions: readonly string[],
  flags: ChoiceFlags,
  carryOut: (
    metadata: MetadataStore,
    clusterName: string,
    partitionIds: readonly number[] | null,
  ) => Promise<string>,
): Promise<void> {
  const { settings } = await settingsOf(flags);
  if (flags.all === true && partitions.length > 0) throw usage('name partitions, or give --all, not both');
  if (flags.all !== true && partitions.length === 0)
    throw usage('say which: partitions such as 3 7-9, or --all');
  const chosen = flags.all === true ? null : parsePartitions(partitions);
  await withMetadata(settings, async (metadata) => {
    await assertPartitions(metadata, settings.cluster.name, chosen);
    printOutcome(await carryOut(metadata, settings.cluster.name, chosen), flags, { partitionIds: chosen });
  });
}

/** `3`, `7-9`, `3,7-9`: sorted, each once. @throws ForeshardError FORESHARD_CONFIG */
export function parsePartitions(texts: readonly string[]): number[] {
  const ids = new Set<number>();
  for (const text of texts.flatMap((part) => part.split(','))) {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text.trim()) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (first === undefined || from > to || to > PARTITION_ID_MAX)
      throw usage(
        `found "${text}", partitions are numbers from 0 to ${PARTITION_ID_MAX} and ranges such as 7-9`,
      );
    for (let id = from; id <= to; id++) ids.add(id);
  }
  return [...ids].sort((a, b) => a - b);
}

const usage = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', message);
