// The entry of a kernel worker. No top-level await: Piscina loads it by `require` first.
import { workerData } from 'node:worker_threads';
import type { Pointer } from './exports.ts';
import { type Failure, failureOf } from './failure.ts';
import { instantiateKernels } from './instance.ts';
import { type Job, jobContext, SCRATCH_BYTES } from './job.ts';
import { jobs } from './jobs.ts';
import { yieldToOthers } from './niceness.ts';

/** What the pool hands to each worker at its start. */
export interface WorkerSetup {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** u32[1]: how many workers have started, to give each its own scratch block. */
  readonly startedPointer: Pointer;
  readonly scratchPointer: Pointer;
  readonly scratchCount: number;
  readonly niceness: number;
}

export interface WorkerTask {
  readonly name: string;
  readonly parameters: unknown;
  readonly controlPointer: Pointer;
}

export type WorkerReply =
  | { readonly isDone: true; readonly result: unknown }
  | { readonly isDone: false; readonly failure: Failure };

type AnyJob = Job<unknown, unknown>;
const table = new Map<string, AnyJob>(Object.entries(jobs) as [string, AnyJob][]);

function start(setup: WorkerSetup): (task: WorkerTask) => WorkerReply {
  // Refused, it works as well.
  yieldToOthers(setup.niceness);
  const { exports, memory } = instantiateKernels(setup.module, setup.memory);
  const started = new Uint32Array(memory.buffer, setup.startedPointer, 1);
  const mine = Atomics.add(started, 0, 1) % setup.scratchCount;
  const scratch = { pointer: setup.scratchPointer + mine * SCRATCH_BYTES, sizeBytes: SCRATCH_BYTES };
  for (const job of table.values()) {
    new Uint8Array(memory.buffer, scratch.pointer, scratch.sizeBytes).fill(0);
    job.warmUp?.(jobContext(exports, memory.buffer, 0), scratch);
  }
  return ({ name, parameters, controlPointer }) => {
    try {
      const job = table.get(name);
      if (job === undefined) throw new TypeError(`no kernel job is called ${name}`);
      return {
        isDone: true,
        result: job.run(jobContext(exports, memory.buffer, controlPointer), parameters),
      };
    } catch (error) {
      return { isDone: false, failure: failureOf(error) };
    }
  };
}

export default start(piscinaWorkerData());

/** Piscina wraps what it is given: `workerData` is [its own, ours]. */
function piscinaWorkerData(): WorkerSetup {
  return Array.isArray(workerData) ? (workerData[1] as WorkerSetup) : (workerData as WorkerSetup);
}
