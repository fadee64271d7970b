import { Command, CommanderError } from 'commander';
import { ForeshardError } from '../../src/base/errors.ts';
import { packageVersion } from '../version.ts';
import { groupCommands } from './command-groups.ts';
import { type AddCommands, loadCommands } from './command-modules.ts';
import { printRemark, visibleLines } from './output.ts';

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
/** Bad config or usage: nothing was done, and trying again as it is will not help. */
export const EXIT_USAGE = 2;

/** How commander begins what is wrong with an argument that is no option; what was expected follows. */
const COMMANDER_ARGUMENT = /^error: command-argument value '(.*)' is invalid for argument '(.*?)'\. /s;

/** Runs one command line. @returns the exit code. Never throws; errors go to standard error as one message. */
export async function runCli(args: readonly string[]): Promise<number> {
  let exitCode = EXIT_OK;
  const program = buildProgram(await loadCommands(args[0]), (code) => {
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

export function buildProgram(commands: readonly AddCommands[], exitWith: (code: number) => void): Command {
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

  for (const add of commands) add(program, exitWith);
  groupCommands(program);
  return program;
}
