import type { Command } from 'commander';
import { DEFAULT_SETTINGS } from '../../src/settings.ts';
import { showableSettings } from '../host/config/config.ts';
import { configJsonSchema } from '../host/config/config-schema.ts';
import { type CommonFlags, settingsOf, withConfig, withJson } from './flags.ts';
import { printJson, printLine } from './output.ts';

/** `foreshard config check`, `reload`, `show` and `schema`. The last two print JSON in any case. */
export function addConfigCommands(program: Command, exitWith: (code: number) => void): void {
  const config = program.command('config').description('check, reload, show or describe the settings');
  withJson(withConfig(config.command('check')))
    .description('exit 0 if the settings, and the files that they name, are right, 2 and say why if not')
    .action(check);
  withJson(withConfig(config.command('reload')))
    .description(
      'have a node or an agent of this machine read its config again, as SIGHUP does; say what came of it',
    )
    .option('--socket <unix:/path>', 'where the process listens, if node.healthListen says otherwise by now')
    .action(async (flags: CommonFlags & { readonly socket?: string }) => {
      const { settings } = await settingsOf(flags);
      // Loaded here: no other command speaks to the health listener.
      const { reloadConfig } = await import('./config-reload.ts');
      const isInForce = await reloadConfig(settings, {
        socket: flags.socket ?? null,
        isJson: flags.json === true,
      });
      if (!isInForce) exitWith(1);
    });
  withJson(withConfig(config.command('show')))
    .description('print the settings in effect: defaults, config file, environment')
    .action(async (flags: CommonFlags) => {
      const { settings } = await settingsOf(flags);
      printJson(showableSettings(settings));
    });
  withJson(config.command('schema'))
    .description('print the JSON Schema of the config file, for completion in an editor')
    .action(() => printJson(configJsonSchema(DEFAULT_SETTINGS)));
}

async function check(flags: CommonFlags): Promise<void> {
  const { file, settings } = await settingsOf(flags);
  // Loaded here: no other command reads what a node reads.
  const { checkFiles } = await import('./config-check.ts');
  const remarks = checkFiles(settings, Date.now());
  if (flags.json === true) return printJson({ file: file ?? null, remarks });
  printLine(`${file ?? 'defaults (no config file)'}: ok`);
  for (const line of remarks) printLine(line);
}
