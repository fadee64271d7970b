import type { Clock } from '../../src/base/clock.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { CycleReport } from '../../src/controller.ts';
import type { MigrationHistory } from '../../src/migration/records/records.ts';
import type { Settings } from '../../src/settings.ts';
import { readPrivateFile } from '../security/private-file.ts';
import { WebhookSender } from './webhook-sender.ts';

/** A key that is shorter can be guessed. */
const SECRET_LENGTH_MIN = 24;
/** Of a proposal: the rest is read where the receiver's people look anyway. */
const MOVES_MAX = 20;

/** Null where the settings name nobody. @throws ForeshardError FORESHARD_CONFIG for a secret that cannot be read, or is too short. */
export function openWebhooks(
  { webhooks, cluster }: Pick<Settings, 'webhooks' | 'cluster'>,
  components: { readonly clock: Clock; readonly logger: Logger },
): WebhookSender | null {
  const { url, timeoutMs, attemptsMax } = webhooks;
  const secret = readWebhookSecret(webhooks);
  if (url === null || secret === null) return null;
  return new WebhookSender(
    { url, secret, timeoutMs, attemptsMax, source: { cluster: cluster.name } },
    components,
  );
}

/** What deliveries are signed with; null where the settings name nobody. @throws ForeshardError FORESHARD_CONFIG, see above. */
export function readWebhookSecret({ url, secretFile }: Settings['webhooks']): string | null {
  if (url === null || secretFile === null) return null;
  const text = readPrivateFile('webhooks.secretFile', secretFile).toString('utf8');
  const secret = text.split(/\r?\n/, 1)[0] as string;
  if (secret.length < SECRET_LENGTH_MIN)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `webhooks.secretFile: ${secretFile}: its first line has to have ${SECRET_LENGTH_MIN} characters or more: \`openssl rand -base64 24\` makes one`,
    );
  return secret;
}

/** Tells of a cycle that proposes something that people may want to look at. */
export function tellOfProposal(
  webhooks: WebhookSender | null,
  { atMs, proposal }: Pick<CycleReport, 'atMs' | 'proposal'>,
  mode: string,
): void {
  if (mode === 'observe' || proposal === null || proposal.moves.length === 0) return;
  webhooks?.send('proposal.made', {
    atMs,
    mode,
    moveCount: proposal.moves.length,
    costBefore: proposal.costBefore,
    costAfter: proposal.costAfter,
    lowerBound: proposal.lowerBound,
    moves: proposal.moves.slice(0, MOVES_MAX).map(({ partitionId, sourceNodeId, targetNodeId, reason }) => ({
      partitionId,
      sourceNodeId,
      targetNodeId,
      reason,
    })),
  });
}

/** Tells of a migration that was given up: not of one that goes on with the same copy under the next number. */
export function tellOfEnd(webhooks: Pick<WebhookSender, 'send'> | null, ended: MigrationHistory): void {
  if (ended.outcome !== 'aborted' || ended.continuedBy !== undefined) return;
  const { partitionId, migrationId, sourceNodeId, targetNodeId, abortedIn = null, reason } = ended;
  webhooks?.send('migration.aborted', {
    partitionId,
    migrationId,
    sourceNodeId,
    targetNodeId,
    phase: abortedIn,
    reason,
  });
}
