/** `foreshard config check`: the settings, and what a node by these settings would read beside them before it starts. */
import { existsSync } from 'node:fs';
import { ForeshardError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { Settings } from '../../src/settings.ts';
import { loadCalendar } from '../calendar/load-calendar.ts';
import { readEtcdTls } from '../metadata/open.ts';
import { assertListenAllowed, isListenerGuarded, parseListenAddress } from '../node/listen-address.ts';
import { peerTlsOf } from '../rpc/peer-tls.ts';
import { clientTlsOf } from '../security/client-tls.ts';
import { parseUsers } from '../security/client-users.ts';
import { readPrivateFile } from '../security/private-file.ts';
import { readWebhookSecret } from '../webhooks/open-webhooks.ts';
import { calendarLines } from './calendar-lines.ts';
import { counted } from './units-text.ts';

/**
 * @returns what to print beside "ok".
 * @throws ForeshardError FORESHARD_CONFIG naming setting, file and line of the first thing that is wrong.
 */
export function checkFiles(settings: Settings, nowMs: number): string[] {
  const { security, forecast, metadata, webhooks, plugin } = settings;
  const lines: string[] = [];
  peerTlsOf(security, silentLogger);
  clientTlsOf(security, silentLogger);
  if (metadata.kind === 'etcd') readEtcdTls(metadata);
  readWebhookSecret(webhooks);
  assertModulesThere(plugin.modules);
  if (security.usersFile !== null) {
    const text = readPrivateFile('security.usersFile', security.usersFile).toString('utf8');
    lines.push(`${security.usersFile}: ${counted(parseUsers(text, security.usersFile).length, 'token')}`);
  }
  lines.push(...listenRemarks(settings));
  if (forecast.calendar !== null) {
    const calendar = loadCalendar(forecast.calendar);
    lines.push(`${forecast.calendar}: ${calendar.eventCount} events`, ...calendarLines(calendar, nowMs));
  }
  return lines;
}

/** Whether they are plugins shows when they are run, which is not for a check to do. */
function assertModulesThere(modules: readonly string[]): void {
  for (const module of modules)
    if (module.startsWith('/') && !existsSync(module))
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `plugin.modules: cannot load "${module}": there is no such file: mend the path, or take it out of the list`,
      );
}

/** What is right with `--insecure-listen` alone; whether that will be given, the file does not say. */
function listenRemarks({ node, security }: Settings): string[] {
  const roles = node.role === null ? (['storage', 'query'] as const) : [node.role];
  return roles.flatMap((role) => {
    const name = role === 'query' ? 'clientListen' : 'peerListen';
    const address = parseListenAddress(node[name], `node.${name}`);
    try {
      assertListenAllowed(address, {
        role,
        isGuarded: isListenerGuarded(role, security),
        isInsecureAllowed: false,
      });
      return [];
    } catch (error) {
      if (!(error instanceof ForeshardError)) throw error;
      return [`node.${name}: a ${role} node will not start: ${error.message}`];
    }
  });
}
