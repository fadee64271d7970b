import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Several nodes may make the same folders at once, so what was missing may be there at the next try. */
const TRIES_MAX = 3;

/**
 * Makes a folder and those above it that are missing, readable by their owner only.
 *
 * Not Node's own recursive mkdir: where the file system says ENOENT though the parent is there, as /proc does, that tries for
 * ever, in native code that no signal interrupts.
 *
 * @throws the system's error when it cannot be made, or is there and no folder.
 */
export function makeFolder(path: string): void {
  for (let tries = 1; ; tries++) {
    try {
      mkdirSync(path, { mode: 0o700 });
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST' && statSync(path).isDirectory()) return;
      if (code !== 'ENOENT' || tries === TRIES_MAX || dirname(path) === path) throw error;
      makeFolder(dirname(path));
    }
  }
}
