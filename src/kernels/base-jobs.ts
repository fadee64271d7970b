import type { Job } from './job.ts';

/** Counts to `steps` and can be cancelled: proves that hand-over, cancelling and progress work. */
const count: Job<{ readonly steps: number }, { readonly counted: number }> = {
  run(context, { steps }) {
    let counted = 0;
    while (counted < steps) {
      counted++;
      context.reportProgress(counted);
      if (context.isCancelled()) break;
    }
    return { counted };
  },
};

export const baseJobs = { count };
