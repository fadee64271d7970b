/** Repeats the first `season` values of f64[horizon] until it is full. */
export function fillPeriods(outPtr: usize, season: i32, horizon: i32): void {
  let filled = season;
  while (filled < horizon) {
    const more = min(filled, horizon - filled);
    memory.copy(outPtr + ((<usize>filled) << 3), outPtr, (<usize>more) << 3);
    filled += more;
  }
}
