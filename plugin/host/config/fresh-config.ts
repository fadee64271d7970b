import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * Reads a config file of the kinds that c12 asks Node for: JSON and modules. Node hands out what it has read before for as long
 * as the process lives, so that a reload would never see a change.
 *
 * @returns what the file says; undefined for the kinds that are read anew in any case, and for what only c12 can read.
 * @throws SyntaxError with the position for JSON that is none; what a module throws.
 */
export async function readFresh(file: string): Promise<unknown> {
  const extension = extname(file);
  if (extension === '.json') return JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, ''));
  if (extension !== '.mjs' && extension !== '.js') return undefined;
  // One that is CommonJS is kept by its path.
  delete createRequire(file).cache[file];
  try {
    const { default: exported } = (await import(versionOf(file))) as { readonly default: unknown };
    return typeof exported === 'function' ? await exported({}) : exported;
  } catch (error) {
    // A `.js` file may be written in either module system: c12 finds out which.
    if (error instanceof SyntaxError || error instanceof ReferenceError) return undefined;
    throw error;
  }
}

/** Modules are known by their address. What the file imports is read once all the same. */
function versionOf(file: string): string {
  const { mtimeMs, size } = statSync(file);
  return `${pathToFileURL(file).href}?version=${mtimeMs}-${size}`;
}
