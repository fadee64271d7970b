/** `npm run docs`: assembles the pages, has VitePress and TypeDoc make a site of them. It lies in build/site/html. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { REPOSITORY, sideBar, sitePages } from './pages.ts';

const SITE = join(REPOSITORY, 'site');
const OUTPUT = join(REPOSITORY, 'build/site');
/** Below the tools' own packages: a page that has been compiled imports Vue, and looks for it upwards from where it lies. */
const PAGES = join(SITE, 'dist/pages');

function assemble(): number {
  for (const folder of [OUTPUT, PAGES]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(OUTPUT, { recursive: true });
  const pages = sitePages();
  for (const [path, markdown] of pages) {
    const file = join(PAGES, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, markdown);
  }
  cpSync(join(REPOSITORY, 'docs/images'), join(PAGES, 'images'), { recursive: true });
  writeFileSync(join(OUTPUT, 'sidebar.json'), JSON.stringify(sideBar(pages)));
  return pages.size;
}

/** A tool of site/node_modules; its failure is ours. */
function run(script: string, ...args: string[]): void {
  const { status } = spawnSync(process.execPath, [join(SITE, 'node_modules', script), ...args], {
    cwd: SITE,
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
}

const pageCount = assemble();
run('vitepress/bin/vitepress.js', 'build', '.');
run('typedoc/bin/typedoc', '--options', 'typedoc.json');
console.log(`${pageCount} pages and the API in ${join(OUTPUT, 'html')}`);
