/** What is proposed, what came of what was, and why a partition stays. */
import type { Command } from 'commander';
import { PAST_KEPT } from '../../host/records/past-proposals.ts';
import {
  type CommonFlags,
  PARTITION_ID_MAX,
  settingsOf,
  wholeNumber,
  withConfig,
  withJson,
} from '../flags.ts';
import { explainPartition } from './explain-partition.ts';
import { describeProposal } from './latest-proposal.ts';
import { describeProposals } from './past-proposals.ts';

export function addProposalCommands(program: Command): void {
  withJson(withConfig(program.command('proposal')))
    .description('print the latest proposal, move by move with its reason')
    .option('--commands', 'of a Redis Cluster: print what its moves would send to which server')
    .action(async (flags: CommonFlags & { readonly commands?: boolean }) => {
      const { settings } = await settingsOf(flags);
      const output = { isJson: flags.json === true };
      if (flags.commands !== true) return describeProposal(settings, output);
      const { tellProposal } = await import('../agent/tell-moves.ts');
      return tellProposal(settings, output);
    });
  withJson(withConfig(program.command('proposals')))
    .description('print what was proposed of late, and what has become of each move')
    .option('--limit <number>', 'so many, the latest', wholeNumber('--limit', 1, PAST_KEPT), 10)
    .action(async ({ limit, ...flags }: CommonFlags & { limit: number }) =>
      describeProposals((await settingsOf(flags)).settings, { isJson: flags.json === true, limit }),
    );
  withJson(withConfig(program.command('explain')))
    .argument('<partition>', 'number of the partition', wholeNumber('partition', 0, PARTITION_ID_MAX))
    .description('say why the latest proposal moves a partition, or why it stays where it is')
    .action(async (partitionId: number, flags: CommonFlags) =>
      explainPartition((await settingsOf(flags)).settings, { partitionId, isJson: flags.json === true }),
    );
}
