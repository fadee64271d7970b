import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { instantiateSync } from '@assemblyscript/loader';
import { ForeshardError, InvariantError } from '../../src/base/errors.ts';
import { Arena } from '../../src/kernels/arena.ts';
import { sourceNewerThan } from '../../src/kernels/bytes.ts';
import type { Pointer } from '../../src/kernels/exports.ts';
import { layOut } from '../../src/kernels/search-layout.ts';
import { ROADEF_FIELDS } from './layout.ts';

/** assembly/roadef/index.ts */
export interface RoadefExports {
  layoutHeapBase(): Pointer;
  roadefBlockBytes(): number;
  /** Takes `owner` as it stands, which has to be legal, and starts the best map there. */
  roadefReset(block: Pointer): void;
  /** @returns proposals accepted since the reset. */
  roadefRun(block: Pointer, iterations: number): number;
  /** Change of the cost if p went to machine b and q (or the null process) from there to c; Infinity if that is never made. */
  roadefDelta(block: Pointer, p: number, q: number, b: number, c: number): number;
  roadefApply(block: Pointer, p: number, q: number, b: number, c: number): void;
}

export interface RoadefKernel {
  readonly exports: RoadefExports;
  readonly memory: WebAssembly.Memory;
}

export type RoadefBuild = 'debug' | 'release';

/** 512 MiB of address space, as asconfig.json says; the largest instance touches about 20. */
const MEMORY_PAGES = 8192;

// The root stands two folders up from bench/roadef (tsx) and three up from dist/bench/roadef (compiled).
const ROOTS = ['../../', '../../../'];

/** @throws ForeshardError FORESHARD_CONFIG when nothing was built, or the build is older than its sources. */
export function compileRoadef(build: RoadefBuild = 'release'): WebAssembly.Module {
  const candidates = ROOTS.map((root) => fileURLToPath(new URL(root, import.meta.url)));
  const root = candidates.find((candidate) => existsSync(pathIn(candidate, build)));
  const why =
    root === undefined
      ? `no kernel at ${candidates.map((candidate) => pathIn(candidate, build)).join(' or ')}`
      : staleness(pathIn(root, build), `${root}assembly/roadef`);
  if (root === undefined || why !== undefined)
    throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', `${why}: run \`npm run build:wasm\``);
  return new WebAssembly.Module(readFileSync(pathIn(root, build)));
}

const pathIn = (root: string, build: RoadefBuild): string => `${root}build/bench/roadef.${build}.wasm`;

function staleness(path: string, sources: string): string | undefined {
  const newer = sourceNewerThan(path, sources);
  return newer === undefined ? undefined : `${path} is older than assembly/roadef/${newer}`;
}

/** A fresh memory that threads may share, and the owner of it. */
export function createRoadefMemory(module: WebAssembly.Module): RoadefKernel & { readonly arena: Arena } {
  const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true });
  const kernel = instantiateRoadef(module, memory);
  return { ...kernel, arena: new Arena(memory, kernel.exports.layoutHeapBase()) };
}

/** Another instance on the same memory: what each worker does. */
export function instantiateRoadef(module: WebAssembly.Module, memory: WebAssembly.Memory): RoadefKernel {
  const { exports } = instantiateSync<Record<string, unknown>>(module, {
    env: {
      memory,
      abort(_message: number, _file: number, line: number, column: number): void {
        throw new InvariantError(`kernel: an assertion failed at assembly/roadef ${line}:${column}`);
      },
    },
  });
  const roadefExports = exports as unknown as RoadefExports;
  if (roadefExports.roadefBlockBytes() !== layOut(ROADEF_FIELDS).bytes)
    throw new InvariantError('the kernel has another layout: run `npm run build:wasm`');
  return { exports: roadefExports, memory };
}
