/** What `--optimizer` takes; loaded with every command line, so it names and does not load. */
export const OPTIMIZERS = ['anneal', 'portfolio', 'genetic', 'greedy', 'naive-hill-climb'] as const;
export type OptimizerName = (typeof OPTIMIZERS)[number];

export interface PlanFlags {
  readonly seconds?: number;
  readonly seed: number;
  readonly optimizer: OptimizerName;
  readonly json?: boolean;
  readonly schema?: boolean;
}
