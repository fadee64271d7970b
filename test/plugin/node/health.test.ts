import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { DEFAULT_HEALTH_LIMITS, type HealthReason, listenForHealth } from '../../../plugin/node/health.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('health');

const sources = (reasons: HealthReason[]) => ({
  identity: { role: 'query', nodeId: 10_000 },
  uptimeSeconds: () => 7,
  reasons: () => reasons,
  metrics: { text: async () => 'foreshard_ready 1\n' },
  reload: async () => ({ outcome: 'unchanged' }),
});

interface Answer {
  readonly status: number;
  readonly body: string;
}

const ask = (
  where: { readonly port: number } | { readonly socketPath: string },
  path: string,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    get({ ...where, host: '127.0.0.1', path }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    }).on('error', reject);
  });

test('a node is alive as long as it answers, and ready while nothing stands against it; reasons that do not are told', async () => {
  const reasons: HealthReason[] = [];
  const health = await listenForHealth('127.0.0.1:0', sources(reasons));
  const where = { port: health.port as number };
  try {
    check.equal(await ask(where, '/livez'), {
      status: 200,
      body: '{"role":"query","nodeId":10000,"isAlive":true,"uptimeSeconds":7}\n',
    });
    check.is((await ask(where, '/readyz')).status, 200);
    reasons.push({ code: 'metadata-unreachable', isBlocking: false, text: 'for 7 s' });
    const degraded = await ask(where, '/readyz');
    check.is(degraded.status, 200);
    check.match(degraded.body, /"isReady":true,"reasons":\[\{"code":"metadata-unreachable"/);
    reasons.push({ code: 'stopping', isBlocking: true, text: 'told to' });
    check.is((await ask(where, '/readyz?verbose')).status, 503);
    check.is((await ask(where, '/livez')).status, 200);
    check.equal(await ask(where, '/metrics'), { status: 200, body: 'foreshard_ready 1\n' });
    check.is((await ask(where, '/metric')).status, 404);
  } finally {
    await health.close();
  }
});

/** Resolves with what came, and after how long, once the other end has closed. */
const untilClosed = (socket: Socket): Promise<{ readonly text: string; readonly ms: number }> =>
  new Promise((resolve) => {
    const startMs = performance.now();
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', () => {});
    socket.once('close', () => resolve({ text, ms: performance.now() - startMs }));
  });

test('who sends nothing, or too slowly, is cut off and keeps the listener from nobody for longer', async () => {
  check.equal(DEFAULT_HEALTH_LIMITS, { requestMsMax: 2_000, connectionsMax: 32 });
  const limits = { requestMsMax: 700, connectionsMax: 4 };
  const health = await listenForHealth('127.0.0.1:0', sources([]), limits);
  const port = health.port as number;
  const open = (): Socket => connect(port, '127.0.0.1');
  try {
    const idle = Array.from({ length: 3 }, open);
    const slow = open();
    const trickle = setInterval(() => slow.write('G'), 50);
    const closings = [...idle, slow].map(untilClosed);
    await Promise.all(
      [...idle, slow].map((socket) => new Promise((resolve) => socket.once('connect', resolve))),
    );
    // They are all that may be open: one more is closed unread, and at once.
    const surplus = open();
    surplus.write('GET /livez HTTP/1.1\r\n\r\n');
    const refused = await untilClosed(surplus);
    check.is(refused.text, '');
    const closed = await Promise.all(closings);
    clearInterval(trickle);
    for (const { ms } of closed) check.ok(ms < 10 * limits.requestMsMax, `closed after ${ms} ms`);
    check.ok(
      closed.some(({ ms }) => ms > refused.ms),
      'the surplus one did not wait for the others',
    );
    check.is((await ask({ port }, '/livez')).status, 200);
  } finally {
    await health.close();
  }
});

test('a socket file is for its owner only, and one that a killed process left is in nobody’s way', async () => {
  await withTemporaryFolder(async (folder) => {
    const socketPath = join(folder, 'health.sock');
    await leaveSocket(socketPath);
    const health = await listenForHealth(`unix:${socketPath}`, sources([]));
    check.is(statSync(socketPath).mode & 0o777, 0o600);
    check.is((await ask({ socketPath }, '/livez')).status, 200);
    await health.close();
    check.equal(readdirSync(folder), []);
    writeFileSync(socketPath, 'a file of somebody else');
    const error = await listenForHealth(`unix:${socketPath}`, sources([])).catch((caught: unknown) => caught);
    check.is((error as ForeshardError).code, 'FORESHARD_UNAVAILABLE');
    check.is(readFileSync(socketPath, 'utf8'), 'a file of somebody else');
  });
});

test('where another process listens a second one is refused, and takes nothing from the first', async () => {
  await withTemporaryFolder(async (folder) => {
    const socketPath = join(folder, 'health.sock');
    const first = await listenForHealth(`unix:${socketPath}`, sources([]));
    const tcp = await listenForHealth('127.0.0.1:0', sources([]));
    try {
      for (const listen of [`unix:${socketPath}`, `127.0.0.1:${tcp.port}`]) {
        const error = await refusalOf(listen);
        check.is(error?.code, 'FORESHARD_UNAVAILABLE');
        check.is(
          error?.message,
          `node.healthListen: cannot listen on ${listen}: another process listens there: give each process a node.healthListen of its own, or leave it out of the config of one`,
        );
      }
      check.is((await ask({ socketPath }, '/livez')).status, 200);
    } finally {
      await first.close();
      await tcp.close();
    }
  });
});

test('a listener that ends leaves the socket file of another one that has taken its name', async () => {
  await withTemporaryFolder(async (folder) => {
    const socketPath = join(folder, 'health.sock');
    const first = await listenForHealth(`unix:${socketPath}`, sources([]));
    rmSync(socketPath);
    const second = await listenForHealth(`unix:${socketPath}`, sources([]));
    await first.close();
    check.is((await ask({ socketPath }, '/livez')).status, 200);
    await second.close();
    check.equal(readdirSync(folder), []);
  });
});

/** Undefined where somebody listens then; it is closed again, as an open one would keep the suite from its end. */
async function refusalOf(listen: string): Promise<ForeshardError | undefined> {
  try {
    await (await listenForHealth(listen, sources([]))).close();
    return undefined;
  } catch (error) {
    return error as ForeshardError;
  }
}

/** As a process does that is killed while it listens. */
async function leaveSocket(socketPath: string): Promise<void> {
  const program = `require('node:net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', program], { stdio: 'ignore' }), 'exit');
  check.ok(lstatSync(socketPath).isSocket());
}

test('an address that others can reach is refused: nobody authenticates there', async () => {
  const error = await listenForHealth('0.0.0.0:0', sources([])).catch((caught: unknown) => caught);
  check.instance(error, ForeshardError);
  check.match(
    (error as ForeshardError).message,
    /node\.healthListen: 0\.0\.0\.0:0 is not a loopback address/,
  );
});

test.run();
