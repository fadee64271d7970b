/** Where things are, for suites that run from their sources as well as built, under `dist/test`. */
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const isBuilt = import.meta.url.endsWith('.js');

export const REPOSITORY = fileURLToPath(new URL(isBuilt ? '../../..' : '../..', import.meta.url));

/** A file that is no module: a page, an example. @param path from the top of the repository. */
export const repositoryFile = (path: string): string => join(REPOSITORY, path);

/** A module as it runs here: its source, or what was built of it. @param path of its source, from the top of the repository. */
export const moduleFile = (path: string): string =>
  repositoryFile(isBuilt ? `dist/${path.replace(/\.ts$/, '.js')}` : path);

export const moduleUrl = (path: string): URL => pathToFileURL(moduleFile(path));

/** What node needs to run sources: nothing where they are built. */
export const loaderFlags: readonly string[] = isBuilt ? [] : ['--import', import.meta.resolve('tsx')];

/** Arguments of node that run a module of the repository in a process of its own. */
export const nodeArguments = (path: string, ...more: readonly string[]): string[] => [
  ...loaderFlags,
  moduleFile(path),
  ...more,
];

/** The command line of foreshard, as arguments of node. */
export const foreshardArguments = (...args: readonly string[]): string[] =>
  nodeArguments('plugin/operator/cli.ts', ...args);
