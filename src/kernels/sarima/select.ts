import { aicc, PARAMETERS_MAX, parameterCount, type SarimaOrder, SHORT_MAX } from './model.ts';
import { type CssProblem, minimiseCss } from './optimise.ts';

export interface SarimaModel {
  readonly order: SarimaOrder;
  /** Free parameters, see writeCoefficients. */
  readonly free: Float64Array;
  readonly aicc: number;
}

export type Differences = Pick<SarimaOrder, 'difference' | 'seasonalDifference'>;

/** Where a fit begins: terms that the other order lacks begin at zero. */
type Start = Pick<SarimaModel, 'order' | 'free'>;

/** Each costs about 0.1 ms on 672 windows; the search seldom wants more. */
const MODELS_MAX = 12;

/** What the neighbours of an order differ in; growing comes first, since a start is more often too small than too large. */
const NEIGHBOURS = [
  { ar: 1, ma: 0 },
  { ar: 0, ma: 1 },
  { ar: -1, ma: 0 },
  { ar: 0, ma: -1 },
  { ar: 1, ma: 1 },
  { ar: -1, ma: -1 },
] as const;

/**
 * The order of least AICc that a walk from a few starts finds: differences are given, so all models see the same data.
 *
 * @param previous the model before, whose order and parameters are tried first
 * @see Hyndman & Khandakar, "Automatic time series forecasting: the forecast package for R", 2008, 3.2
 */
export function selectModel(
  problem: CssProblem,
  differences: Differences,
  previous: Start | null,
): SarimaModel {
  const tried = new Set<string>();
  const attempt = (order: SarimaOrder, from?: Start): SarimaModel => {
    tried.add(keyOf(order));
    return fitOrder(problem, order, from);
  };
  const defaults = startsFor(problem.season, differences.seasonalDifference).map((terms) => ({
    ...differences,
    ...terms,
  }));
  const starts =
    previous === null
      ? defaults.map((order) => attempt(order))
      : [
          attempt({ ...previous.order, ...differences }, previous),
          ...defaults.slice(0, 1).map((order) => attempt(order)),
        ];
  let best = starts.reduce((least, model) => (model.aicc < least.aicc ? model : least));
  for (let isBetter = true; isBetter; ) {
    isBetter = false;
    for (const order of neighboursOf(best.order, problem.season)) {
      if (tried.has(keyOf(order)) || tried.size >= MODELS_MAX) continue;
      const model = attempt(order, best);
      if (!(model.aicc < best.aicc)) continue;
      // The first better one is taken, as in the paper: its own neighbours are looked at next.
      best = model;
      isBetter = true;
      break;
    }
  }
  return best;
}

/** Fits one order, from the parameters of another model where there is one: terms that are new begin at zero. */
export function fitOrder(
  problem: CssProblem,
  order: SarimaOrder,
  from?: Pick<SarimaModel, 'order' | 'free'>,
): SarimaModel {
  const starts = from === undefined ? coarseStarts(order) : [carriedOver(from, order)];
  const { free, sum } = minimiseCss(problem, order, starts);
  const count = problem.count - problem.first;
  // The mean of a series that is not differenced is a parameter, too.
  const means = order.difference + order.seasonalDifference === 0 ? 1 : 0;
  return { order, free, aicc: aicc(sum, count, parameterCount(order) + means) };
}

type Terms = Pick<SarimaOrder, 'ar' | 'ma' | 'seasonalAr' | 'seasonalMa'>;

function startsFor(season: number, seasonalDifference: number): Terms[] {
  // (2,0,1)(0,1,1) is the best known order for loads by the hour; the seasonal AR term earns its place on most of them.
  if (seasonalDifference > 0)
    return [
      { ar: 2, ma: 1, seasonalAr: 1, seasonalMa: 1 },
      { ar: 2, ma: 1, seasonalAr: 0, seasonalMa: 1 },
    ];
  const seasonal = season > 1 ? 1 : 0;
  return [
    { ar: 2, ma: 1, seasonalAr: seasonal, seasonalMa: 0 },
    { ar: 1, ma: 0, seasonalAr: 0, seasonalMa: 0 },
    { ar: 0, ma: 0, seasonalAr: 0, seasonalMa: 0 },
  ];
}

function neighboursOf(order: SarimaOrder, season: number): SarimaOrder[] {
  const near: SarimaOrder[] = NEIGHBOURS.map((step) => ({
    ...order,
    ar: order.ar + step.ar,
    ma: order.ma + step.ma,
  }));
  if (season > 1)
    near.push({ ...order, seasonalAr: 1 - order.seasonalAr }, { ...order, seasonalMa: 1 - order.seasonalMa });
  return near.filter(
    (o) =>
      Math.min(o.ar, o.ma) >= 0 && Math.max(o.ar, o.ma) <= SHORT_MAX && parameterCount(o) <= PARAMETERS_MAX,
  );
}

const keyOf = ({ ar, ma, seasonalAr, seasonalMa }: SarimaOrder): string =>
  `${ar} ${ma} ${seasonalAr} ${seasonalMa}`;

function carriedOver(from: Start, order: SarimaOrder): Float64Array {
  const free = new Float64Array(parameterCount(order));
  let source = 0;
  let target = 0;
  for (const name of ['ar', 'ma', 'seasonalAr', 'seasonalMa'] as const) {
    const count = Math.min(from.order[name], order[name]);
    free.set(from.free.subarray(source, source + count), target);
    source += from.order[name];
    target += order[name];
  }
  return free;
}

/** Eight points on a coarse grid over the first short term and the seasonal one, the two that move a sum most. */
function coarseStarts(order: SarimaOrder): Float64Array[] {
  const { ar, ma, seasonalAr, seasonalMa } = order;
  const starts: Float64Array[] = [];
  for (const seasonal of [0.4, 0.8])
    for (const [phi, theta] of [
      [0.3, -0.7],
      [0.6, -0.3],
      [0.85, 0.2],
      [0.95, 0.6],
    ] as const) {
      const free = new Float64Array(parameterCount(order));
      if (ar > 0) free[0] = Math.atanh(phi);
      else if (ma > 0) free[0] = Math.atanh(theta);
      // A differenced season is mostly too much of a difference: its MA term takes part of it back.
      if (seasonalMa > 0) free[ar + ma + seasonalAr] = Math.atanh(-seasonal);
      if (seasonalAr > 0) free[ar + ma] = Math.atanh(seasonalMa > 0 ? 0.2 : seasonal);
      starts.push(free);
    }
  return starts;
}
