/** What a cluster is asked: types of queries, the hours in which they make nodes hot, keys that stand out. */
import { type Command, Option } from 'commander';
import { ForeshardError } from '../../../src/base/errors.ts';
import { QUERY_NODE_ID_MIN } from '../../node/node-options.ts';
import { type CommonFlags, settingsOf, weekHour, wholeNumber, withConfig, withJson } from '../flags.ts';
import { describeHotKeys } from './hot-keys.ts';
import { describeHotTypes } from './hot-types.ts';
import { describeQueryTypes } from './query-types.ts';

interface QueryTypesFlags extends CommonFlags {
  /** Hour of the week. */
  readonly at?: number;
  readonly node?: number;
}

export function addQueryCommands(program: Command): void {
  withJson(withConfig(program.command('query-types')))
    .description(
      'print what is asked most, of which partitions and nodes, and by whom; or what makes a node hot',
    )
    .addOption(
      new Option(
        '--at <time>',
        "which types make the nodes hot in an hour of the week, UTC: 'mon 09:00'",
      ).argParser(weekHour),
    )
    .option(
      '--node <number>',
      'with --at: of one storage node only',
      wholeNumber('--node', 0, QUERY_NODE_ID_MIN - 1),
    )
    .action(async (flags: QueryTypesFlags) => {
      if (flags.node !== undefined && flags.at === undefined)
        throw new ForeshardError(
          'FORESHARD_CONFIG',
          'fix-config',
          "--node: say when, such as --at 'mon 09:00'",
        );
      const { settings } = await settingsOf(flags);
      const isJson = flags.json === true;
      if (flags.at === undefined) return describeQueryTypes(settings, { isJson });
      return describeHotTypes(settings, { hour: flags.at, nodeId: flags.node ?? null, isJson });
    });
  withJson(withConfig(program.command('hot-keys')))
    .description('print keys that alone make a good part of their partition, which no move would cool')
    .action(async (flags: CommonFlags) =>
      describeHotKeys((await settingsOf(flags)).settings, { isJson: flags.json === true }),
    );
}
