/** `npm run docs`: assembles the pages, has VitePress and TypeDoc make a site of them. It lies in build/site/html. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { REPOSITORY, sideBar, sitePages } from './pages.ts';

const SITE = join(REPOSITORY, 'site');
const OUTPUT = join(REPOSITORY, 'build/site');

function assemble(): number {
  rmSync(OUTPUT, { recursive: true, force: true });
  const pages = sitePages();
  for (const [path, markdown] of pages) {
    const file = join(OUTPUT, 'pages', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, markdown);
  }
  cpSync(join(REPOSITORY, 'docs/images'), join(OUTPUT, 'pages/images'), { recursive: true });
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
