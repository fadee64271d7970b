import { connect } from 'node:net';

const ANSWER_MS_MAX = 1_000;

/**
 * Whether a query node is there: it is asked `PING`. Any answer will do, a refusal or the end of the connection as well: a
 * process that hangs has its connections taken by the kernel, and says nothing.
 *
 * @throws Error saying what came instead.
 */
export function answersClients(address: { readonly host: string; readonly port: number }): Promise<void> {
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
