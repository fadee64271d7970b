import { type Context, Hono } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { streamSSE } from 'hono/streaming';
import { z } from 'zod';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { clusterRoot } from '../../host/records/record-keys.ts';
import { type Actions, actionSchemas } from './actions.ts';
import type { PageFile } from './page-files.ts';
import type { Session, Sessions } from './sessions.ts';
import type { Views } from './views.ts';

export interface DashboardComponents {
  readonly views: Views;
  readonly actions: Actions;
  readonly sessions: Sessions;
  readonly page: ReadonlyMap<string, PageFile>;
  readonly metadata: Pick<MetadataStore, 'watch'>;
  readonly clusterName: string;
  /** Names this server goes by: a page of another name that resolves to this address is refused (DNS rebinding). */
  readonly hosts: ReadonlySet<string>;
}

type Variables = { Variables: { session: Session } };

const BODY_BYTES_MAX = 64 * 1024;
const ROWS_MAX = 1024;
/** Several changes within this are told as one. */
const QUIET_MS = 250;
const KEEP_ALIVE_MS = 15_000;
const STREAMS_MAX = 32;
const STREAMS_A_SESSION_MAX = 8;
/** What a page shows of the metadata store. */
const WATCHED = ['map', 'ctl', 'hist', 'proposal', 'forecast', 'audit'] as const;

/** Nothing from elsewhere, nothing inline, in nobody's frame. */
const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

const number = z.coerce.number();
const heatQuery = z.object({
  fromMs: number,
  toMs: number,
  first: number.int().min(0).max(16_383),
  last: number.int().min(0).max(16_383),
  rows: number.int().min(1).max(ROWS_MAX),
});

const mixQuery = heatQuery.pick({ first: true, last: true });

/** The dashboard as a function of requests: pages for anybody, data for sessions, changes for sessions that may operate. */
export function dashboardApp(components: DashboardComponents): Hono<Variables> {
  const { views, sessions, page, hosts } = components;
  const app = new Hono<Variables>();

  app.use('*', async (c, next) => {
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
    const host = (c.req.header('host') ?? '').replace(/:\d+$/, '');
    if (!hosts.has(host)) return c.json({ error: 'this server does not go by that name' }, 421);
    return next();
  });
  // Cookies do not tell ports of one host apart, and a form needs no leave: browsers say where a request comes from.
  app.use('/api/*', async (c, next) => {
    const site = c.req.header('sec-fetch-site');
    if (site !== undefined && site !== 'same-origin' && site !== 'none')
      return c.json({ error: 'the request comes from another page' }, 403);
    if (c.req.method !== 'GET' && !/^application\/json\b/.test(c.req.header('content-type') ?? ''))
      return c.json({ error: 'the body has to be application/json' }, 415);
    return next();
  });
  for (const [path, { type, body }] of page)
    app.get(path, (c) => c.body(body, 200, { ...HEADERS, 'Content-Type': type }));

  app.post('/api/login', async (c) => {
    const { token } = z.object({ token: z.string().max(256) }).parse(await bodyOf(c.req.raw));
    const opened = sessions.open(token);
    if (opened === null) return c.json({ error: 'wrong token' }, 401);
    setCookie(c, cookieName(c), opened.id, { httpOnly: true, sameSite: 'Strict', path: '/' });
    const { right, csrfToken } = opened.session;
    return c.json({ right, csrfToken });
  });

  app.use('/api/*', async (c, next) => {
    const session = sessions.find(getCookie(c, cookieName(c)));
    if (session === null) return c.json({ error: 'log in first' }, 401);
    c.set('session', session);
    const isChange = c.req.method !== 'GET';
    if (isChange && c.req.header('x-foreshard-csrf') !== session.csrfToken)
      return c.json({ error: 'the request does not come from the dashboard' }, 403);
    if (isChange && c.req.path !== '/api/logout' && session.right !== 'operate')
      return c.json({ error: 'this token may look, not operate' }, 403);
    return next();
  });
  app.get('/api/session', (c) => {
    const { right, csrfToken } = c.get('session');
    return c.json({ right, csrfToken });
  });
  app.post('/api/logout', (c) => {
    sessions.close(getCookie(c, cookieName(c)));
    deleteCookie(c, cookieName(c));
    return c.json({});
  });

  app.get('/api/overview', async (c) => c.json((await views.overview()) as object));
  app.get('/api/proposal', async (c) => c.json((await views.proposal()) as object));
  app.get('/api/migrations', async (c) => c.json((await views.migrations()) as object));
  app.get('/api/audit', async (c) => c.json((await views.audit()) as object));
  app.get('/api/scorecards', async (c) => c.json((await views.scorecards()) as object));
  app.get('/api/mix', async (c) => {
    const { first, last } = mixQuery.parse(c.req.query());
    return c.json((await views.mix(first, last)) as object);
  });
  app.get('/api/partitions/:id', async (c) =>
    c.json((await views.partition(z.coerce.number().int().parse(c.req.param('id')))) as object),
  );
  app.get('/api/heat', async (c) => {
    const { rows, ...range } = heatQuery.parse(c.req.query());
    if (range.last < range.first || range.toMs <= range.fromMs)
      return c.json({ error: 'an empty range was asked for' }, 400);
    const { levels, ...shape } = await views.heat({ ...range, rowsMax: rows });
    c.header('X-Foreshard-Heat', JSON.stringify(shape));
    return c.body(levels as Uint8Array<ArrayBuffer>, 200, { 'Content-Type': 'application/octet-stream' });
  });
  serveEvents(app, components);
  for (const [name, schema] of Object.entries(actionSchemas))
    app.post(`/api/${name}`, async (c) => {
      const order = schema.parse(await bodyOf(c.req.raw));
      const act = components.actions[name as keyof Actions] as (given: typeof order) => Promise<string>;
      return c.json({ message: await act(order) });
    });

  app.notFound((c) => c.json({ error: 'there is no such page' }, 404));
  app.onError((error, c) => {
    if (error instanceof z.ZodError) return c.json({ error: z.prettifyError(error) }, 400);
    if (!(error instanceof ForeshardError)) throw error;
    return c.json({ error: error.message, code: error.code }, error.code === 'FORESHARD_CONFIG' ? 400 : 409);
  });
  return app;
}

/**
 * Browsers send the cookies of a host to all of its ports: without the port in the name, two dashboards of one machine would log each
 * other out. It is the port that the browser knows, which may be that of a tunnel.
 */
const cookieName = (c: Context): string =>
  `foreshard_session_${/:(\d+)$/.exec(c.req.header('host') ?? '')?.[1] ?? '80'}`;

/** @throws ForeshardError FORESHARD_CONFIG for a body that is too large or no JSON. */
async function bodyOf(request: Request): Promise<unknown> {
  const length = Number(request.headers.get('content-length') ?? Number.NaN);
  if (!(length <= BODY_BYTES_MAX))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `a body has a length, of ${BODY_BYTES_MAX} bytes at most`,
    );
  try {
    return JSON.parse(await request.text());
  } catch (cause) {
    throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', 'the body is no JSON', { cause });
  }
}

/** Tells pages that something has changed, not what: they ask for what they show. */
function serveEvents(app: Hono<Variables>, { metadata, clusterName, sessions }: DashboardComponents): void {
  let open = 0;
  const openOf = new WeakMap<Session, number>();
  app.get('/api/events', (c) => {
    const session = c.get('session');
    const isOver = (): boolean => sessions.find(getCookie(c, cookieName(c))) !== session;
    if (open >= STREAMS_MAX || (openOf.get(session) ?? 0) >= STREAMS_A_SESSION_MAX)
      return c.json({ error: 'too many pages are open' }, 503);
    const count = (by: number): void => {
      open += by;
      openOf.set(session, (openOf.get(session) ?? 0) + by);
    };
    return streamSSE(c, async (stream) => {
      count(1);
      const changed = new Set<string>();
      let wake: () => void = () => {};
      const unwatch = WATCHED.map((folder) =>
        metadata.watch(`${clusterRoot(clusterName)}${folder}/`, () => {
          changed.add(folder);
          wake();
        }),
      );
      stream.onAbort(() => wake());
      try {
        while (!stream.aborted) {
          await new Promise<void>((resolve) => {
            wake = resolve;
            setTimeout(resolve, KEEP_ALIVE_MS).unref();
          });
          if (isOver()) break;
          if (changed.size > 0) await stream.sleep(QUIET_MS);
          const what = [...changed].sort();
          changed.clear();
          await stream.writeSSE({ event: 'changed', data: JSON.stringify(what) });
        }
      } finally {
        for (const end of unwatch) end();
        count(-1);
      }
    });
  });
}
