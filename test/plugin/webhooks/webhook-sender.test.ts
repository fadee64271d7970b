import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { settingsOf } from '../../../plugin/host/config/config.ts';
import { openWebhooks, tellOfEnd } from '../../../plugin/webhooks/open-webhooks.ts';
import { WebhookSender } from '../../../plugin/webhooks/webhook-sender.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import type { MigrationHistory } from '../../../src/migration/records/records.ts';

import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('webhooks');
const SECRET = 'a secret of this test only';

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A receiver that answers by turns; the last answer holds for all that come after. Null: no answer at all. */
async function receiver(answers: readonly (number | null)[]) {
  const received: Received[] = [];
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      const status = answers[Math.min(received.length, answers.length - 1)];
      received.push({ headers: request.headers, body });
      if (status == null) return;
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('what it says');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { received, close, url: `http://127.0.0.1:${port}/hook` };
}

/** Sleeps are noted and over at once. */
function sender(url: string, options: { readonly timeoutMs?: number; readonly attemptsMax?: number } = {}) {
  const sleeps: number[] = [];
  const warnings: string[] = [];
  const clock = {
    nowMs: () => 1_750_000_000_000,
    monotonicMs: () => 0,
    sleep: async (ms: number) => void sleeps.push(ms),
  } as unknown as Clock;
  const logger: Logger = {
    ...silentLogger,
    warn: (fields, message) => void warnings.push(`${message} ${JSON.stringify(fields)}`),
  };
  const webhooks = new WebhookSender(
    { url, secret: SECRET, timeoutMs: 2_000, attemptsMax: 4, source: { cluster: 'main' }, ...options },
    { clock, logger },
  );
  const counts = () =>
    Object.fromEntries(webhooks.readings().map(({ labels, value }) => [labels?.outcome, value]));
  return { webhooks, sleeps, warnings, counts };
}

test('what is delivered is signed, says what happened, and comes in order', async () => {
  const { received, close, url } = await receiver([204]);
  const { webhooks, counts } = sender(url);
  webhooks.send('proposal.made', { moves: 3 });
  webhooks.send('migration.aborted', { partitionId: 7, reason: 'the target is full' });
  await webhooks.settled();
  const bodies = received.map(({ body }) => JSON.parse(body) as { type: string; data: unknown });
  check.equal(
    bodies.map(({ type, data }) => [type, data]),
    [
      ['proposal.made', { cluster: 'main', moves: 3 }],
      ['migration.aborted', { cluster: 'main', partitionId: 7, reason: 'the target is full' }],
    ],
  );
  for (const { headers, body } of received) {
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    const expected = createHmac('sha256', SECRET).update(signed).digest('base64');
    check.is(headers['webhook-signature'], `v1,${expected}`);
    check.is(headers['webhook-timestamp'], '1750000000');
  }
  check.equal(counts(), { delivered: 2, failed: 0, dropped: 0 });
  await webhooks.close();
  await close();
});

test('a receiver that is broken is tried again, further and further apart, under the same id; then it is given up', async () => {
  const { received, close, url } = await receiver([503, 429, 200, 500]);
  const { webhooks, sleeps, warnings, counts } = sender(url);
  webhooks.send('proposal.made', {});
  await webhooks.settled();
  check.equal(sleeps, [1_000, 2_000]);
  check.is(new Set(received.map(({ headers }) => headers['webhook-id'])).size, 1);
  webhooks.send('cycle.failed', {});
  await webhooks.settled();
  check.is(received.length, 3 + 4);
  check.equal(sleeps.slice(2), [1_000, 2_000, 4_000]);
  check.match(warnings[0] ?? '', /not delivered .*"attempts":4,"why":"status 500"/);
  check.equal(counts(), { delivered: 1, failed: 1, dropped: 0 });
  await webhooks.close();
  await close();
});

test('a receiver that does not want it, or sends us elsewhere, is asked once and not followed', async () => {
  const { received, close, url } = await receiver([410, 302]);
  const { webhooks, sleeps, warnings } = sender(url);
  webhooks.send('proposal.made', {});
  webhooks.send('proposal.made', {});
  await webhooks.settled();
  check.is(received.length, 2);
  check.equal(sleeps, []);
  check.match(warnings.join(), /status 410.*status 302/);
  check.not.match(warnings.join(), /what it says|a secret/);
  await webhooks.close();
  await close();
});

test('one that does not answer costs its time and no more, and an end waits for nobody', async () => {
  const { received, close, url } = await receiver([null]);
  const { webhooks, counts } = sender(url, { timeoutMs: 50, attemptsMax: 2 });
  webhooks.send('proposal.made', {});
  await webhooks.settled();
  check.is(received.length, 2);
  check.equal(counts(), { delivered: 0, failed: 1, dropped: 0 });
  const patient = sender(url, { timeoutMs: 60_000 });
  patient.webhooks.send('proposal.made', {});
  await patient.webhooks.close();
  await webhooks.close();
  await close();
});

test('of more than a hundred that wait the rest is dropped and counted', async () => {
  const { close, url } = await receiver([200]);
  const { webhooks, counts } = sender(url);
  for (let i = 0; i < 130; i++) webhooks.send('proposal.made', { i });
  await webhooks.settled();
  check.equal(counts(), { delivered: 100, failed: 0, dropped: 30 });
  await webhooks.close();
  await close();
});

test('a migration that was given up is told, one that goes on with its copy is not', () => {
  const told: unknown[] = [];
  const webhooks: Parameters<typeof tellOfEnd>[0] = {
    send: (event, { migrationId }) => told.push([event, migrationId]),
  };
  const ended = { partitionId: 3, sourceNodeId: 0, targetNodeId: 1, reason: 'the fence stood for too long' };
  for (const end of [
    { migrationId: 1, outcome: 'done' },
    { migrationId: 2, outcome: 'aborted', continuedBy: 3 },
    { migrationId: 3, outcome: 'aborted' },
  ])
    tellOfEnd(webhooks, { ...ended, ...end } as MigrationHistory);
  check.equal(told, [['migration.aborted', 3]]);
});

test('the settings take https, or http on the loopback, with a secret; all else is refused by name', async () => {
  const refusal = (webhooks: Record<string, unknown>): string => {
    try {
      settingsOf({ webhooks }, { file: null, folder: '/tmp', environment: {} });
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };
  const secretFile = 'secret';
  for (const url of ['https://hooks.example/a?b=c', 'http://127.0.0.1:9000/hook', 'http://[::1]/x'])
    check.is(refusal({ url, secretFile }), '', url);
  for (const url of [
    'http://hooks.example/a',
    'http://127.0.0.1.example/',
    'http://169.254.169.254/latest',
    'file:///etc/passwd',
    'https://user:word@hooks.example/',
    'hooks.example',
  ])
    check.match(refusal({ url, secretFile }), /webhooks\.url: found .*it must be a URL/, url);
  check.match(refusal({ url: 'https://hooks.example/' }), /webhooks\.secretFile: .*set as well/);
});

test('a secret that others can read, or that can be guessed, is refused', async () => {
  await withTemporaryFolder((folder) => {
    const open = (text: string, mode: number): string => {
      const secretFile = join(folder, `secret-${mode}-${text.length}`);
      writeFileSync(secretFile, text);
      chmodSync(secretFile, mode);
      const webhooks = { ...DEFAULT_SETTINGS.webhooks, url: 'https://hooks.example/', secretFile };
      try {
        openWebhooks({ ...DEFAULT_SETTINGS, webhooks }, { clock: systemClock(), logger: silentLogger });
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    };
    const good = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n';
    check.is(open(good, 0o600), '');
    check.match(open(good, 0o644), /webhooks\.secretFile/);
    check.match(open('short\n', 0o600), /24 characters or more/);
    return Promise.resolve();
  });
});

test.run();
