import { type Command, InvalidArgumentError, Option } from 'commander';
import { OPTIMIZERS } from '../../src/affinity/settings.ts';
import { assertPartitionCount, PARTITION_COUNT_MIN, SLOT_COUNT } from '../../src/model/partition-map.ts';
import { LOG_FORMATS } from '../logs/log-record.ts';
import { type BacktestFlags, CYCLE_HOURS_DEFAULT, DAYS_MAX, parseBytes } from './backtest/flags.ts';
import { COUNTED_BY, type CountFlags } from './counts/flags.ts';
import { type CommonFlags, settingsOf, wholeNumber, withConfig, withJson } from './flags.ts';
import { BACKTEST_ORIGINS_MAX, type ForecastFlags, HORIZON_MAX, parseLevels } from './forecast/flags.ts';
import { parseBadLineLimit } from './log-input/open-log.ts';
import { type PatternFlags, parseHour } from './patterns/flags.ts';
import type { PlanFlags } from './plan/flags.ts';

const HORIZON_DEFAULT = 48;
/** Of an imagined cluster: more would say nothing. */
const NODES_MAX = 1_024;
/** Arbitrary, above any file's. */
const ROWS_MAX = 1e9;
const PROGRESS = [
  '--progress',
  'tell on standard error how far it is, also where that is no terminal',
] as const;

/** The commands that look at a file and need no cluster. */
export function addFileCommands(program: Command, exitWith: (code: number) => void): void {
  addForecast(program);
  addPatterns(program);
  addBacktest(program);
  addCounts(program);
  addPlan(program);
  addReplay(program, exitWith);
}

function addForecast(program: Command): void {
  withJson(withConfig(program.command('forecast')))
    .description('forecast the series of a CSV file: series,time,value, or wide as in M4')
    .argument('<file>', 'packed with gzip or zstd or not; - is standard input')
    .option(
      '--horizon <number>',
      `windows ahead, 1 to ${HORIZON_MAX}`,
      wholeNumber('--horizon', 1, HORIZON_MAX),
      HORIZON_DEFAULT,
    )
    .addOption(
      new Option('--level <percents>', 'of the bounds').argParser(parseLevels).default([80, 95], '80,95'),
    )
    .option('--window <duration>', 'width of a window, such as 15m or 1h (default: found from the times)')
    .addOption(
      new Option('--aggregate <how>', 'several values of a window are taken together').choices([
        'mean',
        'sum',
      ]),
    )
    .option('--time-zone <name>', 'of times that name none (default: UTC)')
    .option('--calendar <file>', 'events to learn and to forecast (default: forecast.calendar)')
    .option(
      '--backtest <origins>',
      'hide the last windows, forecast them from so many origins, and print the errors',
      wholeNumber('--backtest', 1, BACKTEST_ORIGINS_MAX),
    )
    .option(
      '--top <number>',
      'only the series with the highest peaks (default: 20, with --json all)',
      wholeNumber('--top', 1, ROWS_MAX),
    )
    .option(...PROGRESS)
    .action(async (file: string, flags: ForecastFlags & CommonFlags) => {
      const { settings } = await settingsOf(flags);
      // Loaded here, so that `map` does not load the kernels.
      const { forecastFile } = await import('./forecast/forecast-command.ts');
      await forecastFile(file, flags, settings.forecast);
    });
}

function addPatterns(program: Command): void {
  withJson(withLog(program.command('patterns')))
    .description('find templates, seasons, clusters and correlations in a query log')
    .option('--hour <hour>', 'which queries each node gets then, such as "mon 09:00" (UTC)', parseHour)
    .action(async (file: string, flags: PatternFlags & CommonFlags) => {
      const { settings } = await settingsOf(flags);
      const { describePatterns } = await import('./patterns/patterns-command.ts');
      await describePatterns(file, flags, settings);
    });
}

function addBacktest(program: Command): void {
  withJson(withLog(program.command('backtest'), { hasWindow: false }))
    .description('replay a query log hour by hour: what would planning by forecast have gained?')
    .option(
      '--train-days <number>',
      'days to learn from (default: 28, or two thirds of a log of less than 42)',
      wholeNumber('--train-days', 2, DAYS_MAX),
    )
    .option(
      '--days <number>',
      'days to judge by (default: all that follow)',
      wholeNumber('--days', 1, DAYS_MAX),
    )
    .option(
      '--skip-days <number>',
      'the first of these are replayed, but not judged by',
      wholeNumber('--skip-days', 0, DAYS_MAX),
    )
    .option(
      '--cycle-hours <number>',
      'between two plans',
      wholeNumber('--cycle-hours', 1, 24),
      CYCLE_HOURS_DEFAULT,
    )
    .option(
      '--capacity <number>',
      'queries a second that a node carries at most (default: cluster.nodeCapacity.queries, or so that a perfectly balanced cluster peaks at 70 %)',
      positive('--capacity'),
    )
    .addOption(
      new Option('--partition-bytes <size>', 'of a partition that is moved')
        .argParser((text) => parseBytes('--partition-bytes', text))
        .default(64 * 2 ** 20, '64MiB'),
    )
    .option('--html <file>', 'write a report: verdict, curves, heat map, what would have moved when and why')
    .option('--seed <number>', 'of forecasts and searches', wholeNumber('--seed', 0, 2 ** 32 - 1), 1)
    .action(async (file: string, flags: BacktestFlags & CommonFlags) => {
      const { settings } = await settingsOf(flags);
      const { backtestLog } = await import('./backtest/backtest-command.ts');
      await backtestLog(file, flags, settings);
    });
}

function addCounts(program: Command): void {
  withJson(withLog(program.command('counts')))
    .description('count the queries of a log by window, as CSV that `foreshard forecast -` reads')
    .addOption(
      new Option('--by <what>', 'one series for each').choices(COUNTED_BY).default('partition' as const),
    )
    .action(async (file: string, flags: CountFlags & CommonFlags) => {
      const { settings } = await settingsOf(flags);
      const { printCounts } = await import('./counts/counts-command.ts');
      await printCounts(file, flags, settings);
    });
}

function addPlan(program: Command): void {
  withJson(withConfig(program.command('plan')))
    .description('find the best map of an instance file, and the moves that lead to it')
    .argument('[file]', 'JSON, see docs/plan.md; - is standard input')
    .option('--schema', 'print the JSON Schema of such files instead')
    .option(
      '--seconds <number>',
      'to search for (default: affinity.iterations steps, which can be replayed)',
      seconds,
    )
    .option('--seed <number>', 'of the search', wholeNumber('--seed', 0, 2 ** 32 - 1), 1)
    .addOption(
      new Option('--optimizer <name>', 'what searches').choices(OPTIMIZERS).default('portfolio' as const),
    )
    .action(async (file: string | undefined, flags: PlanFlags & CommonFlags, command: Command) => {
      const { planFile, printSchema } = await import('./plan/plan-command.ts');
      if (flags.schema) return printSchema();
      if (file === undefined) command.error("error: missing required argument 'file'");
      const { settings } = await settingsOf(flags);
      await planFile(file, flags, settings.affinity);
    });
}

function addReplay(program: Command, exitWith: (code: number) => void): void {
  withJson(withConfig(program.command('replay')))
    .description('make a plan that a coordinator has kept once more, and compare the two byte for byte')
    .argument('[file]', 'of analyzer.stateDir, see docs/affinity.md (default: the newest one there)')
    .action(async (file: string | undefined, flags: CommonFlags) => {
      const { settings } = await settingsOf(flags);
      const { replayCommand } = await import('./replay/replay-command.ts');
      if (!(await replayCommand(file, settings, { isJson: flags.json === true }))) exitWith(1);
    });
}

/** Of a search: a day is surely a slip. */
function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 86_400))
    throw new InvalidArgumentError('--seconds is a number above 0, at most 86400.');
  return value;
}

function positive(flag: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value > 0 && value <= 1e15)) throw new InvalidArgumentError(`${flag} is a number above 0.`);
    return value;
  };
}

/** As `cluster.partitionCount`. */
function partitionCount(text: string): number {
  const count = Number(text);
  try {
    assertPartitionCount(count);
  } catch {
    throw new InvalidArgumentError(
      `--partitions is a power of two from ${PARTITION_COUNT_MIN} to ${SLOT_COUNT}.`,
    );
  }
  return count;
}

/** What every command takes that reads a query log. */
const withLog = (command: Command, { hasWindow = true } = {}): Command => {
  const common = withLogInput(withConfig(command));
  return hasWindow ? common.option('--window <duration>', 'that queries are counted in', '1h') : common;
};

const withLogInput = (command: Command): Command =>
  command
    .argument('<file>', 'packed with gzip or zstd or not; - is standard input')
    .addOption(
      new Option('--format <name>', 'of the log (default: found from its first lines)').choices(LOG_FORMATS),
    )
    .option('--time-zone <name>', 'of times that name none (default: UTC)')
    .option('--partitions <number>', 'a power of two (default: cluster.partitionCount)', partitionCount)
    .option(
      '--nodes <number>',
      'storage nodes that partitions are dealt out to (default: cluster.storageNodeCount)',
      wholeNumber('--nodes', 1, NODES_MAX),
    )
    .option(
      '--bad-lines-max <limit>',
      'lines or percent (default: 1000, or 1% where that is more)',
      parseBadLineLimit,
    )
    .option(...PROGRESS);
