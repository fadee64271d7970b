import type { Command } from 'commander';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { AuditRecord } from '../../../src/migration/records/records.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { RpcStorageEngine } from '../../engines/migration-agent/rpc-storage-engine.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { confirm, YES_FLAG, type YesFlags } from '../confirm.ts';
import {
  type CommonFlags,
  NODE_ID_MAX,
  PARTITION_ID_MAX,
  REASON_FLAG,
  settingsOf,
  wholeNumber,
  withConfig,
  withJson,
} from '../flags.ts';
import { withNodes } from '../operator-transport.ts';
import { printJson, printLine, printOutcome } from '../output.ts';
import { assertDataNode, assertEmbedded, assertPartitions, assertStore } from '../what-is-there.ts';
import { askCoordinator, askToRetire, type Order } from './ask-coordinator.ts';
import { auditLine, readAudit } from './audit-command.ts';
import { followMigrations } from './follow.ts';
import { gatherReport, type MigrationsReport, reportLines } from './migrations-report.ts';
import { setPaused } from './pause-command.ts';
import { gatherScorecards, scorecardLines } from './scorecard-command.ts';

interface ReasonFlags extends CommonFlags {
  readonly reason: string;
}

interface PauseFlags extends ReasonFlags {
  readonly partition?: number;
}

interface TakeoverFlags extends ReasonFlags {
  readonly from: string;
  readonly to: number;
  readonly iAcceptLossAfter?: number;
  readonly empty?: boolean;
}

interface RetireFlags extends ReasonFlags {
  readonly store: string;
  readonly itIsGoneForGood?: boolean;
}

interface MigrationsFlags extends CommonFlags {
  readonly partition?: number;
  readonly limit: number;
  readonly follow?: boolean;
}

const partition = wholeNumber('partition', 0, PARTITION_ID_MAX);
const PARTITION_FLAG = [
  '--partition <number>',
  'of this partition only',
  wholeNumber('--partition', 0, PARTITION_ID_MAX),
] as const;

export function addMigrationCommands(program: Command): void {
  withJson(withConfig(program.command('migrations')))
    .description('print the migrations that are open, how far they are, and what became of earlier ones')
    .option(...PARTITION_FLAG)
    .option('--limit <number>', 'so many that have ended', wholeNumber('--limit', 0, 10_000), 20)
    .option('--follow', 'go on telling what happens to them, one line each, until it is interrupted')
    .action(describeMigrations);
  withJson(withConfig(program.command('scorecard')))
    .description('print what planned moves were to bring and to cost beside what they brought and cost')
    .option(...PARTITION_FLAG)
    .option('--limit <number>', 'so many, the latest', wholeNumber('--limit', 0, 10_000), 10)
    .action(describeScorecards);
  withJson(withConfig(program.command('cancel')))
    .argument('<partition>', 'number of the partition', partition)
    .requiredOption(...REASON_FLAG)
    .description('end a migration whose owner has not changed yet; its copy is dropped')
    .action((partitionId: number, flags: ReasonFlags) =>
      order(flags, { action: 'cancel', partitionId, reason: flags.reason }),
    );
  withJson(withConfig(program.command('rollback')))
    .argument('<partition>', 'number of the partition', partition)
    .requiredOption(...REASON_FLAG)
    .option(...YES_FLAG)
    .description('switch a partition back to the owner it had, while that still follows; nothing is copied')
    .action(async (partitionId: number, flags: ReasonFlags & YesFlags) => {
      assertEmbedded((await settingsOf(flags)).settings, 'rollback');
      await confirm(`partition ${partitionId} changes its owner, clients wait for it a moment`, flags);
      await order(flags, { action: 'rollback', partitionId, reason: flags.reason });
    });
  addTakeover(program);
  addRetire(program);
  withJson(withConfig(program.command('pause')))
    .description('open no migrations, and let none go on that may wait; their clocks stand still')
    .option(...PARTITION_FLAG)
    .requiredOption(...REASON_FLAG)
    .action((flags: PauseFlags) => pause(flags, true));
  withJson(withConfig(program.command('resume')))
    .description('end a pause')
    .option(...PARTITION_FLAG)
    .requiredOption(...REASON_FLAG)
    .action((flags: PauseFlags) => pause(flags, false));
  withJson(withConfig(program.command('audit')))
    .description('print what operators have ordered: who, when, why, and what came of it')
    .action(describeAudit);
}

function addTakeover(program: Command): void {
  withJson(withConfig(program.command('takeover')))
    .argument('<partition>', 'number of the partition', partition)
    .requiredOption(
      '--from <store>',
      'id of the store that is lost for good, and is retired; foreshard map names it',
    )
    .requiredOption('--to <node>', 'the storage node that has a copy', wholeNumber('--to', 0, NODE_ID_MAX))
    .option(
      '--i-accept-loss-after <lsn>',
      'what the lost owner wrote after this lsn is given up; left out, the command says what it would be',
      wholeNumber('--i-accept-loss-after', 0, Number.MAX_SAFE_INTEGER),
    )
    .option('--empty', 'open the partition without any data, if there is no copy at all')
    .requiredOption(...REASON_FLAG)
    .description(
      'give a partition another owner though the present one cannot agree: its process must be dead',
    )
    .action(async (partitionId: number, flags: TakeoverFlags) => {
      assertEmbedded((await settingsOf(flags)).settings, 'takeover');
      await order(flags, {
        action: 'takeover',
        partitionId,
        reason: flags.reason,
        takeover: {
          fromStoreId: flags.from,
          targetNodeId: flags.to,
          lossAfterLsn: flags.iAcceptLossAfter ?? null,
          isEmptyAllowed: flags.empty === true,
        },
      });
    });
}

function addRetire(program: Command): void {
  withJson(withConfig(program.command('retire')))
    .requiredOption(
      '--store <store>',
      'id of the store that is lost for good, and owns nothing; foreshard map names it',
    )
    .option(
      '--it-is-gone-for-good',
      'no process has it, and none will; left out, the command says what it would end',
    )
    .requiredOption(...REASON_FLAG)
    .description('end what waits for a store whose disk is lost; no node ever starts on it again')
    .action(async ({ store, itIsGoneForGood, ...flags }: RetireFlags) => {
      assertEmbedded((await settingsOf(flags)).settings, 'retire');
      await carryOut(flags, 'retire', async (metadata, { cluster: { name } }) => {
        await assertStore(metadata, name, store);
        const isConfirmed = itIsGoneForGood === true;
        return askToRetire(metadata, name, { storeId: store, reason: flags.reason, isConfirmed });
      });
    });
}

const order = (flags: CommonFlags, what: Order): Promise<void> =>
  carryOut(flags, what.action, async (metadata, settings) => {
    const { name } = settings.cluster;
    await assertPartitions(metadata, name, [what.partitionId]);
    if (what.takeover !== undefined) {
      await assertStore(metadata, name, what.takeover.fromStoreId);
      await assertDataNode(metadata, settings, what.takeover.targetNodeId);
    }
    return askCoordinator(metadata, name, what);
  });

/** @throws ForeshardError FORESHARD_CONFLICT with the coordinator's reason for refusing. */
async function carryOut(
  flags: CommonFlags,
  action: string,
  ask: (metadata: MetadataStore, settings: Settings) => Promise<AuditRecord>,
): Promise<void> {
  const { settings } = await settingsOf(flags);
  await withMetadata(settings, async (metadata) => {
    const answer = await ask(metadata, settings);
    const { outcome, message, ...facts } = answer;
    if (outcome === 'refused')
      throw new ForeshardError('FORESHARD_CONFLICT', 're-read', `${action}: refused: ${message}`);
    printOutcome(message, flags, { outcome, ...facts });
  });
}

async function pause(flags: PauseFlags, isPaused: boolean): Promise<void> {
  const { settings } = await settingsOf(flags);
  await withMetadata(settings, async (metadata) => {
    const partitionId = flags.partition ?? null;
    const order = { isPaused, partitionId, reason: flags.reason };
    const message = await setPaused(metadata, settings.cluster.name, order);
    printOutcome(message, flags, { isPaused, partitionId });
  });
}

async function describeAudit(flags: CommonFlags): Promise<void> {
  const { settings } = await settingsOf(flags);
  await withMetadata(settings, async (metadata) => {
    const audit = await readAudit(metadata, settings.cluster.name);
    if (flags.json === true) return printJson({ audit });
    if (audit.length === 0) return printLine('nothing has been ordered yet');
    for (const record of audit) printLine(auditLine(record));
  });
}

async function describeScorecards(flags: MigrationsFlags): Promise<void> {
  const { settings } = await settingsOf(flags);
  await withMetadata(settings, async (metadata) => {
    await assertPartitions(metadata, settings.cluster.name, partitionsOf(flags));
    const report = await gatherScorecards(metadata, {
      clusterName: settings.cluster.name,
      partitionId: flags.partition ?? null,
      copyBytesPerSecond: settings.migration.copyBytesPerSecond,
    });
    if (flags.json === true) printJson({ ...report, cards: report.cards.slice(0, flags.limit) });
    else for (const line of scorecardLines(report, flags.limit)) printLine(line);
  });
}

async function describeMigrations(flags: MigrationsFlags): Promise<void> {
  const { settings } = await settingsOf(flags);
  await withMetadata(settings, async (metadata) => {
    const { name } = settings.cluster;
    await assertPartitions(metadata, name, partitionsOf(flags));
    await withNodes(settings, metadata, async (transport) => {
      const engine = new RpcStorageEngine(transport);
      const look = (): Promise<MigrationsReport> =>
        gatherReport(metadata, engine, {
          clusterName: name,
          settings: settings.migration,
          partitionId: flags.partition ?? null,
          nowMs: Date.now(),
        });
      if (flags.follow === true)
        return await followMigrations(look, { isJson: flags.json === true, signal: untilInterrupted() });
      const report = await look();
      if (flags.json === true)
        printJson({ ...report, ended: report.ended.slice(0, flags.limit), endedCount: report.ended.length });
      else for (const line of reportLines(report, flags.limit)) printLine(line);
    });
  });
}

/** Null: of all. */
const partitionsOf = ({ partition }: MigrationsFlags): readonly number[] | null =>
  partition === undefined ? null : [partition];

/** The first Ctrl-C ends what follows in order, the second at once. */
function untilInterrupted(): AbortSignal {
  const ending = new AbortController();
  process.once('SIGINT', () => ending.abort());
  return ending.signal;
}
