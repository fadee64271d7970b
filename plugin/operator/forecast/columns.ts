const ID_COLUMNS_MAX = 24;

/** How wide the first column of a table of series is. */
export const idColumnsOf = (series: readonly { readonly id: string }[]): number =>
  Math.min(
    ID_COLUMNS_MAX,
    series.reduce((widest, { id }) => Math.max(widest, id.length), 6),
  );

export const idOf = (id: string, columns: number): string =>
  (id.length <= columns ? id : `${id.slice(0, columns - 1)}…`).padEnd(columns);

/** Four digits are as many as a forecast has. */
export function shown(value = 0): string {
  return value >= 1_000 && value < 1e9 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
}
