import type { Command } from 'commander';
import { QUERY_NODE_ID_MIN } from '../../node/node-options.ts';
import { type CommonFlags, NODE_ID_MAX, settingsOf, wholeNumber, withConfig, withJson } from '../flags.ts';
import { printJson, printLine } from '../output.ts';

interface CertsFlags extends CommonFlags {
  readonly out: string;
  readonly queryNodes?: number;
  readonly serverName?: readonly string[];
  readonly days?: number;
}

export function addCertsCommand(program: Command): void {
  withJson(withConfig(program.command('certs')))
    .description('make an authority and certificates for all nodes of the cluster; run again, renew them')
    .requiredOption('--out <folder>', 'where NAME.pem and NAME.key go')
    .option(
      '--query-nodes <number>',
      'how many (default: 1)',
      wholeNumber('--query-nodes', 1, NODE_ID_MAX - QUERY_NODE_ID_MIN),
    )
    .option(
      '--server-name <name...>',
      'names and addresses by which clients reach query nodes (default: localhost 127.0.0.1 ::1)',
    )
    .option('--days <number>', 'until they run out (default: 90)', wholeNumber('--days', 1, 36_500))
    .action(async (flags: CertsFlags) => {
      const { cluster } = (await settingsOf(flags)).settings;
      // Loaded here: nothing else needs to know how certificates are made.
      const { makeCertificates } = await import('./make-certificates.ts');
      const made = await makeCertificates({
        folder: flags.out,
        clusterName: cluster.name,
        storageNodeCount: cluster.storageNodeCount,
        queryNodeCount: flags.queryNodes ?? 1,
        serverNames: flags.serverName ?? ['localhost', '127.0.0.1', '::1'],
        days: flags.days ?? 90,
      });
      if (flags.json === true) return printJson({ certificates: made });
      for (const { certificate, use } of made)
        printLine(use === null ? certificate : `${certificate}, ${use}`);
    });
}
