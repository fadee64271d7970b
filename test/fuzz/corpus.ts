import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The inputs kept for a target: examples to start from, and what has been found once. */
export function readCorpus(repository: string, target: string): Buffer[] {
  const folder = join(repository, 'test/fuzz/corpus', target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => readFileSync(join(folder, name)));
}
