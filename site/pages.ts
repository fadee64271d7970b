/** The pages of the documentation site, by path: those of `docs/`, and those that are made from the commands and the settings. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandPages } from './command-pages.ts';
import { settingsPage } from './settings-page.ts';

const isBuilt = import.meta.url.endsWith('.js');
export const REPOSITORY = fileURLToPath(new URL(isBuilt ? '../..' : '..', import.meta.url));

export interface Group {
  readonly text: string;
  readonly items: readonly { readonly text: string; readonly link: string }[];
}

/** What stands in the side bar, and in what order; what is not named here comes last. */
const ORDER: readonly (readonly [group: string, pages: readonly string[]])[] = [
  ['Begin', ['quick-start', 'glossary', 'architecture', 'backtest', 'logs']],
  [
    'Run it',
    ['deployment', 'tuning', 'troubleshooting', 'dashboard', 'security', 'redis', 'node', 'metadata', 'host'],
  ],
  [
    'How it works',
    [
      'analyzer',
      'forecasting',
      'seasons',
      'patterns',
      'affinity',
      'placement',
      'optimisers',
      'plan',
      'migration',
      'storage',
      'protocol',
      'kernels',
      'reliability',
    ],
  ],
  ['Extend it', ['engine-adapter', 'features', 'roadef']],
];

export function markdownOfDocs(): Map<string, string> {
  const folder = join(REPOSITORY, 'docs');
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.md'),
  );
  return new Map(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

/** Path below the site's root -> Markdown. */
export function sitePages(): Map<string, string> {
  const docs = markdownOfDocs();
  const readme = readFileSync(join(REPOSITORY, 'README.md'), 'utf8');
  const sources = new Map([...docs].map(([path, text]) => [`docs/${path}`, text]));
  sources.set('README.md', readme);
  const known = new Set(sources.keys());
  const written = [...sources].map(
    ([path, text]) => [sitePathOf(path), withSiteLinks(text, path, known)] as const,
  );
  return new Map([
    ...written,
    ...commandPages([...docs, ['README.md', readme]]),
    ['settings.md', settingsPage(docs)],
  ]);
}

const sitePathOf = (path: string): string =>
  path === 'README.md' ? 'index.md' : path.replace(/^docs\//, '');

/** Of a link that leads to no page of the site only its text is left: there is nowhere to lead. */
function withSiteLinks(markdown: string, page: string, known: ReadonlySet<string>): string {
  // Marks for scripts would be shown as text.
  return markdown
    .replace(/<!--.*?-->\n?/g, '')
    .replace(/\[([^\]]*)\]\(([^)\s]+)\)/g, (whole, text: string, link: string) => {
      if (/^(?:[a-z]+:|#)/.test(link)) return whole;
      const [file = '', anchor] = link.split('#');
      const target = posix.join(posix.dirname(page), file);
      const isPicture = target.startsWith('docs/images/');
      if (!isPicture && !known.has(target)) return text;
      const path = posix.relative(posix.dirname(sitePathOf(page)), sitePathOf(target));
      return `[${text}](./${path}${anchor === undefined ? '' : `#${anchor}`})`;
    });
}

export function sideBar(pages: ReadonlyMap<string, string>): Group[] {
  const titleOf = (path: string): string =>
    /^# (.+)$/m.exec(pages.get(`${path}.md`) ?? '')?.[1]?.replaceAll('`', '') ?? path;
  const item = (path: string) => ({ text: titleOf(path), link: `/${path.replace(/index$/, '')}` });
  const named = new Set(ORDER.flatMap(([, paths]) => paths));
  const paths = [...pages.keys()].map((path) => path.replace(/\.md$/, '')).sort();
  const isBelow = (folder: string) => (path: string) =>
    path.startsWith(`${folder}/`) && path !== `${folder}/index`;
  const rest = paths.filter(
    (path) => !path.includes('/') && !named.has(path) && path !== 'index' && path !== 'settings',
  );
  return [
    ...ORDER.map(([text, own]) => ({ text, items: own.filter((path) => pages.has(`${path}.md`)).map(item) })),
    {
      text: 'Reference',
      items: [item('settings'), item('commands/index'), ...paths.filter(isBelow('commands')).map(item)],
    },
    { text: 'Decisions', items: paths.filter(isBelow('decisions')).map(item) },
    ...(rest.length === 0 ? [] : [{ text: 'More', items: rest.map(item) }]),
  ];
}
