import type { Command } from 'commander';

/** Adds some commands to the program. */
export type AddCommands = (program: Command, exitWith: (code: number) => void) => void;

/**
 * The module of each command, loaded when it is asked for: all of them together take longer to load than most commands take to run.
 * The order in which --help has them is that of the groups (`groupCommands`).
 */
export const COMMAND_MODULES: readonly (readonly [
  commands: readonly string[],
  load: () => Promise<AddCommands>,
])[] = [
  [
    ['forecast', 'patterns', 'backtest', 'counts', 'plan', 'replay'],
    async () => (await import('./file-commands.ts')).addFileCommands,
  ],
  [['init'], async () => (await import('./init/command.ts')).addInitCommand],
  [['config'], async () => (await import('./config-commands.ts')).addConfigCommands],
  [['doctor'], async () => (await import('./doctor/command.ts')).addDoctorCommand],
  [['certs'], async () => (await import('./certs/command.ts')).addCertsCommand],
  [['token'], async () => (await import('./token-command.ts')).addTokenCommand],
  [['etcd-roles'], async () => (await import('./etcd-roles-command.ts')).addEtcdRolesCommand],
  [['completion'], async () => (await import('./completion-command.ts')).addCompletionCommand],
  [['node'], async () => (await import('./node-command.ts')).addNodeCommand],
  [['agent'], async () => (await import('./agent/command.ts')).addAgentCommand],
  [['dashboard'], async () => (await import('./dashboard/command.ts')).addDashboardCommand],
  [['status'], async () => (await import('./status/status-command.ts')).addStatusCommand],
  [['top'], async () => (await import('./top/command.ts')).addTopCommand],
  [['map'], async () => (await import('./map-command.ts')).addMapCommand],
  [['query-types', 'hot-keys'], async () => (await import('./queries/commands.ts')).addQueryCommands],
  [['verify'], async () => (await import('./verify/command.ts')).addVerifyCommand],
  [
    ['proposal', 'proposals', 'explain'],
    async () => (await import('./proposals/commands.ts')).addProposalCommands,
  ],
  [['approve', 'reject'], async () => (await import('./approval/commands.ts')).addApprovalCommands],
  [['apply'], async () => (await import('./apply/command.ts')).addApplyCommand],
  [
    ['migrations', 'scorecard', 'cancel', 'rollback', 'pause', 'resume', 'audit', 'takeover', 'retire'],
    async () => (await import('./migration/commands.ts')).addMigrationCommands,
  ],
  [['join', 'drain', 'undrain', 'remove'], async () => (await import('./nodes/commands.ts')).addNodeOrders],
  [['quarantine'], async () => (await import('./quarantine-command.ts')).addQuarantineCommand],
  [['resync'], async () => (await import('./resync/resync-command.ts')).addResyncCommand],
];

/** @param command the first word of a command line: its module alone is loaded. Without one that there is, all are: help names them all. */
export async function loadCommands(command?: string): Promise<AddCommands[]> {
  const named = COMMAND_MODULES.filter(([commands]) => command !== undefined && commands.includes(command));
  const wanted = named.length > 0 && command !== 'completion' ? named : COMMAND_MODULES;
  return await Promise.all(wanted.map(([, load]) => load()));
}
