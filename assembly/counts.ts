// Seasonal mean for series of few events: every phase is drawn towards the coarser one it belongs to, the more the less
// it has been seen.

/** f64 slots of scratch that `countsForecast` needs. */
export function countsScratchCount(day: i32, week: i32): i32 {
  return 2 * day + 2 * week;
}

/**
 * out[h] = mean of the phase of the week, drawn towards that of the day with `weekPull` observations, which is drawn
 * towards the mean of all with `dayPull`; times how much the last windows had of what these means led to expect, drawn
 * towards one with `levelPull` mean windows. Windows fade as they age.
 * @param seriesPtr f64[windows] of log loads, oldest first
 * @param fade weight of a window against the next one's; `levelFade` the same for the level
 * @param scratchPtr f64[countsScratchCount]
 * @param outPtr f64[horizon]
 */
export function countsForecast(
  seriesPtr: usize, windows: i32, day: i32, week: i32, fade: f64, levelFade: f64, dayPull: f64, weekPull: f64,
  levelPull: f64, horizon: i32, scratchPtr: usize, outPtr: usize,
): void {
  assert(windows > 0 && day > 0 && week > 0 && horizon > 0, "counts have windows and seasons");
  assert(dayPull > 0 && weekPull > 0 && levelPull > 0, "a phase that was never seen takes what it is drawn towards");
  const daySums = scratchPtr;
  const dayWeights = daySums + ((<usize>day) << 3);
  const weekSums = dayWeights + ((<usize>day) << 3);
  const weekWeights = weekSums + ((<usize>week) << 3);
  memory.fill(scratchPtr, 0, (<usize>countsScratchCount(day, week)) << 3);

  // Phases count from the end: 0 is that of the first window to forecast.
  let total: f64 = 0;
  let totalWeight: f64 = 0;
  let weight: f64 = 1;
  let dayPhase = day;
  let weekPhase = week;
  for (let t = windows - 1; t >= 0; t--) {
    dayPhase = dayPhase == 0 ? day - 1 : dayPhase - 1;
    weekPhase = weekPhase == 0 ? week - 1 : weekPhase - 1;
    const part = weight * load<f64>(seriesPtr + ((<usize>t) << 3));
    addAt(daySums, dayPhase, part);
    addAt(dayWeights, dayPhase, weight);
    addAt(weekSums, weekPhase, part);
    addAt(weekWeights, weekPhase, weight);
    total += part;
    totalWeight += weight;
    weight *= fade;
  }
  const mean = total / totalWeight;
  drawTowards(daySums, dayWeights, day, daySums, 0, dayPull, mean);
  drawTowards(weekSums, weekWeights, week, daySums, day, weekPull, mean);

  let seen: f64 = 0;
  let expected: f64 = 0;
  weight = 1;
  weekPhase = week;
  for (let t = windows - 1; t >= 0; t--) {
    weekPhase = weekPhase == 0 ? week - 1 : weekPhase - 1;
    seen += weight * load<f64>(seriesPtr + ((<usize>t) << 3));
    expected += weight * load<f64>(weekSums + ((<usize>weekPhase) << 3));
    weight *= levelFade;
  }
  // A silent series has a mean of zero, and that is what is said of it.
  const pull = levelPull * mean;
  const level = mean > 0 ? (seen + pull) / (expected + pull) : 0.0;
  for (let h: i32 = 0; h < horizon; h++) {
    store<f64>(outPtr + ((<usize>h) << 3), level * load<f64>(weekSums + ((<usize>(h % week)) << 3)));
  }
}

// @ts-ignore: decorator
@inline
function addAt(values: usize, index: i32, value: f64): void {
  const at = values + ((<usize>index) << 3);
  store<f64>(at, load<f64>(at) + value);
}

/** sums[i] = (sums[i] + pull * coarse[i mod coarseCount]) / (weights[i] + pull); coarseCount 0: towards `mean`. */
function drawTowards(sums: usize, weights: usize, count: i32, coarse: usize, coarseCount: i32, pull: f64, mean: f64): void {
  for (let i: i32 = 0; i < count; i++) {
    const at = (<usize>i) << 3;
    const target = coarseCount == 0 ? mean : load<f64>(coarse + ((<usize>(i % coarseCount)) << 3));
    store<f64>(sums + at, (load<f64>(sums + at) + pull * target) / (load<f64>(weights + at) + pull));
  }
}
