import { Command, CommanderError } from 'commander';
import { ForeshardError } from '../../src/base/errors.ts';
import { packageVersion } from '../version.ts';
import { addAgentCommand } from './agent/command.ts';
import { addApplyCommand } from './apply/command.ts';
import { addApprovalCommands } from './approval/commands.ts';
import { addCertsCommand } from './certs/command.ts';
import { groupCommands } from './command-groups.ts';
import { addCompletionCommand } from './completion-command.ts';
import { addConfigCommands } from './config-commands.ts';
import { addDashboardCommand } from './dashboard/command.ts';
import { addDoctorCommand } from './doctor/command.ts';
import { addEtcdRolesCommand } from './etcd-roles-command.ts';
import { addFileCommands } from './file-commands.ts';
import { addInitCommand } from './init/command.ts';
import { addMapCommand } from './map-command.ts';
import { addMigrationCommands } from './migration/commands.ts';
import { addNodeCommand } from './node-command.ts';
import { addNodeOrders } from './nodes/commands.ts';
import { printRemark, visibleLines } from './output.ts';
import { addProposalCommands } from './proposals/commands.ts';
import { addQuarantineCommand } from './quarantine-command.ts';
import { addQueryCommands } from './queries/commands.ts';
import { addResyncCommand } from './resync/resync-command.ts';
import { addStatusCommand } from './status/status-command.ts';
import { addTokenCommand } from './token-command.ts';
import { addTopCommand } from './top/command.ts';
import { addVerifyCommand } from './verify/command.ts';

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
/** Bad config or usage: nothing was done, and trying again as it is will not help. */
export const EXIT_USAGE = 2;

/** How commander begins what is wrong with an argument that is no option; what was expected follows. */
const COMMANDER_ARGUMENT = /^error: command-argument value '(.*)' is invalid for argument '(.*?)'\. /s;

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

export function buildProgram(exitWith: (code: number) => void): Command {
  const program = new Command('foreshard')
    .description('Forecasts where a sharded database will be hot and moves the data there first.')
    .version(packageVersion())
    .exitOverride()
    .showHelpAfterError('(--help shows what there is)')
    // As every other error of ours begins.
    .configureOutput({
      outputError: (text, write) =>
        write(
          `foreshard: ${visibleLines(text.replace(COMMANDER_ARGUMENT, "<$2>: '$1': ").replace(/^error: /, ''))}`,
        ),
    });

  // A file of this folder or of one below it for each; the order in which --help has them is groupCommands'.
  addFileCommands(program, exitWith);
  addInitCommand(program);
  addConfigCommands(program, exitWith);
  addDoctorCommand(program, exitWith);
  addCertsCommand(program);
  addTokenCommand(program);
  addEtcdRolesCommand(program);
  addCompletionCommand(program);
  addNodeCommand(program, exitWith);
  addAgentCommand(program, exitWith);
  addDashboardCommand(program);
  addStatusCommand(program, exitWith);
  addTopCommand(program);
  addMapCommand(program);
  addQueryCommands(program);
  addVerifyCommand(program, exitWith);
  addProposalCommands(program);
  addApprovalCommands(program);
  addApplyCommand(program, exitWith);
  addMigrationCommands(program);
  addNodeOrders(program);
  addQuarantineCommand(program);
  addResyncCommand(program);
  groupCommands(program);
  return program;
}
