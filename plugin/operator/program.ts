import { Command, CommanderError, Option } from 'commander';
import { ForeshardError } from '../../src/base/errors.ts';
import { PAST_KEPT } from '../host/records/past-proposals.ts';
import { QUERY_NODE_ID_MIN } from '../node/node-options.ts';
import { packageVersion } from '../version.ts';
import { addApplyCommand } from './apply/command.ts';
import { addApprovalCommands } from './approval/commands.ts';
import { describeMap } from './cluster-commands.ts';
import { groupCommands } from './command-groups.ts';
import { addCompletionCommand } from './completion-command.ts';
import { addConfigCommands } from './config-commands.ts';
import { addDoctorCommand } from './doctor/command.ts';
import { printEtcdRoles } from './etcd-roles-command.ts';
import { explainPartition } from './explain-command.ts';
import { addFileCommands } from './file-commands.ts';
import {
  type CommonFlags,
  NODE_ID_MAX,
  noReason,
  PARTITION_ID_MAX,
  REASON_FLAG,
  reasonText,
  settingsOf,
  weekHour,
  wholeNumber,
  withConfig,
  withJson,
} from './flags.ts';
import { describeHotKeys } from './hot-keys-command.ts';
import { addInitCommand } from './init/command.ts';
import { addMigrationCommands } from './migration/commands.ts';
import { addNodeCommand } from './node-command.ts';
import { addNodeOrders } from './nodes/commands.ts';
import { printJson, printLine, printRemark, visibleLines } from './output.ts';
import { describeProposals } from './proposals/past-command.ts';
import { describeProposal } from './proposals/proposal-command.ts';
import { clearQuarantine, describeQuarantine } from './quarantine-command.ts';
import { describeHotTypes } from './query-hours-command.ts';
import { describeQueryTypes } from './query-types-command.ts';
import { resyncCommand } from './resync/resync-command.ts';
import { addStatusCommand } from './status/status-command.ts';
import { createToken, type TokenFlags } from './token-command.ts';
import { addTopCommand } from './top/command.ts';
import { addVerifyCommand } from './verify/command.ts';
import { assertEmbedded } from './what-is-there.ts';

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
/** Bad config or usage: nothing was done, and trying again as it is will not help. */
export const EXIT_USAGE = 2;

interface QuarantineFlags {
  readonly clear?: number;
  readonly reason?: string;
}

interface ResyncFlags extends CommonFlags {
  readonly confirm?: boolean;
  readonly reason?: string;
  readonly without?: readonly number[];
}

interface CertsFlags {
  readonly out: string;
  readonly queryNodes?: number;
  readonly serverName?: readonly string[];
  readonly days?: number;
}

interface QueryTypesFlags extends CommonFlags {
  /** Hour of the week. */
  readonly at?: number;
  readonly node?: number;
}

/** Runs one command line. @returns the exit code. Never throws; errors go to standard error as one message. */
export async function runCli(args: readonly string[]): Promise<number> {
  let exitCode = EXIT_OK;
  const program = buildProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    // commander has printed its own message; --help and --version end this way as well, with code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    if (!(error instanceof ForeshardError)) throw error;
    printRemark(error.message);
    return error.code === 'FORESHARD_CONFIG' ? EXIT_USAGE : EXIT_FAILURE;
  }
}

const jsonNeedsDryRun = (): ForeshardError =>
  new ForeshardError(
    'FORESHARD_CONFIG',
    'fix-config',
    '--json: an agent that runs logs JSON lines in any case; it goes with --dry-run',
  );

export function buildProgram(exitWith: (code: number) => void): Command {
  const program = new Command('foreshard')
    .description('Forecasts where a sharded database will be hot and moves the data there first.')
    .version(packageVersion())
    .exitOverride()
    .showHelpAfterError('(--help shows what there is)')
    // As every other error of ours begins.
    .configureOutput({
      outputError: (text, write) => write(`foreshard: ${visibleLines(text.replace(/^error: /, ''))}`),
    });

  addNodeCommand(program, exitWith);

  withConfig(program.command('agent'))
    .option('--json', 'with --dry-run: print one JSON object')
    .description('watch a Redis Cluster or Valkey, forecast, plan and move its slots, until SIGTERM')
    .option(
      '--dry-run',
      'plan once, print the commands that would be sent to the servers, and change nothing',
    )
    .action(async (flags: CommonFlags & { readonly dryRun?: boolean }) => {
      const { dryRunAgent, runAgent } = await import('./agent-command.ts');
      const readSettings = async () => (await settingsOf(flags)).settings;
      const isJson = flags.json === true;
      if (isJson && flags.dryRun !== true) throw jsonNeedsDryRun();
      if (flags.dryRun === true) await dryRunAgent(await readSettings(), { isJson });
      else exitWith(await runAgent(readSettings));
    });

  addConfigCommands(program, exitWith);
  withJson(withConfig(program.command('certs')))
    .description('make an authority and certificates for all nodes of the cluster; run again, renew them')
    .requiredOption('--out <folder>', 'where NAME.pem and NAME.key go')
    .option(
      '--query-nodes <number>',
      'how many (default: 1)',
      wholeNumber('--query-nodes', 1, NODE_ID_MAX - QUERY_NODE_ID_MIN),
    )
    .option(
      '--server-name <name...>',
      'names and addresses by which clients reach query nodes (default: localhost 127.0.0.1 ::1)',
    )
    .option('--days <number>', 'until they run out (default: 90)', wholeNumber('--days', 1, 36_500))
    .action(async (flags: CommonFlags & CertsFlags) => {
      const { cluster } = (await settingsOf(flags)).settings;
      // Loaded here: nothing else needs to know how certificates are made.
      const { makeCertificates } = await import('./certs-command.ts');
      const made = await makeCertificates({
        folder: flags.out,
        clusterName: cluster.name,
        storageNodeCount: cluster.storageNodeCount,
        queryNodeCount: flags.queryNodes ?? 1,
        serverNames: flags.serverName ?? ['localhost', '127.0.0.1', '::1'],
        days: flags.days ?? 90,
      });
      if (flags.json === true) return printJson({ certificates: made });
      for (const { certificate, use } of made)
        printLine(use === null ? certificate : `${certificate}, ${use}`);
    });

  withJson(withConfig(program.command('resync')))
    .description('mend a map that was restored from a backup, by what all storage nodes hold')
    .option('--confirm', 'do it; left out, the command says what it would do')
    .option(...REASON_FLAG)
    .option(
      '--without <node>',
      'a storage node that is gone for good and need not answer, once for each; what is risked is said',
      (text: string, others: readonly number[] = []) => [
        ...others,
        wholeNumber('--without', 0, NODE_ID_MAX)(text),
      ],
    )
    .action(async (flags: ResyncFlags) => {
      const { settings } = await settingsOf(flags);
      assertEmbedded(settings, 'resync');
      const reason = flags.reason ?? '';
      if (flags.confirm === true && reason === '') throw noReason();
      await resyncCommand(
        settings,
        { isConfirmed: flags.confirm === true, reason, without: flags.without ?? [] },
        { isJson: flags.json === true },
      );
    });

  withJson(withConfig(program.command('etcd-roles')))
    .description('print the etcdctl commands that let each kind of process write only what is its own')
    .action(async (flags: CommonFlags) =>
      printEtcdRoles((await settingsOf(flags)).settings, { isJson: flags.json === true }),
    );

  withJson(program.command('token').description('tokens of clients').command('create'))
    .requiredOption('--user <name>', 'whose it is')
    .requiredOption('--rights <list>', 'of read, write and admin, such as read,write')
    .option('--prefix <prefix...>', 'only keys that begin so')
    .description('make a token, and the line for security.usersFile by which nodes know it')
    .action((flags: TokenFlags) => createToken(flags));
  addStatusCommand(program, exitWith);
  addNodeOrders(program);
  withJson(withConfig(program.command('map')))
    .description('print who owns what, and the migrations that are open')
    .action(async (flags: CommonFlags) =>
      describeMap((await settingsOf(flags)).settings, { isJson: flags.json === true }),
    );
  withJson(withConfig(program.command('proposal')))
    .description('print the latest proposal, move by move with its reason')
    .option('--commands', 'of a Redis Cluster: print what its moves would send to which server')
    .action(async (flags: CommonFlags & { readonly commands?: boolean }) => {
      const { settings } = await settingsOf(flags);
      const output = { isJson: flags.json === true };
      if (flags.commands !== true) return describeProposal(settings, output);
      const { tellProposal } = await import('./agent-command.ts');
      return tellProposal(settings, output);
    });
  withJson(withConfig(program.command('proposals')))
    .description('print what was proposed of late, and what has become of each move')
    .option('--limit <number>', 'so many, the latest', wholeNumber('--limit', 1, PAST_KEPT), 10)
    .action(async ({ limit, ...flags }: CommonFlags & { limit: number }) =>
      describeProposals((await settingsOf(flags)).settings, { isJson: flags.json === true, limit }),
    );
  withJson(withConfig(program.command('explain')))
    .argument('<partition>', 'number of the partition', wholeNumber('partition', 0, PARTITION_ID_MAX))
    .description('say why the latest proposal moves a partition, or why it stays where it is')
    .action(async (partitionId: number, flags: CommonFlags) =>
      explainPartition((await settingsOf(flags)).settings, { partitionId, isJson: flags.json === true }),
    );
  withJson(withConfig(program.command('quarantine')))
    .description('print the partitions that are not moved, why, and the keys in which two copies differed')
    .option(
      '--clear <partition>',
      'let the planner move this partition again',
      wholeNumber('--clear', 0, PARTITION_ID_MAX),
    )
    .option('--reason <text>', 'with --clear: why, for the audit', reasonText)
    .action(async ({ clear, json, reason, ...flags }: CommonFlags & QuarantineFlags) => {
      const { settings } = await settingsOf(flags);
      if (clear === undefined) await describeQuarantine(settings, { isJson: json === true });
      else if (reason === undefined) throw noReason();
      else await clearQuarantine(settings, { partitionId: clear, reason, json: json === true });
    });
  withJson(withConfig(program.command('query-types')))
    .description(
      'print what is asked most, of which partitions and nodes, and by whom; or what makes a node hot',
    )
    .addOption(
      new Option(
        '--at <time>',
        "which types make the nodes hot in an hour of the week, UTC: 'mon 09:00'",
      ).argParser(weekHour),
    )
    .option(
      '--node <number>',
      'with --at: of one storage node only',
      wholeNumber('--node', 0, QUERY_NODE_ID_MIN - 1),
    )
    .action(async (flags: QueryTypesFlags) => {
      if (flags.node !== undefined && flags.at === undefined)
        throw new ForeshardError(
          'FORESHARD_CONFIG',
          'fix-config',
          "--node: say when, such as --at 'mon 09:00'",
        );
      const { settings } = await settingsOf(flags);
      const isJson = flags.json === true;
      if (flags.at === undefined) return describeQueryTypes(settings, { isJson });
      return describeHotTypes(settings, { hour: flags.at, nodeId: flags.node ?? null, isJson });
    });
  withJson(withConfig(program.command('hot-keys')))
    .description('print keys that alone make a good part of their partition, which no move would cool')
    .action(async (flags: CommonFlags) =>
      describeHotKeys((await settingsOf(flags)).settings, { isJson: flags.json === true }),
    );
  addInitCommand(program);
  addApprovalCommands(program);
  addApplyCommand(program, exitWith);
  addTopCommand(program);
  addVerifyCommand(program, exitWith);
  addDoctorCommand(program, exitWith);
  withConfig(program.command('dashboard'))
    .description('show load, forecast, proposal and migrations in a browser, on this machine only')
    .option('--listen <host:port>', 'a loopback address; port 0 takes a free one', '127.0.0.1:7070')
    .option('--token-file <file>', 'holds the token to log in with (default: a new one, printed)')
    .option('--read-only', 'nobody may approve, pause, cancel or roll back')
    .action(async (flags: CommonFlags & { listen: string; tokenFile?: string; readOnly?: boolean }) => {
      const { settings } = await settingsOf(flags);
      // Loaded here: no other command serves pages.
      const { runDashboard } = await import('./dashboard/command.ts');
      await runDashboard(settings, {
        listen: flags.listen,
        tokenFile: flags.tokenFile ?? null,
        isReadOnly: flags.readOnly === true,
      });
    });
  addFileCommands(program, exitWith);
  addMigrationCommands(program);
  addCompletionCommand(program);
  groupCommands(program);
  return program;
}
