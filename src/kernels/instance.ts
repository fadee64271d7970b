import { instantiateSync } from '@assemblyscript/loader';
import { InvariantError } from '../base/errors.ts';
import { Arena } from './arena.ts';
import { type KernelBuild, readKernelBytes } from './bytes.ts';
import type { KernelExports } from './exports.ts';
import { assertSameLayout } from './layout.ts';

/**
 * 512 MiB in 64 KiB pages; asconfig.json says the same. Reserved address space only: a page that nobody touches costs
 * nothing. The largest user is the forecaster, with about 270 MiB for 16,384 partitions. Fixed, because growing would
 * detach every view.
 */
export const MEMORY_PAGES = 8192;

/** One instance of the kernels on a memory it may share with other threads. */
export interface KernelInstance {
  readonly exports: KernelExports;
  readonly memory: WebAssembly.Memory;
}

/** The kernels of this thread: the compiled module, its memory, the owner of that memory, and an instance to call. */
export interface Kernels extends KernelInstance {
  readonly module: WebAssembly.Module;
  readonly arena: Arena;
  readonly build: KernelBuild;
  readonly hash: string;
}

/** Compiles the chosen build (default: `FORESHARD_KERNELS`, else release) and gives it a fresh shared memory. */
export function loadKernels(options: { readonly build?: KernelBuild } = {}): Kernels {
  const { build, bytes, hash } = readKernelBytes(options.build);
  const module = new WebAssembly.Module(bytes);
  const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true });
  const { exports } = instantiateKernels(module, memory);
  return {
    module,
    memory,
    exports,
    build,
    hash,
    arena: new Arena(memory, exports.layoutHeapBase(), exports.clear),
  };
}

/** Another instance on the same memory: what each worker does. Constants are written again, with the same bytes. */
export function instantiateKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): KernelInstance {
  const { exports } = instantiateSync<Record<string, unknown>>(module, {
    env: {
      memory,
      abort(message: number, file: number, line: number, column: number): void {
        const textAt = (pointer: number): string => readString(memory, pointer);
        throw new InvariantError(`kernel: ${textAt(message) || 'abort'} (${textAt(file)}:${line}:${column})`);
      },
    },
  });
  const kernelExports = exports as unknown as KernelExports;
  assertSameLayout(kernelExports);
  return { exports: kernelExports, memory };
}

/** An AssemblyScript string: UTF-16, its size in bytes in the 32 bits before it; 0 is none. */
function readString(memory: WebAssembly.Memory, pointer: number): string {
  if (pointer === 0) return '';
  const sizeBytes = new DataView(memory.buffer).getUint32(pointer - 4, true);
  // A copy, since TextDecoder and fromCharCode should not look at shared bytes.
  const units = new Uint16Array(memory.buffer, pointer, sizeBytes >>> 1).slice();
  return String.fromCharCode(...units);
}
