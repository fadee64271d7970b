/** Who gets in, who may change what, and what a request that makes no sense is told. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { Actions } from '../../../../plugin/operator/dashboard/actions.ts';
import { dashboardApp } from '../../../../plugin/operator/dashboard/app.ts';
import { loadPageFiles } from '../../../../plugin/operator/dashboard/page-files.ts';
import { serveDashboard } from '../../../../plugin/operator/dashboard/server.ts';
import { Sessions } from '../../../../plugin/operator/dashboard/sessions.ts';
import type { Views } from '../../../../plugin/operator/dashboard/views.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';

const test = suite('dashboard: requests');
const READER = 'token-of-somebody-who-looks';
const OPERATOR = 'token-of-somebody-who-acts';
const page = await loadPageFiles();
/** Whoever watches the metadata store. */
const hints = new Set<() => void>();
const wake = (): void => {
  for (const hint of hints) hint();
};

function dashboard() {
  const clock = new VirtualClock(1_000_000);
  const done: string[] = [];
  const act = (name: string) => async (order: unknown) => {
    done.push(`${name} ${JSON.stringify(order)}`);
    if (JSON.stringify(order).includes('refuse'))
      throw new ForeshardError('FORESHARD_CONFLICT', 're-read', 'no');
    return `${name} done`;
  };
  const app = dashboardApp({
    views: { overview: async () => ({ clusterName: 'main' }) } as unknown as Views,
    actions: Object.fromEntries(
      ['approve', 'reject', 'pause', 'resume', 'cancel', 'rollback'].map((name) => [name, act(name)]),
    ) as unknown as Actions,
    sessions: new Sessions(
      [
        { token: READER, right: 'read' },
        { token: OPERATOR, right: 'operate' },
      ],
      clock,
    ),
    page,
    metadata: {
      watch: (_prefix, hint) => {
        hints.add(hint);
        return () => void hints.delete(hint);
      },
    },
    clusterName: 'main',
    hosts: new Set(['localhost']),
  });
  const send = (path: string, init: RequestInit & { headers?: Record<string, string> } = {}) => {
    const body =
      init.body === undefined
        ? {}
        : { 'Content-Length': String(String(init.body).length), 'Content-Type': 'application/json' };
    return app.request(path, { ...init, headers: { Host: 'localhost:7070', ...body, ...init.headers } });
  };
  const logIn = async (token: string) => {
    const response = await send('/api/login', { method: 'POST', body: JSON.stringify({ token }) });
    const { csrfToken } = (await response.json()) as { csrfToken?: string };
    const cookie = response.headers.get('set-cookie') ?? '';
    return { status: response.status, csrfToken: csrfToken ?? '', cookie };
  };
  const order = (headers: Record<string, string>, body: unknown, path = '/api/cancel') =>
    send(path, { method: 'POST', headers, body: JSON.stringify(body) });
  return { clock, send, logIn, order, done };
}

const CANCEL = { partitionId: 3, reason: 'because' };

test('the page is for anybody, and may load nothing from elsewhere; data and orders need a session', async () => {
  const { send, order, done } = dashboard();
  const start = await send('/');
  check.is(start.status, 200);
  check.match(start.headers.get('content-security-policy') ?? '', /default-src 'none'; script-src 'self'/);
  check.not.match(await start.text(), /<script(?![^>]*src=)|style=|https?:/);
  for (const path of [
    '/api/overview',
    '/api/proposal',
    '/api/events',
    '/api/heat',
    '/api/audit',
    '/api/partitions/1',
  ])
    check.is((await send(path)).status, 401, path);
  check.is((await order({}, CANCEL)).status, 401);
  check.is((await send('/page/../app.ts')).status, 404);
  check.equal(done, []);
});

test('a session is opened by a token, kept in a cookie that no script reads, and ends', async () => {
  const { send, logIn, clock } = dashboard();
  check.is((await logIn('guess')).status, 401);
  const { cookie } = await logIn(READER);
  check.match(cookie, /^foreshard_session_7070=[\w-]{24}; Path=\/; HttpOnly; SameSite=Strict$/);
  const headers = { Cookie: cookie.split(';')[0] as string };
  check.is((await send('/api/overview', { headers })).status, 200);
  clock.advanceTo(clock.nowMs() + 13 * 3_600_000);
  check.is((await send('/api/overview', { headers })).status, 401);
});

test('dashboards on two ports of one host do not take each other’s cookies', async () => {
  const [one, two] = [dashboard(), dashboard()];
  const mine = await one.logIn(READER);
  const logIn = {
    method: 'POST',
    body: JSON.stringify({ token: READER }),
    headers: { Host: 'localhost:7071' },
  };
  const theirs = (await two.send('/api/login', logIn)).headers.get('set-cookie') ?? '';
  // A browser sends both to both.
  const Cookie = [mine.cookie, theirs].map((cookie) => cookie.split(';')[0]).join('; ');
  check.is((await one.send('/api/overview', { headers: { Cookie } })).status, 200);
  check.is((await two.send('/api/overview', { headers: { Cookie, Host: 'localhost:7071' } })).status, 200);
  check.is((await two.send('/api/overview', { headers: { Cookie } })).status, 401);
});

test('who logs out is out', async () => {
  const { send, logIn } = dashboard();
  const { cookie, csrfToken } = await logIn(READER);
  const headers = { Cookie: cookie.split(';')[0] as string, 'X-Foreshard-Csrf': csrfToken };
  check.is((await send('/api/logout', { method: 'POST', headers, body: '{}' })).status, 200);
  check.is((await send('/api/overview', { headers })).status, 401);
});

test('a page of another site, or of another port of this host, can neither log in, nor listen, nor lock anybody out', async () => {
  const { send, logIn } = dashboard();
  for (const site of ['cross-site', 'same-site']) {
    const headers = { 'Sec-Fetch-Site': site };
    const body = JSON.stringify({ token: OPERATOR });
    check.is((await send('/api/login', { method: 'POST', headers, body })).status, 403);
    check.is((await send('/api/events', { headers })).status, 403);
  }
  for (let i = 0; i < 30; i++) {
    const headers = { 'Content-Type': 'text/plain' };
    check.is((await send('/api/login', { method: 'POST', headers, body: '{"token":"guess"}' })).status, 415);
  }
  for (let i = 0; i < 30; i++) check.is((await logIn(`guess ${i}`)).status, 401);
  check.is((await logIn(OPERATOR)).status, 200);
});

test('what is listened to ends with the session, and one session listens a few times only', async () => {
  const { send, logIn } = dashboard();
  const { cookie, csrfToken } = await logIn(READER);
  const headers = { Cookie: cookie.split(';')[0] as string, 'X-Foreshard-Csrf': csrfToken };
  const streams = await Promise.all(Array.from({ length: 8 }, () => send('/api/events', { headers })));
  check.ok(streams.every(({ status }) => status === 200));
  check.is((await send('/api/events', { headers })).status, 503);
  const other = await logIn(READER);
  const theirs = await send('/api/events', { headers: { Cookie: other.cookie.split(';')[0] as string } });
  check.is(theirs.status, 200, 'others are not in its way');
  await theirs.body?.cancel();
  const [first] = streams as [Response];
  await send('/api/logout', { method: 'POST', headers, body: '{}' });
  wake();
  const { done } = await (first.body as ReadableStream).getReader().read();
  check.is(done, true);
  await Promise.all(streams.slice(1).map(({ body }) => body?.cancel()));
});

test('an order needs the right, and the word that only the page knows', async () => {
  const { logIn, order, done } = dashboard();
  const reader = await logIn(READER);
  const operator = await logIn(OPERATOR);
  const of = ({ cookie }: { cookie: string }) => ({ Cookie: cookie.split(';')[0] as string });
  check.is((await order({ ...of(reader), 'X-Foreshard-Csrf': reader.csrfToken }, CANCEL)).status, 403);
  check.is((await order(of(operator), CANCEL)).status, 403, 'as a form of another site would send it');
  check.is((await order({ ...of(operator), 'X-Foreshard-Csrf': reader.csrfToken }, CANCEL)).status, 403);
  check.equal(done, []);
  const response = await order({ ...of(operator), 'X-Foreshard-Csrf': operator.csrfToken }, CANCEL);
  check.equal([response.status, await response.json()], [200, { message: 'cancel done' }]);
  check.equal(done, ['cancel {"partitionId":3,"reason":"because"}']);
});

test('an order that makes no sense, and one that is refused, are told why', async () => {
  const { logIn, order, send, done } = dashboard();
  const { cookie, csrfToken } = await logIn(OPERATOR);
  const headers = { Cookie: cookie.split(';')[0] as string, 'X-Foreshard-Csrf': csrfToken };
  for (const [path, body, why] of [
    ['/api/cancel', { partitionId: -1, reason: 'x' }, /partitionId/],
    ['/api/cancel', { partitionId: 1, reason: '  ' }, /say why/],
    ['/api/cancel', { partitionId: 1, reason: 'x\ny' }, /control characters/],
    ['/api/pause', { partitionId: null, reason: '\u001b[2K' }, /control characters/],
    ['/api/cancel', { partitionId: 1, reason: 'x', also: 1 }, /also/],
    [
      '/api/approve',
      { partitionIds: [], isNow: true, fromMs: null, untilMs: null, reason: 'x' },
      /partitionIds/,
    ],
    ['/api/reject', { partitionIds: null, forMs: 0, reason: 'x' }, /forMs/],
  ] as const) {
    const response = await order(headers, body, path);
    check.is(response.status, 400);
    check.match(((await response.json()) as { error: string }).error, why);
  }
  check.equal(done, []);
  const refused = await order(headers, { partitionId: 1, reason: 'refuse' });
  check.equal([refused.status, await refused.json()], [409, { error: 'no', code: 'FORESHARD_CONFLICT' }]);
  const huge = await send('/api/cancel', { method: 'POST', headers, body: ' '.repeat(70_000) });
  check.match(((await huge.json()) as { error: string }).error, /65536 bytes at most/);
  for (const query of [
    '',
    '?fromMs=0&toMs=1&first=5&last=4&rows=9',
    '?fromMs=0&toMs=1&first=0&last=4&rows=99999',
  ])
    check.is((await send(`/api/heat${query}`, { headers })).status, 400, query);
});

test('a name that somebody else has pointed here is refused', async () => {
  const { send } = dashboard();
  check.is((await send('/', { headers: { Host: 'evil.example:7070' } })).status, 421);
});

test('it listens on this machine only', async () => {
  const started = await serveDashboard({ host: '192.0.2.1', port: 0 }, {} as never).catch(
    (error: Error) => error,
  );
  check.match(
    (started as Error).message,
    /not encrypted: listen on 127\.0\.0\.1 and reach it through a tunnel/,
  );
});

test.run();
