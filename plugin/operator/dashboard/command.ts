import type { Command } from 'commander';
import { type CommonFlags, settingsOf, withConfig } from '../flags.ts';

interface DashboardFlags extends CommonFlags {
  readonly listen: string;
  readonly tokenFile?: string;
  readonly readOnly?: boolean;
}

export function addDashboardCommand(program: Command): void {
  withConfig(program.command('dashboard'))
    .description('show load, forecast, proposal and migrations in a browser, on this machine only')
    .option('--listen <host:port>', 'a loopback address; port 0 takes a free one', '127.0.0.1:7070')
    .option('--token-file <file>', 'holds the token to log in with (default: a new one, printed)')
    .option('--read-only', 'nobody may approve, pause, cancel or roll back')
    .action(async (flags: DashboardFlags) => {
      const { settings } = await settingsOf(flags);
      // Loaded here: no other command serves pages.
      const { runDashboard } = await import('./run-dashboard.ts');
      await runDashboard(settings, {
        listen: flags.listen,
        tokenFile: flags.tokenFile ?? null,
        isReadOnly: flags.readOnly === true,
      });
    });
}
