import { statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { type HealthReason, listenForHealth } from '../../../plugin/node/health.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('health');

const sources = (reasons: HealthReason[]) => ({
  identity: { role: 'query', nodeId: 10_000 },
  uptimeSeconds: () => 7,
  reasons: () => reasons,
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
    check.is((await ask(where, '/metrics')).status, 404);
  } finally {
    await health.close();
  }
});

test('a socket file is for its owner only, and one that a killed process left is in nobody’s way', async () => {
  await withTemporaryFolder(async (folder) => {
    const socketPath = join(folder, 'health.sock');
    const killed = await listenForHealth(`unix:${socketPath}`, sources([]));
    const health = await listenForHealth(`unix:${socketPath}`, sources([]));
    check.is(statSync(socketPath).mode & 0o777, 0o600);
    check.is((await ask({ socketPath }, '/livez')).status, 200);
    await health.close();
    await killed.close();
    writeFileSync(socketPath, 'a file of somebody else');
    const error = await listenForHealth(`unix:${socketPath}`, sources([])).catch((caught: unknown) => caught);
    check.is((error as ForeshardError).code, 'FORESHARD_UNAVAILABLE');
  });
});

test('an address that others can reach is refused: nobody authenticates there', async () => {
  const error = await listenForHealth('0.0.0.0:0', sources([])).catch((caught: unknown) => caught);
  check.instance(error, ForeshardError);
  check.match(
    (error as ForeshardError).message,
    /node\.healthListen: 0\.0\.0\.0:0 is not a loopback address/,
  );
});

test.run();
