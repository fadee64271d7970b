import { connect } from 'node:net';
import { hostname } from 'node:os';
import type { Member } from '../../metadata/members.ts';

const ANSWER_MS_MAX = 1_000;

/**
 * Whether a query node is there: it is asked where it listens, and where that is another machine's loopback, its registration has to
 * do, which ends some ten seconds after its process.
 *
 * @throws Error saying why it is not.
 */
export async function assertQueryNodeThere(
  { host, port, local }: Pick<Member, 'host' | 'port' | 'local'>,
  isRegistered: boolean,
): Promise<void> {
  if (local === undefined) return answersClients({ host, port });
  if (local.machine === hostname()) return answersClients(local);
  if (!isRegistered)
    throw new Error(
      `it takes clients of ${local.machine} alone, and has not been heard of for ten seconds or more`,
    );
}

/**
 * Whether somebody takes clients at an address: it is asked `PING`. Any answer will do, a refusal or the end of the connection as well: a
 * process that hangs has its connections taken by the kernel, and says nothing.
 *
 * @throws Error saying what came instead.
 */
function answersClients(address: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    let isConnected = false;
    const settle = (error?: Error): void => {
      socket.destroy();
      if (error) reject(error);
      else resolve();
    };
    socket.setTimeout(ANSWER_MS_MAX, () =>
      settle(new Error(isConnected ? 'it is connected, and says nothing' : 'no connection within a second')),
    );
    socket.once('connect', () => {
      isConnected = true;
      socket.write('PING\r\n');
    });
    socket.once('data', () => settle());
    socket.once('end', () => settle());
    socket.once('error', (error) => (isConnected ? settle() : settle(error)));
  });
}
