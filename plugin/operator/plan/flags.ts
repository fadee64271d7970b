import type { OptimizerName } from '../../../src/affinity/settings.ts';

export interface PlanFlags {
  readonly seconds?: number;
  readonly seed: number;
  readonly optimizer: OptimizerName;
  readonly json?: boolean;
  readonly schema?: boolean;
}
