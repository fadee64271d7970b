import { Piscina } from 'piscina';
import { assert } from '../base/assert.ts';
import { InvariantError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Block } from './arena.ts';
import { errorOf } from './failure.ts';
import type { Kernels } from './instance.ts';
import { CONTROL_CANCEL, CONTROL_PROGRESS, CONTROL_WORDS, jobContext, SCRATCH_BYTES } from './job.ts';
import { type JobName, type JobParameters, type JobResult, jobs } from './jobs.ts';
import type { WorkerReply, WorkerSetup, WorkerTask } from './worker.ts';

/** A job under way. */
export interface RunningJob<Result> {
  readonly result: Promise<Result>;
  /** What the job last reported, 0 before. */
  progress(): number;
  /** Asks the job to stop early; `result` still resolves, with what there is. */
  cancel(): void;
}

/** Runs jobs by name: on worker threads ({@link KernelPool}) or on this one ({@link inlineRunner}). */
export interface KernelRunner {
  readonly kernels: Kernels;
  /** Whether jobs run on the calling thread, which hears nobody meanwhile. */
  readonly isInline: boolean;
  run<Name extends JobName>(name: Name, parameters: JobParameters<Name>): Promise<JobResult<Name>>;
  start<Name extends JobName>(name: Name, parameters: JobParameters<Name>): RunningJob<JobResult<Name>>;
}

export interface KernelPoolSettings {
  /** Worker threads, >= 1: fewer than one would leave a worker's load error unnoticed and `run` pending for ever. */
  readonly threads: number;
  /** How far they stand back for other threads of the machine, 0 to 19; 0 unless told. */
  readonly niceness?: number;
}

// One expression for sources and for the compiled package: a worker is loaded from the same kind of file as we are.
const WORKER_FILE = new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
  .href;

/** Kernel workers on the one shared memory. Close it: its threads outlive it otherwise. */
export class KernelPool implements KernelRunner {
  readonly kernels: Kernels;
  readonly isInline = false;
  readonly #piscina: Piscina<WorkerTask, WorkerReply>;
  readonly #blocks: readonly Block[];
  #isClosed = false;

  constructor(
    settings: KernelPoolSettings,
    components: { readonly kernels: Kernels; readonly logger: Logger },
  ) {
    assert(Number.isInteger(settings.threads) && settings.threads >= 1, 'a kernel pool has a thread');
    const { arena, module, memory } = components.kernels;
    this.kernels = components.kernels;
    const started = arena.u32(1);
    const scratch = arena.alloc(settings.threads * SCRATCH_BYTES);
    this.#blocks = [started, scratch];
    const setup: WorkerSetup = {
      module,
      memory,
      startedPointer: started.pointer,
      scratchPointer: scratch.pointer,
      scratchCount: settings.threads,
      niceness: settings.niceness ?? 0,
    };
    this.#piscina = new Piscina({
      filename: WORKER_FILE,
      minThreads: settings.threads,
      maxThreads: settings.threads,
      workerData: setup,
    });
    // A worker that dies between tasks rejects no promise; without a listener it would take the process down.
    this.#piscina.on('error', (error: Error) => {
      components.logger.error({ error: error.message }, 'a kernel worker failed');
    });
  }

  run<Name extends JobName>(name: Name, parameters: JobParameters<Name>): Promise<JobResult<Name>> {
    return this.start(name, parameters).result;
  }

  start<Name extends JobName>(name: Name, parameters: JobParameters<Name>): RunningJob<JobResult<Name>> {
    assert(!this.#isClosed, 'a closed kernel pool is given no work');
    const control = this.kernels.arena.i32(CONTROL_WORDS);
    const task = { name, parameters, controlPointer: control.pointer };
    let isOver = false;
    let lastProgress = 0;
    const result = this.#piscina
      .run(task)
      .then((reply) => {
        if (!reply.isDone) throw errorOf(reply.failure);
        return reply.result as JobResult<Name>;
      })
      .finally(() => {
        lastProgress = Atomics.load(control.view, CONTROL_PROGRESS);
        isOver = true;
        this.kernels.arena.free(control);
      });
    return {
      result,
      progress: () => (isOver ? lastProgress : Atomics.load(control.view, CONTROL_PROGRESS)),
      cancel() {
        // Once it is over the words may belong to somebody else.
        if (!isOver) Atomics.store(control.view, CONTROL_CANCEL, 1);
      },
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#piscina.destroy();
    for (const block of this.#blocks) this.kernels.arena.free(block);
  }
}

/** The same jobs on the calling thread: for backtests, benches and tests, and where a thread is not worth its price. */
export function inlineRunner(kernels: Kernels): KernelRunner {
  const context = jobContext(kernels.exports, kernels.memory.buffer, 0);
  function run<Name extends JobName>(name: Name, parameters: JobParameters<Name>): Promise<JobResult<Name>> {
    const job = jobs[name];
    if (job === undefined) throw new InvariantError(`no kernel job is called ${name}`);
    return new Promise((resolve) => {
      resolve((job.run as (c: typeof context, p: unknown) => JobResult<Name>)(context, parameters));
    });
  }
  return {
    kernels,
    isInline: true,
    run,
    start: (name, parameters) => ({ result: run(name, parameters), progress: () => 0, cancel() {} }),
  };
}
