/** Queries an hour, for people. */
export const rateText = (ratePerHour: number): string =>
  ratePerHour >= 100 ? Math.round(ratePerHour).toLocaleString('en-US') : ratePerHour.toFixed(1);

/** What a table would print as nothing: the share of a template in a partition, spread over hours in which it hardly comes. */
export const isWorthALine = ({ ratePerHour }: { readonly ratePerHour: number }): boolean =>
  ratePerHour >= 0.05;
