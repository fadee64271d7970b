import type { KernelExports, Pointer } from './exports.ts';

/** What a job works with, on whichever thread it runs. */
export interface JobContext {
  readonly exports: KernelExports;
  /** The whole kernel memory. A job makes views on it; nothing but pointers crosses threads. */
  readonly buffer: ArrayBufferLike;
  /** Poll it between chunks of about 10 ms; return early, with what there is, once it is true. */
  isCancelled(): boolean;
  /** Any i32 that tells the caller how far the job is. */
  reportProgress(value: number): void;
  /** i32[2] in kernel memory: cancel flag, progress. For kernels that poll by themselves. */
  readonly controlPointer: Pointer;
}

/** A unit of work for a kernel worker: at least 5 ms of it, or the hand-over costs more than it gains. */
export interface Job<JobInput, JobOutput> {
  /** Must only use parameters and results that structured clone can copy: pointers, scalars, small objects. */
  run(context: JobContext, parameters: JobInput): JobOutput;
  /**
   * Called once when a worker starts, with a zeroed scratch block of SCRATCH_BYTES of its own. V8 cannot replace a
   * running Wasm function, so call each kernel here a few times on small input: the first real call is optimised then.
   */
  warmUp?(context: JobContext, scratch: { readonly pointer: Pointer; readonly sizeBytes: number }): void;
}

export const SCRATCH_BYTES = 1 << 20;

/** Offsets of the control words, in i32. */
export const CONTROL_CANCEL = 0;
export const CONTROL_PROGRESS = 1;
export const CONTROL_WORDS = 4;

/** The control words as a context's methods. `controlPointer` 0 means nobody listens and nobody cancels. */
export function jobContext(
  exports: KernelExports,
  buffer: ArrayBufferLike,
  controlPointer: Pointer,
): JobContext {
  const control = new Int32Array(buffer, controlPointer, CONTROL_WORDS);
  return {
    exports,
    buffer,
    controlPointer,
    isCancelled: () => controlPointer !== 0 && Atomics.load(control, CONTROL_CANCEL) !== 0,
    reportProgress(value) {
      if (controlPointer !== 0) Atomics.store(control, CONTROL_PROGRESS, value);
    },
  };
}
