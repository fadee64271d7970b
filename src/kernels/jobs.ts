import { baseJobs } from './base-jobs.ts';
import { etsJobs } from './ets-jobs.ts';
import { lstmJobs } from './lstm-jobs.ts';
import { mstlJobs } from './mstl-jobs.ts';
import { regressionJobs } from './regression-jobs.ts';
import { ridgeJobs } from './ridge-jobs.ts';
import { sarimaJobs } from './sarima-jobs.ts';
import { searchJobs } from './search-jobs.ts';
import { seasonalJobs } from './seasonal-jobs.ts';

/**
 * Everything a kernel worker can do, by name. A room adds its own table beside this file and one line here;
 * pool and worker need no change.
 */
export const jobs = {
  ...baseJobs,
  ...etsJobs,
  ...lstmJobs,
  ...mstlJobs,
  ...regressionJobs,
  ...ridgeJobs,
  ...sarimaJobs,
  ...searchJobs,
  ...seasonalJobs,
};

export type Jobs = typeof jobs;
export type JobName = keyof Jobs;
export type JobParameters<Name extends JobName> = Parameters<Jobs[Name]['run']>[1];
export type JobResult<Name extends JobName> = ReturnType<Jobs[Name]['run']>;
