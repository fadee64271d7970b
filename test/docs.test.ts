/** What the pages say about files, settings and plugins must go on being so. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { COMMANDS } from '../plugin/commands/table.ts';
import { QueryNodeHost } from '../plugin/host/host.ts';
import { loadPlugins } from '../plugin/host/load-plugins.ts';
import { VirtualClock } from '../src/base/clock.ts';
import { silentLogger } from '../src/base/logger.ts';
import type { MetadataStore } from '../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS } from '../src/settings.ts';
import { REPOSITORY } from './support/repository.ts';
import { withTemporaryFolder } from './support/temporary-folder.ts';

const test = suite('docs');

const pages = [
  'README.md',
  ...readdirSync(join(REPOSITORY, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => join('docs', path)),
];
const readPage = (path: string): string => readFileSync(join(REPOSITORY, path), 'utf8');

const withoutCode = (markdown: string): string =>
  markdown.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');

/** The anchors of a page's headings, by GitHub's rule. */
function anchorsOf(markdown: string): Set<string> {
  const headings = markdown.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.+)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('every relative link leads to a file, and to a heading where it names one', () => {
  const broken: string[] = [];
  let linkCount = 0;
  for (const page of pages)
    for (const [, link = ''] of withoutCode(readPage(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      linkCount++;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? page : relative(REPOSITORY, resolve(REPOSITORY, dirname(page), file));
      if (!existsSync(join(REPOSITORY, target))) broken.push(`${page}: ${link}`);
      else if (anchor !== undefined && !anchorsOf(readPage(target)).has(anchor))
        broken.push(`${page}: ${link}: no such heading`);
    }
  check.equal(broken, []);
  check.ok(linkCount > 0, 'links were found at all');
});

test('every test that the page on security names is there', () => {
  const table = readPage('docs/security.md').split('## What is tested')[1]?.split('\n## ')[0] ?? '';
  const rows = [...table.matchAll(/^\| (?!default|-)[^|]+\| ([^|]+) \|$/gm)];
  check.ok(rows.length > 15, `${rows.length} rows`);
  const missing = rows.flatMap(([, tests = '']) =>
    [...tests.matchAll(/`(test\/[a-z/-]+\.test\.ts)`: (.+?)(?=; `test\/|$)/g)].flatMap(
      ([, file = '', names = '']) => {
        const source = readFileSync(join(REPOSITORY, file), 'utf8');
        return names
          .split(/; /)
          .filter((name) => !source.includes(name))
          .map((name) => `${file}: ${name}`);
      },
    ),
  );
  check.equal(missing, []);
});

/** Text of all sources below a folder. */
const sourcesBelow = (folder: string): string =>
  readdirSync(join(REPOSITORY, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(join(REPOSITORY, folder, path), 'utf8'))
    .join('\n');

test('what the page on troubleshooting quotes, the program says', () => {
  const code = sourcesBelow('src') + sourcesBelow('plugin');
  const rows = [...readPage('docs/troubleshooting.md').matchAll(/^\| ([^|]*`[^|]*) \|/gm)];
  const quoted = rows.flatMap(([, said = '']) =>
    [...said.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text),
  );
  check.ok(quoted.length > 15, `${quoted.length} quotes`);
  // An ellipsis stands for what differs from case to case, before a colon stands what is spoken of; the name of a command is no quote.
  const unsaid = quoted
    .filter((text) => !text.startsWith('foreshard '))
    .flatMap((text) => text.split(/…|:(?= |$)/).map((part) => part.trim()))
    .filter((part) => part.length > 2 && !code.includes(part));
  check.equal(unsaid, []);
});

test('no page waits for something to be filled in', () => {
  const placeholder = /^[A-Z]*-?TABLE$|\b(RUNTIME|TODO|TBD|FIXME|XXX)\b/m;
  check.equal(
    pages.filter((page) => placeholder.test(readPage(page))),
    [],
  );
});

test('every file of the repository that a page names is there', () => {
  const missing: string[] = [];
  for (const page of pages)
    for (const [, path = ''] of readPage(page).matchAll(
      /`((?:src|plugin|assembly|test|bench|examples|docs)\/[\w./-]+)`/g,
    ))
      if (!existsSync(join(REPOSITORY, path))) missing.push(`${page}: ${path}`);
  check.equal(missing, []);
});

/** Rows such as | `capture.ringSlots` | `65536` | … of all pages. */
function settingRows(): { page: string; setting: string; printed: string }[] {
  return pages.flatMap((page) =>
    [...readPage(page).matchAll(/^\| `([a-z]+(?:\.[a-zA-Z]+)+)` \| `([^`]+)` \|/gm)].map(
      ([, setting = '', printed = '']) => ({ page, setting, printed }),
    ),
  );
}

function leavesOf(tree: object, path = ''): [setting: string, standard: unknown][] {
  return Object.entries(tree).flatMap(([key, value]): [string, unknown][] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? leavesOf(value, `${path}${key}.`)
      : [[`${path}${key}`, value]],
  );
}

test('every setting stands in exactly one table, with the default it has', () => {
  const rows = settingRows();
  const wrong: string[] = [];
  const standards = new Map(leavesOf(DEFAULT_SETTINGS));
  for (const { page, setting, printed } of rows) {
    if (!standards.has(setting)) wrong.push(`${page}: there is no setting ${setting}`);
    else if (JSON.stringify(JSON.parse(printed)) !== JSON.stringify(standards.get(setting)))
      wrong.push(`${page}: ${setting} is ${JSON.stringify(standards.get(setting))}, not ${printed}`);
  }
  for (const setting of standards.keys()) {
    const found = rows.filter((row) => row.setting === setting).map(({ page }) => page);
    if (found.length !== 1) wrong.push(`${setting} stands in ${found.join(' and ') || 'no table'}`);
  }
  check.equal(wrong, []);
});

test('the page of the node names every command that clients may send', () => {
  const node = readPage('docs/node.md');
  const missing = COMMANDS.filter(({ spread }) => spread !== 'partition')
    .map(({ name }) => name)
    .filter((name) => !new RegExp(`\`${name}( 0)?\``).test(node));
  check.equal(missing, []);
});

test('the page of the host names every command of the command line', () => {
  const folder = join(REPOSITORY, 'plugin/operator');
  const source = (readdirSync(folder, { recursive: true }) as string[])
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
  const commands = [...source.matchAll(/\.command\('([a-z-]+)'\)/g)].map(([, name = '']) => name);
  const page = readPage('docs/host.md').split('## Command line')[1] ?? '';
  check.ok(commands.length > 5, 'commands were found at all');
  check.equal(
    commands.filter((name) => !new RegExp(`\\b${name}\\b`).test(page)),
    [],
  );
});

test('no two decisions have the same number', () => {
  const numbers = readdirSync(join(REPOSITORY, 'docs/decisions')).map((name) => name.split('-')[0]);
  check.ok(numbers.length > 0, 'decisions were found at all');
  check.equal(
    numbers.filter((number, i) => numbers.indexOf(number) !== i),
    [],
  );
});

test('the example plugin of the page of the host loads, counts and lets go', async () => {
  const [, example = ''] = readPage('docs/host.md').match(/^```js\n([\s\S]*?)^```/m) ?? [];
  await withTemporaryFolder(async (folder) => {
    const module = join(folder, 'count-slow.mjs');
    writeFileSync(module, example);
    const host = new QueryNodeHost(silentLogger);
    await host.attachAll(await loadPlugins([module]), {
      settings: DEFAULT_SETTINGS,
      nodeId: 10_000,
      clock: new VirtualClock(),
      logger: silentLogger,
      metadata: {} as MetadataStore, // the example looks at none
    });
    check.equal(host.attachedNames, ['count-slow']);
    host.hooks.onQueryCompleted?.(12, 0, 0, 1, new Uint8Array(1), 0, 1, 20_000, 10, 10, 0);
    check.is(host.faultCount, 0);
    await host.close();
    check.is(host.hooks.onQueryCompleted, null);
  });
});

test.run();
