import { FORECAST_DEFAULTS, type ForecastSettings } from '../../src/analyzer/settings.ts';
import { dependentError } from './calibration.ts';
import { evaluate } from './evaluation.ts';
import { withOtherMembers } from './member-alone.ts';
import { naive2 } from './naive2.ts';
import { augursMstl, npmArimaCss, npmArimaMl, type PeerForecast, type PeerRun, rStlf } from './peers.ts';
import { coverageRows, figure, hashOf, type Outcome } from './rows.ts';
import { type Score, ScoreBoard, seasonalDifference } from './scores.ts';
import type { SeriesSet } from './sets.ts';

const DAY_HOURS = 24;
const HORIZON = 48;
const RANGES = [{ first: 0, end: HORIZON }];

/** SARIMA of the peer takes a second a series: every so many series are enough for a ratio. */
const SLOW_PEER_STRIDE = 16;

/** M4's own settings: what its training part chose where it differs from the defaults. */
const M4_SETTINGS: ForecastSettings = {
  ...FORECAST_DEFAULTS,
  horizonSteps: HORIZON,
  historyWindows: 1008,
  ridge: {
    ...FORECAST_DEFAULTS.ridge,
    lagWindows: 336,
    clusterCount: 10,
    clusterSeeds: 2,
    poolingShare: 0,
    lambda: 0.001,
  },
};

/**
 * 48 hours ahead, OWA as in the competition; every member alone, and peers on the same series.
 *
 * @param sets the series by length, whose last 48 windows are what is forecast.
 * @see Makridakis, Spiliotis & Assimakopoulos, "The M4 Competition: 100,000 time series and 61 forecasting methods", 2020
 */
export async function runM4(
  { results, skipped }: Outcome,
  sets: readonly SeriesSet[],
  { name, hasPeers }: { readonly name: string; readonly hasPeers: boolean },
): Promise<void> {
  const board = new ScoreBoard(RANGES);
  const points: Float64Array[] = [];
  const own: Score[][] = [];
  let seriesCount = 0;
  let ownMs = 0;
  for (const set of sets) {
    const origin = set.windowCount - HORIZON;
    const options = {
      settings: M4_SETTINGS,
      historyWindows: origin,
      origins: [origin],
      season: DAY_HOURS,
      ranges: RANGES,
      areSeriesClusters: true,
    };
    const evaluation = await evaluate(set, options);
    seriesCount += set.seriesCount;
    ownMs += evaluation.fitMs + evaluation.cycleMs;
    points.push(...evaluation.points);
    own.push(await withOtherMembers(set, evaluation.scores, options));
    for (const task of tasksOf(set)) judgeBaselines(board, task);
  }
  const tasks = sets.flatMap(tasksOf);
  const costs = hasPeers ? runPeers({ board, tasks, skipped }) : [];
  const scores = [...weighted(own, sets), ...board.scores()];
  const naive = scores.find(({ method }) => method === 'naive2') as Score;
  const context = {
    set: name,
    settings: { series: seriesCount, horizon: HORIZON },
    hash: hashOf(points),
  };
  for (const score of scores) {
    if (score === naive) continue;
    const owa = (score.smape / naive.smape + score.mase / naive.mase) / 2;
    results.push(
      figure(context, {
        method: score.method,
        metric: 'OWA',
        value: owa,
        baseline: 'naive2',
        baselineValue: 1,
        settings: { smape: Number(score.smape.toFixed(3)), mase: Number(score.mase.toFixed(3)) },
      }),
      ...coverageRows(context, score),
      ...msisRows(context, score, scores),
    );
  }
  for (const { peer, cpuMs, count, explodedCount } of costs)
    results.push(
      figure(context, {
        method: 'combined',
        metric: 'processor time a series, training and backtest included',
        value: ownMs / seriesCount,
        unit: 'ms',
        baseline: peer,
        baselineValue: cpuMs / count,
        settings: { peerSeries: count, peerExploded: explodedCount },
      }),
    );
}

/** A forecast this many times the highest value of the history has left it, and so has one that is not finite. */
const EXPLODED_FACTOR = 10;

interface Task {
  readonly history: Float64Array;
  readonly actual: Float64Array;
  readonly scale: number;
}

const tasksOf = (set: SeriesSet): Task[] =>
  Array.from({ length: set.seriesCount }, (_, s) => {
    const row = set.values.subarray(s * set.windowCount, (s + 1) * set.windowCount);
    const history = row.slice(0, set.windowCount - HORIZON);
    return {
      history,
      actual: row.slice(set.windowCount - HORIZON),
      scale: seasonalDifference(history, DAY_HOURS),
    };
  });

/** Naive2, and the seasonal naive with the usual normal bounds. */
function judgeBaselines(board: ScoreBoard, { history, actual, scale }: Task): void {
  board.add({ method: 'naive2', actual, scale, point: naive2(history, DAY_HOURS, HORIZON) });
  const last = history.subarray(history.length - DAY_HOURS);
  const point = Float64Array.from({ length: HORIZON }, (_, step) => last[step % DAY_HOURS] as number);
  let squares = 0;
  for (let t = DAY_HOURS; t < history.length; t++)
    squares += ((history[t] as number) - (history[t - DAY_HOURS] as number)) ** 2;
  const deviation = Math.sqrt(squares / (history.length - DAY_HOURS));
  const bound = (side: number): Float64Array =>
    point.map((value, step) => value + side * 1.96 * deviation * Math.sqrt(Math.floor(step / DAY_HOURS) + 1));
  board.add({
    method: 'seasonal-naive-day',
    actual,
    scale,
    point,
    bounds: [{ level: 0.95, lower: bound(-1), upper: bound(1) }],
  });
}

interface PeerCost {
  readonly peer: string;
  readonly cpuMs: number;
  readonly count: number;
  /** Series whose forecast has left all bounds. */
  readonly explodedCount: number;
}

function costOf(peer: string, tasks: readonly Task[], { cpuMs, forecasts }: PeerRun): PeerCost {
  const exploded = tasks.filter(({ history }, index) => {
    const limit = EXPLODED_FACTOR * history.reduce((highest, value) => Math.max(highest, value), 0);
    return forecasts[index]?.point.some((value) => !(Math.abs(value) <= limit));
  });
  return { peer, cpuMs, count: tasks.length, explodedCount: exploded.length };
}

function runPeers(input: {
  board: ScoreBoard;
  tasks: readonly Task[];
  skipped: Outcome['skipped'];
}): PeerCost[] {
  const { board, tasks, skipped } = input;
  const costs: PeerCost[] = [];
  const judge = (peer: string, judged: readonly Task[], run: PeerRun): void => {
    costs.push(costOf(peer, judged, run));
    judged.forEach(({ actual, scale }, index) => {
      const { point, lower, upper } = run.forecasts[index] as PeerForecast;
      board.add({ method: peer, actual, scale, point, bounds: [{ level: 0.95, lower, upper }] });
    });
  };
  const historiesOf = (judged: readonly Task[]): Float64Array[] => judged.map(({ history }) => history);
  judge('augurs-mstl-ets', tasks, augursMstl(historiesOf(tasks), HORIZON));
  const few = tasks.filter((_, index) => index % SLOW_PEER_STRIDE === 0);
  // Of these only the cost is told: of few series an OWA says little, and of exploded ones nothing.
  costs.push(
    costOf('npm-arima-ml', few, npmArimaMl(historiesOf(few), HORIZON)),
    costOf('npm-arima-css', tasks, npmArimaCss(historiesOf(tasks), HORIZON)),
  );
  const r = rStlf(historiesOf(tasks), HORIZON);
  if (r === undefined)
    skipped.push({
      name: 'forecast/m4-hourly/r-stlf',
      why: 'Rscript with the package forecast is not installed',
    });
  else judge('r-stlf', tasks, r);
  return costs;
}

/** Scores of sets of different size as one. */
function weighted(own: readonly (readonly Score[])[], sets: readonly SeriesSet[]): Score[] {
  const total = sets.reduce((sum, set) => sum + set.seriesCount, 0);
  const first = own[0] as readonly Score[];
  return first.map((score) => {
    const mean = (of: (score: Score) => number): number =>
      own.reduce((sum, scores, index) => {
        const same = scores.find(({ method }) => method === score.method);
        if (same === undefined) throw new Error(`${score.method} forecast one length of series only`);
        return sum + (of(same) * (sets[index] as SeriesSet).seriesCount) / total;
      }, 0);
    const byLevel = (key: 'coverage' | 'msis'): Map<number, number> =>
      new Map([...score[key].keys()].map((level) => [level, mean((of) => of[key].get(level) as number)]));
    const hits = new Map(
      [...score.hits.keys()].map((level) => [
        level,
        own.flatMap((scores) => scores.find(({ method }) => method === score.method)?.hits.get(level) ?? []),
      ]),
    );
    return {
      method: score.method,
      range: score.range,
      mase: mean(({ mase }) => mase),
      byOrigin: [],
      logMse: mean(({ logMse }) => logMse),
      smape: mean(({ smape }) => smape),
      coverage: byLevel('coverage'),
      // Series have no order in which neighbours would be alike.
      coverageError: new Map([...hits].map(([level, of]) => [level, dependentError(of, 0)])),
      msis: byLevel('msis'),
      hits,
      randomised: new Map(),
    };
  });
}

function msisRows(
  context: Parameters<typeof figure>[0],
  score: Score,
  scores: readonly Score[],
): ReturnType<typeof figure>[] {
  const value = score.msis.get(0.95);
  const naive = scores.find(({ method }) => method === 'seasonal-naive-day')?.msis.get(0.95);
  if (value === undefined || naive === undefined) return [];
  // For orientation, published and not measured here: ES-RNN 7.93, CARD 6.14.
  return [
    figure(context, {
      method: score.method,
      metric: 'MSIS95',
      value,
      baseline: 'seasonal-naive-day',
      baselineValue: naive,
    }),
  ];
}
