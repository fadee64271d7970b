import { randomBytes } from 'node:crypto';
import { systemClock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Settings } from '../../../src/settings.ts';
import { RpcStorageEngine } from '../../engines/migration-agent/rpc-storage-engine.ts';
import { profilePrefix } from '../../host/records/record-keys.ts';
import { type ListenAddress, parseListenAddress } from '../../node/listen-address.ts';
import { readPrivateFile } from '../../security/private-file.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { withNodes } from '../operator-transport.ts';
import { printLine } from '../output.ts';
import { actionsOn } from './actions.ts';
import { historyShape, LoadHistory } from './load-history.ts';
import { loadPageFiles } from './page-files.ts';
import { type RunningDashboard, serveDashboard } from './server.ts';
import { Sessions } from './sessions.ts';
import { type ViewComponents, Views } from './views.ts';

const TOKEN_LENGTH_MIN = 22;

export interface DashboardOptions {
  readonly listen: string;
  /** Holds the token; without it one is made, good until the command ends. */
  readonly tokenFile: string | null;
  readonly isReadOnly: boolean;
}

/** `foreshard dashboard`: serves until SIGINT or SIGTERM. */
export function runDashboard(settings: Settings, options: DashboardOptions): Promise<void> {
  const address = parseListenAddress(options.listen, '--listen');
  const token =
    options.tokenFile === null ? randomBytes(18).toString('base64url') : readToken(options.tokenFile);
  const clock = systemClock();
  return withMetadata(settings, (metadata) =>
    withNodes(settings, metadata, async (transport) => {
      const running = await openDashboard(address, {
        settings,
        metadata,
        engine: new RpcStorageEngine(transport),
        nowMs: () => clock.nowMs(),
        sessions: new Sessions([{ token, right: options.isReadOnly ? 'read' : 'operate' }], clock),
      });
      const link = options.tokenFile === null ? `#token=${token}` : '';
      const host = address.host.includes(':') ? `[${address.host}]` : address.host;
      printLine(`http://${host}:${running.port}/${link}`);
      await new Promise<void>((resolve) => {
        process.once('SIGINT', () => resolve());
        process.once('SIGTERM', () => resolve());
      });
      await running.close();
    }),
  );
}

/** The dashboard of a cluster, served until it is closed. @throws as serveDashboard does. */
export async function openDashboard(
  address: ListenAddress,
  components: Omit<ViewComponents, 'history' | 'pastMs'> & { readonly sessions: Sessions },
): Promise<RunningDashboard> {
  const { settings, metadata, nowMs, sessions } = components;
  const { name, partitionCount } = settings.cluster;
  const { windowMs } = settings.analyzer;
  const { windowsMax, pastMs } = historyShape({ windowMs, partitionCount });
  const history = new LoadHistory({
    metadata,
    prefix: profilePrefix(name),
    windowMs,
    partitionCount,
    windowsMax,
  });
  return serveDashboard(address, {
    views: new Views({ ...components, history, pastMs }),
    actions: actionsOn(metadata, name, nowMs),
    sessions,
    page: await loadPageFiles(),
    metadata,
    clusterName: name,
  });
}

/** @throws ForeshardError FORESHARD_CONFIG for a file that cannot be read or is not private, or a token that can be guessed. */
function readToken(file: string): string {
  const token = readPrivateFile('--token-file', file).toString('utf8').trim();
  if (token.length >= TOKEN_LENGTH_MIN) return token;
  throw new ForeshardError(
    'FORESHARD_CONFIG',
    'fix-config',
    `--token-file ${file}: a token has ${TOKEN_LENGTH_MIN} characters or more: \`openssl rand -base64 24\` makes one`,
  );
}
