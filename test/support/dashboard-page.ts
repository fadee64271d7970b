/** The dashboard's page in Debian's Chromium, and what is asked of it in every test. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Locator, type Page } from 'playwright-core';

export const CHROMIUM = '/usr/bin/chromium';
export const DASHBOARD_TOKEN = 'a-token-for-this-test-only';
/** The largest answer that the dashboard may give. */
const RESPONSE_BYTES_MAX = 2 ** 20;

export const launchChromium = () => chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });

export interface OpenPage {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Errors of the page, and answers that are too large. */
  readonly faults: string[];
  /** Bytes of each answer, by path. */
  readonly sizes: Map<string, number>;
}

/** Resolves when everything is drawn for the first time. */
export async function openDashboardPage(
  browser: Awaited<ReturnType<typeof launchChromium>>,
  port: number,
  colorScheme: 'light' | 'dark' = 'light',
): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, colorScheme });
  const page = await context.newPage();
  const faults: string[] = [];
  const sizes = new Map<string, number>();
  page.on('response', async (response) => {
    const { pathname } = new URL(response.url());
    // The stream of events never ends.
    if (pathname === '/api/events') return;
    const { length } = await response.body().catch(() => Buffer.alloc(0));
    sizes.set(pathname, Math.max(length, sizes.get(pathname) ?? 0));
    if (length > RESPONSE_BYTES_MAX) faults.push(`${response.url()}: ${length} bytes`);
  });
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  await page.goto(`http://127.0.0.1:${port}/#token=${DASHBOARD_TOKEN}`);
  await page.waitForSelector('section[aria-label=migrations] h2');
  await page.waitForSelector('[data-draw-ms]');
  return { context, page, faults, sizes };
}

export const textOf = async (found: Locator): Promise<string> => (await found.textContent()) ?? '';

/**
 * Kept where `FORESHARD_SCREENSHOTS` names a folder.
 *
 * @param top what is to stand at the upper edge.
 */
export async function picture(page: Page, name: string, top = 'header'): Promise<void> {
  const folder = process.env.FORESHARD_SCREENSHOTS;
  if (!folder) return;
  await page.locator(top).evaluate((element: { scrollIntoView(): void }) => element.scrollIntoView());
  await page.screenshot({ path: join(folder, `dashboard-${name}.png`) });
}

/** Milliseconds until something was painted for the first time, and of the last drawing of the heat map. */
export async function timesOf(page: Page): Promise<{ readonly paintMs: number; readonly drawMs: number }> {
  const paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN";
  const drawMs = Number(await page.locator('[data-draw-ms]').getAttribute('data-draw-ms'));
  return { paintMs: Number(await page.evaluate(paint)), drawMs };
}

/** What axe finds that is serious or critical, with the first place of each. */
export async function seriousViolations(page: Page): Promise<string[]> {
  // The policy of the page forbids scripts of others; the browser's own tools may.
  await page.evaluate(`${createRequire(import.meta.url)('axe-core').source}; void 0`);
  const { violations } = (await page.evaluate('axe.run()')) as {
    violations: { id: string; impact: string; nodes: { html: string }[] }[];
  };
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}
