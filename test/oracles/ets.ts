/** Slow, obvious twin of assembly/ets.ts and of etsStart in assembly/tiles.ts: one series, one filter. */
export interface EtsParameters {
  readonly alpha: number;
  readonly beta: number;
  readonly phi: number;
  readonly gamma: number;
  readonly delta: number;
}

export interface EtsStates {
  level: number;
  trend: number;
  /** Empty where there is none; the state of window t is number t mod length. */
  readonly season: number[];
  readonly second: number[];
}

const at = (season: readonly number[], window: number): number => season[window % season.length]!;

/** One window; returns the one-step error. */
function step(states: EtsStates, value: number, window: number, parameters: EtsParameters): number {
  const { alpha, beta, phi, gamma, delta } = parameters;
  const { season, second } = states;
  states.trend *= phi;
  states.level += states.trend;
  let error = value;
  if (season.length > 0) error -= at(season, window);
  if (second.length > 0) error -= at(second, window);
  error -= states.level;
  states.level += alpha * error;
  states.trend += beta * error;
  if (season.length > 0) season[window % season.length] = at(season, window) + gamma * error;
  if (second.length > 0) second[window % second.length] = at(second, window) + delta * error;
  return error;
}

export function filter(
  values: readonly number[],
  range: { readonly first: number; readonly end: number },
  states: EtsStates,
  parameters: EtsParameters,
): number {
  let sum = 0;
  for (let t = range.first; t < range.end; t++) sum += step(states, values[t]!, t, parameters) ** 2;
  return sum;
}

export function backcast(
  values: readonly number[],
  end: number,
  states: EtsStates,
  parameters: EtsParameters,
): void {
  for (let t = end - 1; t >= 0; t--) step(states, values[t]!, t, parameters);
  states.trend = 0;
}

export function forecast(
  states: EtsStates,
  length: number,
  parameters: EtsParameters,
  horizon: number,
): number[] {
  let { level, trend } = states;
  return Array.from({ length: horizon }, (_, h) => {
    trend *= parameters.phi;
    level += trend;
    let value = level;
    if (states.season.length > 0) value += at(states.season, length + h);
    if (states.second.length > 0) value += at(states.second, length + h);
    return value;
  });
}

/** Squared errors of forecasts `leads` ahead, made at every `spacing`-th window from `judgedFrom` on. Changes the states. */
export function judge(
  values: readonly number[],
  options: {
    readonly backcastWindows: number;
    readonly judgedFrom: number;
    readonly leads: readonly number[];
    readonly spacing: number;
  },
  states: EtsStates,
  parameters: EtsParameters,
): number {
  backcast(values, options.backcastWindows, states, parameters);
  let sum = 0;
  for (let t = 0; t < values.length; t++) {
    if (t >= options.judgedFrom && (t - options.judgedFrom) % options.spacing === 0)
      for (const lead of options.leads) {
        const window = t + lead - 1;
        if (window >= values.length) continue;
        let factor = 0;
        let power = 1;
        for (let k = 0; k < lead; k++) {
          power *= parameters.phi;
          factor += power;
        }
        let error = values[window]!;
        if (states.season.length > 0) error -= at(states.season, window);
        if (states.second.length > 0) error -= at(states.second, window);
        error -= states.level;
        error -= factor * states.trend;
        sum += error * error;
      }
    step(states, values[t]!, t, parameters);
  }
  return sum;
}

export function start(
  values: readonly number[],
  options: {
    readonly end: number;
    readonly levelWindows: number;
    readonly season: number;
    readonly secondSeason: number;
  },
): EtsStates {
  const season = meanCycle(values, options.season);
  const second = meanCycle(values, options.secondSeason).map((value, phase) => value - at(season, phase));
  let sum = 0;
  for (let t = options.end - options.levelWindows; t < options.end; t++) {
    let value = values[t]!;
    if (season.length > 0) value -= at(season, t);
    if (second.length > 0) value -= at(second, t);
    sum += value;
  }
  return { level: sum * (1 / options.levelWindows), trend: 0, season, second };
}

/** Mean over whole cycles of what is above the mean of the cycle. */
function meanCycle(values: readonly number[], season: number): number[] {
  const out = new Array<number>(season).fill(0);
  const cycles = season === 0 ? 0 : Math.floor(values.length / season);
  for (let c = 0; c < cycles; c++) {
    const cycle = values.slice(c * season, (c + 1) * season);
    const mean = cycle.reduce((sum, value) => sum + value, 0) * (1 / season);
    cycle.forEach((value, phase) => {
      out[phase] = out[phase]! + (value - mean) * (1 / cycles);
    });
  }
  return out;
}
