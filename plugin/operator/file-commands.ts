import { type Command, Option } from 'commander';
import { type CommonFlags, settingsOf, wholeNumber, withConfig, withJson } from './flags.ts';
import { type ForecastFlags, HORIZON_MAX, parseLevels } from './forecast/flags.ts';

const HORIZON_DEFAULT = 48;

/** The commands that look at a file and need no cluster. */
export function addFileCommands(program: Command): void {
  withJson(withConfig(program.command('forecast')))
    .description('forecast the series of a CSV file: series,time,value, or wide as in M4')
    .argument('<file>', 'packed with gzip or zstd or not; - is standard input')
    .option(
      '--horizon <number>',
      `windows ahead, 1 to ${HORIZON_MAX}`,
      wholeNumber('--horizon', 1, HORIZON_MAX),
      HORIZON_DEFAULT,
    )
    .option('--level <percents>', 'of the bounds', parseLevels, [80, 95])
    .option('--window <duration>', 'width of a window, such as 15m or 1h (default: found from the times)')
    .addOption(
      new Option('--aggregate <how>', 'several values of a window are taken together').choices([
        'mean',
        'sum',
      ]),
    )
    .option('--time-zone <name>', 'of times that name none (default: UTC)')
    .action(async (file: string, flags: ForecastFlags & CommonFlags) => {
      const { settings } = await settingsOf(flags);
      // Loaded here, so that `map` does not load the kernels.
      const { forecastFile } = await import('./forecast/forecast-command.ts');
      await forecastFile(file, flags, settings.forecast);
    });
}
