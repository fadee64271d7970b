import { createRequire } from 'node:module';

/** Of the package, from the nearest package.json: beside the sources, or one folder above `dist`. */
export function packageVersion(): string {
  const require = createRequire(import.meta.url);
  for (const path of ['../package.json', '../../package.json'])
    try {
      const { name, version } = require(path) as { name: string; version: string };
      if (name === 'foreshard') return version;
    } catch {
      // not at this depth
    }
  return 'unknown';
}
