import type { Pointer } from '../../kernels/exports.ts';
import type { SeriesRows } from '../../kernels/series-rows.ts';
import type { Member, MemberComponents, MemberState, PartitionRange } from './member.ts';
import { isIntegerWithin, SavedState } from './saved-state.ts';

/** Partitions handed to a job at once: some milliseconds of work, some hundred KiB of parameters. */
const BATCH_PARTITIONS = 32;

/**
 * A member with a model of its own for every partition, whose parameters are a row of numbers.
 *
 * The parameters live outside the kernels' memory, as f32 and only for partitions that were fitted: at 16,384 partitions
 * they would fill that memory. A batch of them is copied in for each job.
 */
export abstract class SeriesMember implements Member {
  abstract readonly name: string;
  abstract readonly windowsMin: number;
  abstract readonly refitWindows: number;
  protected readonly components: MemberComponents;
  readonly #parameterCount: number;
  readonly #parameters: (Float32Array | undefined)[];

  /** @param parameterCount numbers per partition; 0: there is nothing to fit. */
  constructor(components: MemberComponents, parameterCount: number) {
    this.components = components;
    this.#parameterCount = parameterCount;
    this.#parameters = new Array(components.history.shape.partitionCount);
  }

  /** Writes f64[rows.count][parameterCount]; the first number of a row is -1 where no model could be fitted. */
  protected abstract fitRows(rows: SeriesRows, parameters: Pointer): Promise<void>;

  /** Writes f64[rows.count][horizon], for a row without a model as the seasonal naive does. */
  protected abstract predictRows(rows: SeriesRows, parameters: Pointer, out: Pointer): Promise<void>;

  async fit(range: PartitionRange): Promise<void> {
    if (this.#parameterCount === 0) return;
    await this.#inBatches(range, async (rows, parameters, first) => {
      // A job that is cancelled half-way leaves the rest without a model.
      parameters.view.fill(-1);
      await this.fitRows(rows, parameters.pointer);
      for (let i = 0; i < rows.count; i++) {
        const rounded = new Float32Array(this.#parameterCount);
        // What f32 cannot hold is no model: of a series that hardly moves, weights may be without bounds.
        this.#parameters[first + i] = isRounded(parameters.view, i * this.#parameterCount, rounded)
          ? rounded
          : undefined;
      }
    });
  }

  async predict(range: PartitionRange, out: Pointer): Promise<void> {
    const { horizon } = this.components;
    await this.#inBatches(range, async (rows, parameters, first) => {
      for (let i = 0; i < rows.count && this.#parameterCount > 0; i++) {
        const fitted = this.#parameters[first + i];
        if (fitted === undefined) parameters.view[i * this.#parameterCount] = -1;
        else copyInto(parameters.view, i * this.#parameterCount, fitted);
      }
      await this.predictRows(rows, parameters.pointer, out + (first - range.first) * horizon * 8);
    });
  }

  save(): MemberState {
    const partitions = [...this.#parameters.keys()].filter((p) => this.#parameters[p] !== undefined);
    const values = new Float32Array(partitions.length * this.#parameterCount);
    partitions.forEach((p, i) => {
      values.set(this.#parameters[p] as Float32Array, i * this.#parameterCount);
    });
    return { parameterCount: this.#parameterCount, partitions: Int32Array.from(partitions), values };
  }

  load(state: MemberState): void {
    const saved = new SavedState(this.name, state);
    const { partitionCount } = this.components.history.shape;
    saved.integer('parameterCount', this.#parameterCount, this.#parameterCount);
    const isPartition = (value: number): boolean => isIntegerWithin(value, 0, partitionCount - 1);
    const partitions = saved.numbers('partitions', Int32Array, undefined, isPartition);
    const values = saved.numbers('values', Float32Array, partitions.length * this.#parameterCount);
    this.#parameters.fill(undefined);
    partitions.forEach((p, i) => {
      this.#parameters[p] = values.slice(i * this.#parameterCount, (i + 1) * this.#parameterCount);
    });
  }

  close(): void {}

  async #inBatches(
    range: PartitionRange,
    work: (
      rows: SeriesRows,
      parameters: { readonly pointer: Pointer; readonly view: Float64Array },
      first: number,
    ) => Promise<void>,
  ): Promise<void> {
    const { history, runner } = this.components;
    const { arena } = runner.kernels;
    const parameters = arena.f64(Math.min(BATCH_PARTITIONS, range.count) * this.#parameterCount);
    try {
      for (let done = 0; done < range.count; done += BATCH_PARTITIONS) {
        const first = range.first + done;
        const rows: SeriesRows = {
          series: history.pointer + first * history.stride * 8,
          stride: history.stride,
          count: Math.min(BATCH_PARTITIONS, range.count - done),
          length: history.length,
          dayWindows: history.shape.dayWindows,
          weekWindows: history.shape.weekWindows,
        };
        await work(rows, parameters, first);
      }
    } finally {
      arena.free(parameters);
    }
  }
}

// By index: between shared memory and numbers of another width `set` and `from` take longer than a forecast.
function copyInto(target: Float64Array, first: number, values: Float32Array): void {
  for (let i = 0; i < values.length; i++) target[first + i] = values[i] as number;
}

/** Writes `rounded` with what stands from `first` on; false where a number is not finite in f32. */
function isRounded(source: Float64Array, first: number, rounded: Float32Array): boolean {
  let areFinite = true;
  for (let i = 0; i < rounded.length; i++) {
    rounded[i] = source[first + i] as number;
    areFinite &&= Number.isFinite(rounded[i]);
  }
  return areFinite;
}
