import { Command } from 'commander';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { COMMAND_MODULES, loadCommands } from '../../../plugin/operator/command-modules.ts';
import { buildProgram } from '../../../plugin/operator/program.ts';

const test = suite('modules of commands');

const namesOf = (program: Command): string[] => program.commands.map((command) => command.name()).toSorted();

test('each module adds the commands that it is asked for by', async () => {
  for (const [commands, load] of COMMAND_MODULES) {
    const program = new Command();
    (await load())(program, () => {});
    check.equal(namesOf(program), commands.toSorted());
  }
});

test('a command line has its own module loaded alone; help, completion and a slip of the pen have all', async () => {
  const loadedFor = async (word?: string) => namesOf(buildProgram(await loadCommands(word), () => {}));
  check.equal(await loadedFor('status'), ['status']);
  check.equal(await loadedFor('approve'), ['approve', 'reject']);
  const all = COMMAND_MODULES.flatMap(([commands]) => commands).toSorted();
  for (const word of ['--help', 'help', 'completion', 'statsu', undefined])
    check.equal(await loadedFor(word), all, word);
});

test.run();
