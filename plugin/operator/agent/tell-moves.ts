/** What a plan for a Redis Cluster would send to its servers, told and not sent. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Settings } from '../../../src/settings.ts';
import type { AskedMove } from '../../engines/redis-cluster/moves/partition-move.ts';
import { createLogger } from '../../host/pino-logger.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { printJson, printLine, printRemark } from '../output.ts';
import { readProposal } from '../proposals/latest-proposal.ts';
import { counted } from '../units-text.ts';

/**
 * `foreshard agent --dry-run`: plans as the leader would now, tells what it would send, and changes nothing anywhere.
 *
 * @throws ForeshardError FORESHARD_NOT_READY where nothing can be planned yet.
 */
export function dryRunAgent(settings: Settings, output: { readonly isJson: boolean }): Promise<void> {
  return withMetadata(settings, async () => {
    const { planWithoutActing } = await import('../../engines/redis-cluster/dry-run.ts');
    const folder = await mkdtemp(join(tmpdir(), 'foreshard-dry-run-'));
    try {
      const proposal = await planWithoutActing(settings, folder);
      if (proposal === null)
        throw new ForeshardError(
          'FORESHARD_NOT_READY',
          'wait',
          'nothing can be planned yet: no load has been published for a window',
        );
      await tellMoves(settings, proposal.moves, output);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** `foreshard proposal --commands`: what the moves of the latest proposal would send. */
export const tellProposal = (settings: Settings, output: { readonly isJson: boolean }): Promise<void> => {
  if (settings.redis.nodes.length === 0)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      '--commands is of a Redis Cluster (redis.nodes): nodes of our own are told by frames, not by commands',
    );
  return withMetadata(settings, async (metadata) =>
    tellMoves(settings, (await readProposal(metadata, settings.cluster.name)).moves, output),
  );
};

/**
 * Commands go to standard output, one a line, those of each move below comments that say which it is; what is said of all of them
 * goes to standard error. With `--json` all of it is one object.
 */
function tellMoves(
  settings: Settings,
  moves: readonly AskedMove[],
  { isJson }: { readonly isJson: boolean },
): Promise<void> {
  const logger = createLogger({ level: settings.node.logLevel, fields: { role: 'dry-run' } });
  return withMetadata(settings, async (metadata) => {
    const { commandsOf } = await import('../../engines/redis-cluster/dry-run.ts');
    const dryRun = await commandsOf(settings, moves, { metadata, logger });
    if (isJson) return printJson(dryRun);
    if (dryRun.held !== null) printRemark(`nothing would be moved now: ${dryRun.held}`);
    for (const warning of dryRun.warnings) printRemark(warning);
    let commandCount = 0;
    for (const { partitionId, sourceNodeId, targetNodeId, reason, refusal, commands } of dryRun.moves) {
      printComment(`partition ${partitionId}: node ${sourceNodeId} -> ${targetNodeId}: ${reason}`);
      if (refusal !== null) printComment(`would be refused: ${refusal}`);
      for (const { server, command } of commands) printLine(`${server}> ${command}`);
      commandCount += commands.length;
    }
    printRemark(`${counted(moves.length, 'move')}, ${counted(commandCount, 'command')}: none was sent`);
  });
}

const printComment = (text: string): void => printLine(`# ${text.replaceAll('\n', ' ')}`);
