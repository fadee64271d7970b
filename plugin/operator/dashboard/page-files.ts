import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PAGE_HTML, PAGE_STYLE } from './page-shell.ts';

export interface PageFile {
  readonly type: string;
  readonly body: string;
}

/** Compiled, as it is installed; or the sources, where the project runs from them. */
const IS_COMPILED = import.meta.url.endsWith('.js');

/**
 * What a browser is served, by path: all of it in memory, so that no request names a file. From sources the page's modules
 * are stripped of their types here; an installed package holds them compiled, and needs no build.
 */
export async function loadPageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const extension = IS_COMPILED ? '.js' : '.ts';
  const folder = new URL('./page/', import.meta.url);
  const files = new Map<string, PageFile>([
    [
      '/',
      { type: 'text/html; charset=utf-8', body: PAGE_HTML.replaceAll('APP_MODULE', `/page/app${extension}`) },
    ],
    ['/page/style.css', { type: 'text/css; charset=utf-8', body: PAGE_STYLE }],
  ]);
  for (const name of readdirSync(fileURLToPath(folder))) {
    if (!name.endsWith(extension) || name.endsWith('.d.ts')) continue;
    const source = readFileSync(new URL(name, folder), 'utf8');
    const body = IS_COMPILED
      ? source.replace(/^\/\/# sourceMappingURL=.*$/m, '')
      : await withoutTypes(source);
    files.set(`/page/${name}`, { type: 'text/javascript; charset=utf-8', body });
  }
  return files;
}

async function withoutTypes(source: string): Promise<string> {
  const { transform } = await import('esbuild');
  const { code } = await transform(source, { loader: 'ts', target: 'es2022' });
  return code;
}
