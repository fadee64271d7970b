import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Where a fault that reached the process came from, by the innermost stack frame that tells.
 *
 * `engine`: the storage engine, whose state is not to be trusted any more. `node`: the rest of a database node.
 * `built-in`: Foreshard's own plugin. `plugin`: a module of `plugin.modules`, one of `files`. `unknown`: no frame of ours or
 * theirs, such as a thrown string or an error that only Node's own code has seen.
 */
export type FaultOrigin =
  | { readonly kind: 'engine' | 'node' | 'built-in' | 'unknown' }
  | { readonly kind: 'plugin'; readonly files: readonly string[] };

/** Folder of the sources, or `dist`: the stack frames of both name files below it. */
const OWN_ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..') + sep;

/** Foreshard's own plugin, from OWN_ROOT on: capture and analysis on a query node, the migration agent on a storage node. */
const BUILT_IN =
  /^(plugin\/(index\.|capture\/|threads\/|host\/query-node-plugin\.|engines\/migration-agent\/)|src\/(affinity|analyzer|kernels|migration)\/)/;
const ENGINE = /^plugin\/engines\//;
const ENGINE_LIBRARY = /\/node_modules\/lmdb\//;

/** `at f (file:///a/b.js:1:2)`, `at async file:///a/b.js:1:2`, `at /a/b.js:1:2`. */
const FRAME = /^\s+at .*?\(?((?:file:\/\/|\/|[A-Za-z]:[\\/])[^()]*?):\d+:\d+\)?$/;

/**
 * @param pluginFiles of the modules that were loaded, absolute. A frame in another file of a module's folder counts as that
 *   module's; one in a package that it uses counts for nobody.
 */
export function faultOrigin(fault: unknown, pluginFiles: readonly string[]): FaultOrigin {
  let isOfNode = false;
  for (const file of stackFiles(fault)) {
    const exact = pluginFiles.filter((own) => own === file);
    if (exact.length > 0) return { kind: 'plugin', files: exact };
    if (ENGINE_LIBRARY.test(file)) return { kind: 'engine' };
    const path = pathFromOwnRoot(file);
    if (path !== null) {
      if (BUILT_IN.test(path)) return { kind: 'built-in' };
      if (ENGINE.test(path)) return { kind: 'engine' };
      // Looked through: a plugin that hands the node's own code nonsense stands further out in the stack.
      isOfNode = true;
      continue;
    }
    const near = pluginFiles.filter((own) => isBeside(own, file));
    if (near.length > 0) return { kind: 'plugin', files: near };
  }
  return { kind: isOfNode ? 'node' : 'unknown' };
}

/** Innermost first. */
function stackFiles(fault: unknown): string[] {
  const stack = fault instanceof Error ? fault.stack : undefined;
  if (typeof stack !== 'string') return [];
  return stack.split('\n').flatMap((line) => {
    const place = FRAME.exec(line)?.[1]?.replace(/\?.*$/, '');
    if (place === undefined) return [];
    return [place.startsWith('file:') ? fileURLToPath(place) : place];
  });
}

function pathFromOwnRoot(file: string): string | null {
  if (!file.startsWith(OWN_ROOT)) return null;
  const path = file.slice(OWN_ROOT.length).replaceAll('\\', '/');
  return /^(plugin|src)\//.test(path) ? path : null;
}

function isBeside(pluginFile: string, file: string): boolean {
  const folder = dirname(pluginFile) + sep;
  return file.startsWith(folder) && !file.slice(folder.length).includes(`node_modules${sep}`);
}
