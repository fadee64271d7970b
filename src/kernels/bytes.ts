// The one file of the core that reads from disk: the Wasm bytes that were built beside it.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ForeshardError } from '../base/errors.ts';

export type KernelBuild = 'debug' | 'release';

export interface KernelBytes {
  readonly build: KernelBuild;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The first 16 hex digits of SHA-256: recorded with whatever the kernels decided. */
  readonly hash: string;
}

// The root stands two folders up from src/kernels (tsx) and three up from dist/src/kernels (compiled).
const ROOTS = ['../../', '../../../'];

/**
 * @throws ForeshardError FORESHARD_CONFIG when `FORESHARD_KERNELS` is neither debug nor release, when nothing was built, or when
 *   the build is older than its sources.
 */
export function readKernelBytes(build: KernelBuild = buildFromEnvironment()): KernelBytes {
  const candidates = ROOTS.map((root) => ({
    path: fileURLToPath(new URL(`${root}build/kernels.${build}.wasm`, import.meta.url)),
    sources: fileURLToPath(new URL(`${root}assembly`, import.meta.url)),
  }));
  const found = candidates.find(({ path }) => existsSync(path));
  if (found === undefined)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `no kernels at ${candidates.map(({ path }) => path).join(' or ')}: run \`npm run build\``,
    );
  const { path, sources } = found;
  const newer = sourceNewerThan(path, sources);
  if (newer !== undefined)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `${path} is older than assembly/${newer}: run \`npm run build\``,
    );
  const bytes = new Uint8Array(readFileSync(path));
  return { build, bytes, hash: createHash('sha256').update(bytes).digest('hex').slice(0, 16) };
}

/**
 * As `make` does it, since a stale build computes nonsense without a word. An installed package has the build alone, and
 * nothing to compare it with.
 *
 * @returns the name of one source that was written after the build, if any was.
 */
export function sourceNewerThan(build: string, sources: string): string | undefined {
  if (!existsSync(sources)) return undefined;
  const builtMs = statSync(build).mtimeMs;
  const newerIn = (folder: string): string | undefined => {
    for (const entry of readdirSync(`${sources}/${folder}`, { withFileTypes: true })) {
      const path = `${folder}${entry.name}`;
      const newer = entry.isDirectory()
        ? newerIn(`${path}/`)
        : path.endsWith('.ts') && statSync(`${sources}/${path}`).mtimeMs > builtMs && path;
      if (newer) return newer;
    }
    return undefined;
  };
  return newerIn('');
}

function buildFromEnvironment(): KernelBuild {
  const chosen = process.env.FORESHARD_KERNELS ?? 'release';
  if (chosen === 'debug' || chosen === 'release') return chosen;
  throw new ForeshardError(
    'FORESHARD_CONFIG',
    'fix-config',
    `FORESHARD_KERNELS must be debug or release, got ${JSON.stringify(chosen)}`,
  );
}
