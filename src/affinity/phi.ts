/** Where the queueing curve gives way to its tangent: finite beyond, so that search can repair an overload. */
export const LINEAR_ABOVE = 0.95;
const PHI_AT_LINEAR = LINEAR_ABOVE / (1 - LINEAR_ABOVE);
export const SLOPE_AT_LINEAR = 1 / (1 - LINEAR_ABOVE) ** 2;

/** Mean waiting time of an M/M/1 queue in service times, rho / (1 - rho), continued by its tangent above 0.95. */
export function phi(rho: number): number {
  return rho <= LINEAR_ABOVE ? rho / (1 - rho) : PHI_AT_LINEAR + SLOPE_AT_LINEAR * (rho - LINEAR_ABOVE);
}
