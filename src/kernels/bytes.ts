// The one file of the core that reads from disk: the Wasm bytes that were built beside it.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ForeshardError } from '../base/errors.ts';

export type KernelBuild = 'debug' | 'release';

export interface KernelBytes {
  readonly build: KernelBuild;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The first 16 hex digits of SHA-256: recorded with whatever the kernels decided. */
  readonly hash: string;
}

// build/ stands two folders up from src/kernels (tsx) and three up from dist/src/kernels (compiled).
const BUILD_FOLDERS = ['../../build/', '../../../build/'];

/** @throws ForeshardError FORESHARD_CONFIG when `FORESHARD_KERNELS` is neither debug nor release, or nothing was built. */
export function readKernelBytes(build: KernelBuild = buildFromEnvironment()): KernelBytes {
  const candidates = BUILD_FOLDERS.map((folder) =>
    fileURLToPath(new URL(`${folder}kernels.${build}.wasm`, import.meta.url)),
  );
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `no kernels at ${candidates.join(' or ')}: run \`npm run build:wasm\``,
    );
  const bytes = new Uint8Array(readFileSync(path));
  return { build, bytes, hash: createHash('sha256').update(bytes).digest('hex').slice(0, 16) };
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
