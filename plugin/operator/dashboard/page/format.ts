/** Numbers and times as people read them. */

export const time = (ms: number): string =>
  `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

export function count(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (value >= 1e4) return `${(value / 1e3).toPrecision(3)} k`;
  return String(Number(value.toPrecision(3)));
}

export const bytes = (value: number): string =>
  value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : `${(value / 1e6).toFixed(1)} MB`;

export function seconds(value: number): string {
  if (value >= 5_400) return `${(value / 3600).toFixed(1)} h`;
  return value >= 90 ? `${Math.round(value / 60)} min` : `${Math.round(value)} s`;
}

export const percent = (share: number): string => `${Math.round(100 * share)} %`;
