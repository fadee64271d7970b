const BARS = '▁▂▃▄▅▆▇█';

/**
 * A row of bars, each the mean of neighbours where there are more values than columns.
 *
 * @param highest the value of the highest bar; the lowest is 0.
 */
export function sparkline(values: ArrayLike<number>, columns: number, highest: number): string {
  const count = Math.min(columns, values.length);
  const bars = Array.from({ length: count }, (_, column) => {
    const first = Math.floor((column * values.length) / count);
    const end = Math.floor(((column + 1) * values.length) / count);
    let mean = 0;
    for (let i = first; i < end; i++) mean += (values[i] as number) / (end - first);
    return BARS[Math.round(Math.min(1, mean / highest) * (BARS.length - 1))] as string;
  });
  return bars.join('');
}
