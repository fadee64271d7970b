import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { ForeshardError } from '../../src/base/errors.ts';
import { QUERY_NODE_ID_MIN } from '../../src/model/ids.ts';
import type { NodeSettings, Settings } from '../../src/settings.ts';
import { loadSettings } from '../host/config/config.ts';
import type { Override } from '../host/config/environment.ts';
import { createLogger } from '../host/pino-logger.ts';
import { parseListenAddress } from '../node/listen-address.ts';
import { type CommonFlags, NODE_ID_MAX, wholeNumber, withConfig } from './flags.ts';

export interface NodeFlags extends CommonFlags {
  readonly role?: 'storage' | 'query';
  readonly nodeId?: number;
  readonly listen?: string;
  readonly advertise?: string;
  readonly dataDir?: string;
  readonly insecureListen?: boolean;
  readonly replaceStore?: boolean;
}

export function addNodeCommand(program: Command, exitWith: (code: number) => void): void {
  withConfig(program.command('node'))
    .description('run one node in this process until SIGTERM')
    .addOption(
      new Option('--role <role>', 'what the node is, instead of node.role').choices(['storage', 'query']),
    )
    .option(
      '--node-id <number>',
      `instead of node.id: storage nodes are 0, 1, …; query nodes ${QUERY_NODE_ID_MIN}, ${QUERY_NODE_ID_MIN + 1}, … (default: the first)`,
      wholeNumber('--node-id', 0, NODE_ID_MAX),
    )
    .option('--listen <host:port>', 'instead of node.clientListen or node.peerListen')
    .option('--advertise <host>', 'instead of node.advertiseHost: by what others reach this node')
    .option('--data-dir <folder>', 'instead of node.dataDir')
    .option('--replace-store', 'start with another store than the map names: that disk is lost')
    .option('--insecure-listen', 'allow an address that other machines can reach, unencrypted')
    .action(async (flags: NodeFlags) => exitWith(await runNodeCommand(flags)));
}

async function runNodeCommand(flags: NodeFlags): Promise<number> {
  const folder = process.cwd();
  const readSettings = async (): Promise<Settings> => {
    const { settings } = await loadSettings({
      file: flags.config,
      folder,
      environment: process.env,
      flags: overridesOf(flags),
    });
    return settings;
  };
  const settings = await readSettings();
  const { role, id, clientListen, peerListen, dataDir, logLevel } = settings.node;
  if (role === null)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      '--role: say what the node is, storage or query; or write node.role (and node.id) into its config file',
    );
  const isQuery = role === 'query';
  const nodeId = id ?? (isQuery ? QUERY_NODE_ID_MIN : 0);
  const logger = createLogger({ level: logLevel, fields: { role, nodeId } });
  // Loaded here, so that `config check` and `map` do not load a database.
  const { runNode } = await import('../node/main.ts');
  return runNode({
    role,
    nodeId,
    settings,
    readSettings,
    listen: isQuery
      ? parseListenAddress(clientListen, 'node.clientListen')
      : parseListenAddress(peerListen, 'node.peerListen'),
    dataDir,
    isInsecureListenAllowed: flags.insecureListen === true,
    isStoreReplaced: flags.replaceStore === true,
    logger,
  });
}

/** Flags are settings by another way, and checked as such. */
function overridesOf({ role, nodeId, listen, advertise, dataDir }: NodeFlags): Override[] {
  const overrides: Override[] = [];
  const set = <Name extends keyof NodeSettings>(
    variable: string,
    name: Name,
    value: NodeSettings[Name],
  ): void => {
    overrides.push({ variable, path: ['node', name], value });
  };
  if (role !== undefined) set('--role', 'role', role);
  if (nodeId !== undefined) set('--node-id', 'id', nodeId);
  if (listen !== undefined) {
    parseListenAddress(listen, '--listen');
    // Of a node whose role its file says: the other address is not looked at.
    set('--listen', 'clientListen', listen);
    set('--listen', 'peerListen', listen);
  }
  if (advertise !== undefined) set('--advertise', 'advertiseHost', advertise);
  // From where the command is given, not from where the config file lies.
  if (dataDir !== undefined) set('--data-dir', 'dataDir', resolve(dataDir));
  return overrides;
}
