/** Slow, obvious twins of assembly/lag-regression.ts and kernel-regression.ts: rows are built one by one. */

export interface LagProblem {
  readonly series: Float64Array;
  /** lags[step], and the weights the penalty pulls towards. */
  readonly lags: readonly (readonly number[])[];
  readonly prior: readonly (readonly number[])[];
  readonly reach: number;
  readonly penalty: number;
  readonly penaltyFixed: number;
  readonly fade: number;
  readonly hasConstant: boolean;
}

/** [step][1 + lag]: constant and weights. */
export function lagFit(problem: LagProblem): number[][] {
  const { series, lags, prior, reach, fade, hasConstant } = problem;
  const steps = lags.length;
  const mean = sumOf(series) / series.length;
  const deviation = Math.sqrt(sumOf(series.map((value) => (value - mean) ** 2)) / series.length);
  const z = series.map((value) => (value - mean) / deviation);
  const last = series.length - steps;
  return lags.map((stepLags, step) => {
    const size = 1 + stepLags.length;
    const matrix = Array.from({ length: size }, () => new Array<number>(size + 1).fill(0));
    let rowWeight = 0;
    for (let t = reach; t <= last; t++) {
      const weight = fade ** (last - t);
      const row = [hasConstant ? 1 : 0, ...stepLags.map((lag) => z[t - lag]!)];
      rowWeight += weight;
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) matrix[i]![j]! += weight * row[i]! * row[j]!;
        matrix[i]![size]! += weight * row[i]! * z[t + step]!;
      }
    }
    const ridge = problem.penalty * rowWeight + problem.penaltyFixed;
    if (!hasConstant) matrix[0]![0] = 1;
    for (let i = 1; i < size; i++) {
      matrix[i]![i]! += ridge;
      matrix[i]![size]! += ridge * prior[step]![i - 1]!;
    }
    const solution = solve(matrix);
    const weights = solution.slice(1);
    return [mean * (1 - sumOf(weights)) + deviation * solution[0]!, ...weights];
  });
}

export function lagPredict(
  series: Float64Array,
  options: { lags: readonly (readonly number[])[]; weights: readonly number[][]; horizon: number },
): number[] {
  const { lags, weights, horizon } = options;
  const known = [...series];
  const steps = lags.length;
  for (let h = 0; h < horizon; h++) {
    const step = h % steps;
    const origin = series.length + h - step;
    const [constant, ...rest] = weights[step]!;
    known.push(constant! + sumOf(rest.map((weight, i) => weight * known[origin - lags[step]![i]!]!)));
  }
  return known.slice(series.length);
}

/** Fitted values for the windows first, first + 1 .. of a series, by the weights of the first step. */
export function lagFitted(
  series: Float64Array,
  options: { lags: readonly number[]; weights: readonly number[]; first: number },
): number[] {
  const { lags, weights, first } = options;
  const [constant, ...rest] = weights;
  return [...series.subarray(first)].map(
    (_, i) => constant! + sumOf(rest.map((weight, k) => weight * series[first + i - lags[k]!]!)),
  );
}

export function deltaForecast(
  series: Float64Array,
  options: { day: number; week: number; horizon: number },
): number[] {
  const { day, week, horizon } = options;
  const end = series.length;
  const profile = (season: number, weights: number[], share: number): number[] => {
    const at = (t: number): number =>
      sumOf(weights.map((weight, i) => weight * series[t - (i + 1) * season]!)) / sumOf(weights);
    const lastDay = Array.from({ length: day }, (_, i) => end - 1 - i);
    const shift = (share * sumOf(lastDay.map((t) => series[t]! - at(t)))) / day;
    return Array.from({ length: horizon }, (_, h) => at(end + (h % season)) + shift);
  };
  const daily = profile(day, [9, 3, 2, 1].slice(0, Math.floor(end / day) - 1), 0.5);
  const weeks = Math.floor((end - day) / week);
  if (weeks === 0) return daily;
  const weekly = profile(week, [4, 2, 1].slice(0, weeks), 0.9);
  return daily.map((value, h) => (value + weekly[h]!) / 2);
}

export function kernelRegression(
  series: Float64Array,
  options: { inputs: number; horizon: number; bandwidth: number; isLevelled: boolean },
): number[] {
  const { inputs, horizon, bandwidth, isLevelled } = options;
  const mean = sumOf(series) / series.length;
  const deviation = Math.sqrt(sumOf(series.map((value) => (value - mean) ** 2)) / series.length);
  const before = (origin: number): number[] => [...series.subarray(origin - inputs, origin)];
  const query = before(series.length);
  const shiftOf = (past: number[]): number => (isLevelled ? (sumOf(query) - sumOf(past)) / inputs : 0);
  return Array.from({ length: horizon }, (_, step) => {
    let total = 0;
    let weights = 0;
    for (let origin = inputs; origin + step < series.length; origin++) {
      const past = before(origin);
      const shift = shiftOf(past);
      const distance = Math.sqrt(sumOf(past.map((value, i) => (value + shift - query[i]!) ** 2))) / deviation;
      const weight = Math.exp(-distance / bandwidth);
      weights += weight;
      total += weight * (series[origin + step]! + shift);
    }
    return total / weights;
  });
}

export function countsForecast(
  series: Float64Array,
  options: {
    day: number;
    week: number;
    fade: number;
    levelFade: number;
    dayPull: number;
    weekPull: number;
    levelPull: number;
    horizon: number;
  },
): number[] {
  const { day, week, fade, levelFade, dayPull, weekPull, levelPull, horizon } = options;
  const end = series.length;
  const all = [...series.keys()];
  const pulled = (windows: number[], pull: number, target: number): number => {
    const weights = windows.map((t) => fade ** (end - 1 - t));
    return (sumOf(windows.map((t, i) => weights[i]! * series[t]!)) + pull * target) / (sumOf(weights) + pull);
  };
  const sameAs = (t: number, season: number): number[] => all.filter((other) => (t - other) % season === 0);
  const mean = pulled(all, 0, 0);
  const expectedAt = (t: number): number =>
    pulled(sameAs(t, week), weekPull, pulled(sameAs(t, day), dayPull, mean));
  const late = all.map((t) => levelFade ** (end - 1 - t));
  const seen = sumOf(all.map((t) => late[t]! * series[t]!));
  const expected = sumOf(all.map((t) => late[t]! * expectedAt(t)));
  const level = mean > 0 ? (seen + levelPull * mean) / (expected + levelPull * mean) : 0;
  return Array.from({ length: horizon }, (_, h) => level * expectedAt(end + h));
}

/** Gauss-Jordan elimination with pivoting, of [A | b]. */
function solve(matrix: number[][]): number[] {
  const size = matrix.length;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column; row < size; row++)
      if (Math.abs(matrix[row]![column]!) > Math.abs(matrix[pivot]![column]!)) pivot = row;
    [matrix[column], matrix[pivot]] = [matrix[pivot]!, matrix[column]!];
    for (let row = 0; row < size; row++) {
      if (row === column) continue;
      const factor = matrix[row]![column]! / matrix[column]![column]!;
      for (let j = column; j <= size; j++) matrix[row]![j]! -= factor * matrix[column]![j]!;
    }
  }
  return matrix.map((row, i) => row[size]! / row[i]!);
}

function sumOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum;
}
