// What every per-series regression needs besides its model.

export * from "./lag-regression";
export * from "./kernel-regression";
export * from "./delta";
export * from "./counts";

/**
 * Holds a forecast to what the series has shown: between its smallest and largest value of late, half its range beyond
 * either, and not below zero (a load's logarithm is log1p). A model may extrapolate; it may not explode.
 * @param seriesPtr f64[windows] of log loads
 * @param outPtr f64[horizon], bounded in place
 * @returns 1, or 0 when a value is not finite: then the forecast is of no use
 */
export function boundForecast(seriesPtr: usize, windows: i32, outPtr: usize, horizon: i32): i32 {
  assert(windows > 0, "a series has shown something");
  let low = Infinity;
  let high = -Infinity;
  for (let i: i32 = 0; i < windows; i++) {
    const value = load<f64>(seriesPtr + ((<usize>i) << 3));
    low = min(low, value);
    high = max(high, value);
  }
  const slack = (high - low) / 2;
  low = max(0, low - slack);
  high = high + slack;
  for (let h: i32 = 0; h < horizon; h++) {
    const at = outPtr + ((<usize>h) << 3);
    const value = load<f64>(at);
    if (!isFinite(value)) return 0;
    store<f64>(at, min(high, max(low, value)));
  }
  return 1;
}
