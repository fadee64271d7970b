/** One figure of a bench, always beside a named baseline that ran in the same process run. */
export interface BenchResult {
  readonly name: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline: string;
  readonly baselineValue: number;
  /** value / baselineValue. */
  readonly ratio: number;
  readonly settings: Record<string, string | number | boolean>;
  /** What the ratio should be, where somebody has set a bar; the run says whether it is met. */
  readonly bar?: { readonly ratioMin: number } | { readonly ratioMax: number };
  /** Of what was computed, not of how long it took: the same inputs give the same hash. */
  readonly hash: string;
}

export interface BenchOutcome {
  readonly results: readonly BenchResult[];
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
}

export interface BenchOptions {
  readonly isSmall: boolean;
  /** For each instance that is searched as long as one likes: of `placement`, those of ROADEF. Of `redis`: the daily load. */
  readonly seconds?: number;
}

export interface BenchModule {
  readonly area: string;
  run(options: BenchOptions): Promise<BenchOutcome>;
}
