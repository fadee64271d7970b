/** Files, folders and ports that the settings name: whether a node could use them. */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import type { Settings } from '../../../src/settings.ts';
import { parseListenAddress } from '../../node/listen-address.ts';
import { whyNotPrivate } from '../../security/private-file.ts';
import { type Finding, fail, ok, warn } from './findings.ts';

/** File systems on which a commit that has been synced is not on a disk of this machine. */
const NO_DISKS: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs: gone after a restart of the machine'],
  [0x6969, 'NFS: LMDB must not be shared between machines'],
  [0xff534d42, 'CIFS: LMDB needs a file system of this machine'],
  [0x65735546, 'FUSE: whether a synced commit is durable depends on what is behind it'],
]);

export function judgeFiles({ security, metadata, node, analyzer, redis, webhooks }: Settings): Finding[] {
  const secrets = [
    ['security.passwordFile', security.passwordFile],
    ['security.usersFile', security.usersFile],
    ['security.serverKeyFile', security.serverKeyFile],
    ['security.peerKeyFile', security.peerKeyFile],
    ['metadata.passwordFile', metadata.passwordFile],
    ['metadata.keyFile', metadata.keyFile],
    ['redis.passwordFile', redis.passwordFile],
    ['webhooks.secretFile', webhooks.secretFile],
  ] as const;
  const folders = [
    ...(node.role === 'query' || redis.nodes.length > 0 ? [] : [['node.dataDir', node.dataDir] as const]),
    ...(metadata.kind === 'embedded' ? [['metadata.path', metadata.path] as const] : []),
  ];
  return [
    ...secrets.flatMap(([setting, file]) => (file === null ? [] : [judgeSecret(setting, file)])),
    ...folders.map(([setting, folder]) => judgeFolder(setting, folder, node.freeBytesReserve)),
    judgeFolder('analyzer.stateDir', analyzer.stateDir, 0),
  ];
}

function judgeSecret(setting: string, file: string): Finding {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    return fail(
      setting,
      `${file}: ${(error as NodeJS.ErrnoException).code}`,
      'name a file that this user may read',
    );
  }
  const why = whyNotPrivate(statSync(file));
  return why === null
    ? ok(setting, file)
    : fail(setting, `${file} ${why}`, `chmod 600 ${file}, of the user that runs the node`);
}

/** A folder that is not there yet is made by the node: then its nearest parent counts. */
function judgeFolder(setting: string, folder: string, reserveBytes: number): Finding {
  let present = folder;
  while (!existsSync(present) && dirname(present) !== present) present = dirname(present);
  try {
    accessSync(present, constants.W_OK | constants.X_OK);
  } catch {
    return fail(
      setting,
      `${present}: may not be written`,
      `give this user the folder: chown, or another ${setting}`,
    );
  }
  const { type, bavail, bsize } = statfsSync(present);
  const freeBytes = bavail * bsize;
  const noDisk = NO_DISKS.get(type);
  const found = `${folder}, ${(freeBytes / 1e9).toFixed(1)} GB free`;
  if (noDisk !== undefined)
    return warn(setting, `${found}, on ${noDisk}`, 'name a folder on a disk of this machine');
  return freeBytes > reserveBytes
    ? ok(setting, found)
    : fail(setting, `${found}, less than node.freeBytesReserve`, 'free some, or writes will be refused');
}

/** A port that is taken may be this very node's, which runs: that is for whoever reads it to know. */
export async function judgePorts({ node, redis }: Settings): Promise<Finding[]> {
  // An agent beside a Redis Cluster takes no clients and no peers.
  if (redis.nodes.length > 0) return [];
  const wanted = [
    ...(node.role === 'storage' ? [] : [['node.clientListen', node.clientListen] as const]),
    ...(node.role === 'query' ? [] : [['node.peerListen', node.peerListen] as const]),
  ];
  return Promise.all(
    wanted.map(async ([setting, text]) => {
      const address = parseListenAddress(text, setting);
      const code = await listenFault(address);
      if (code === null) return ok(setting, `${text} can be listened on`);
      return code === 'EADDRINUSE'
        ? warn(
            setting,
            `${text} is taken`,
            'fine if it is this node that runs; else stop what holds it, or take another port',
          )
        : fail(setting, `${text}: ${code}`, 'name an address of this machine, and a port from 1024 on');
    }),
  );
}

const listenFault = (address: { readonly host: string; readonly port: number }): Promise<string | null> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(address, () => server.close(() => resolve(null)));
  });
