import type { Command } from 'commander';
import { ForeshardError } from '../../../src/base/errors.ts';
import { type CommonFlags, settingsOf, withConfig } from '../flags.ts';

interface AgentFlags extends CommonFlags {
  readonly dryRun?: boolean;
}

export function addAgentCommand(program: Command, exitWith: (code: number) => void): void {
  withConfig(program.command('agent'))
    .option('--json', 'with --dry-run: print one JSON object')
    .description('watch a Redis Cluster or Valkey, forecast, plan and move its slots, until SIGTERM')
    .option(
      '--dry-run',
      'plan once, print the commands that would be sent to the servers, and change nothing',
    )
    .action(async (flags: AgentFlags) => {
      const readSettings = async () => (await settingsOf(flags)).settings;
      const isJson = flags.json === true;
      if (isJson && flags.dryRun !== true) throw jsonNeedsDryRun();
      // Loaded here: no other command runs an agent.
      if (flags.dryRun === true) {
        const { dryRunAgent } = await import('./tell-moves.ts');
        await dryRunAgent(await readSettings(), { isJson });
      } else {
        const { runAgent } = await import('./run-agent.ts');
        exitWith(await runAgent(readSettings));
      }
    });
}

const jsonNeedsDryRun = (): ForeshardError =>
  new ForeshardError(
    'FORESHARD_CONFIG',
    'fix-config',
    '--json: an agent that runs logs JSON lines in any case; it goes with --dry-run',
  );
