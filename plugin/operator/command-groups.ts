import type { Command } from 'commander';

/** What `foreshard --help` lists, in the order in which somebody meets it: three dozen commands in a row are read by nobody. */
export const COMMAND_GROUPS: readonly (readonly [heading: string, commands: readonly string[]])[] = [
  ['Ask a file; no cluster is needed:', ['backtest', 'patterns', 'counts', 'forecast', 'plan', 'replay']],
  ['Set up:', ['init', 'config', 'doctor', 'certs', 'token', 'etcd-roles', 'completion']],
  ['Run:', ['node', 'agent', 'dashboard']],
  ['Look at a cluster:', ['status', 'top', 'map', 'query-types', 'hot-keys', 'verify']],
  [
    'What is proposed, and what came of it:',
    ['proposal', 'proposals', 'explain', 'migrations', 'scorecard', 'audit'],
  ],
  ['Order:', ['approve', 'reject', 'apply', 'pause', 'resume', 'cancel', 'rollback']],
  ['Machines that come and go:', ['join', 'drain', 'undrain', 'remove']],
  ['When something is lost or differs:', ['quarantine', 'takeover', 'retire', 'resync']],
];

/** Sorts a program's commands into the groups; what no group names stays behind them. */
export function groupCommands(program: Command): void {
  const names = COMMAND_GROUPS.flatMap(([, commands]) => commands);
  const placeOf = (command: Command): number =>
    names.includes(command.name()) ? names.indexOf(command.name()) : names.length;
  // commander prints groups and commands in the order of this list, and has no other way to say it.
  (program.commands as Command[]).sort((a, b) => placeOf(a) - placeOf(b));
  for (const [heading, commands] of COMMAND_GROUPS)
    for (const command of program.commands) if (commands.includes(command.name())) command.helpGroup(heading);
}
