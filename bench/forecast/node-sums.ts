import { HierarchyForecaster } from '../../src/analyzer/hierarchy/hierarchy-forecaster.ts';
import { FORECAST_DEFAULTS, type ForecastSettings } from '../../src/analyzer/settings.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { inlineRunner } from '../../src/kernels/pool.ts';
import { contiguousMap } from '../../src/model/partition-map.ts';
import { driverOf, lastOrigins, profileOf } from './evaluation.ts';
import { processorMs } from './processor-time.ts';
import { figure, hashOf, type Outcome } from './rows.ts';
import { flightsByPartition, type SeriesSet } from './sets.ts';

const DAY_HOURS = 24;
const LAST_DAY = 181;
const HISTORY_HOURS = 28 * DAY_HOURS;
const NODES = 16;
// Prime to a day, so that origins fall on all hours.
const STEP_HOURS = 65;
const ORIGINS = 10;

/**
 * What the load of a storage node is forecast to be: the sum over its partitions of their means, which plans are made of,
 * beside the sum of their points; and of means that were reconciled with forecasts of clusters and of the total. On the last days of the flights log, and on a tenth of it drawn by chance, where most
 * partitions see nothing in most hours.
 */
export async function runNodeSums({ results }: Outcome): Promise<void> {
  const { horizonSteps } = FORECAST_DEFAULTS;
  const dayCount = Math.ceil((HISTORY_HOURS + (ORIGINS - 1) * STEP_HOURS + horizonSteps) / DAY_HOURS);
  const flights = await flightsByPartition({ firstDay: LAST_DAY - dayCount, dayCount, partitionCount: 256 });
  if (flights === undefined) return;
  for (const set of [flights, thinned(flights, 0.1)]) {
    const alone = await sumErrors(set, { isReconciled: false });
    const together = await sumErrors(set, { isReconciled: true });
    const settings = { load: set.name, nodes: NODES, origins: ORIGINS };
    const rows = (
      method: string,
      { errors, hash }: Forecasts,
      beside: Forecasts & { readonly name: string },
    ) =>
      METRICS.map(([metric, of]) =>
        figure(
          { set: 'node-sums', settings, hash },
          { method, metric, value: of(errors), baseline: beside.name, baselineValue: of(beside.errors) },
        ),
      );
    const ofPoints = { name: 'point', errors: alone.point, hash: alone.hash };
    const ofMeans = { name: 'mean', errors: alone.mean, hash: alone.hash };
    const ofReconciled = { errors: together.mean, hash: together.hash };
    results.push(
      ...rows('mean', ofMeans, ofPoints),
      ...rows('reconciled-mean', ofReconciled, ofMeans),
      figure(
        { set: 'node-sums', settings, hash: together.hash },
        {
          method: 'reconciled-mean',
          metric: `processor time of ${STEP_HOURS} windows more and a forecast`,
          unit: 'ms',
          value: together.cycleMs,
          baseline: 'mean',
          baselineValue: alone.cycleMs,
        },
      ),
    );
  }
}

interface Forecasts {
  readonly errors: SumErrors;
  readonly hash: string;
}

const METRICS: readonly (readonly [metric: string, of: (errors: SumErrors) => number])[] = [
  ['error of the sums, relative', ({ error, load }) => sumOf(error) / sumOf(load)],
  ['error of the total, relative', ({ total, load }) => (total[0] as number) / sumOf(load)],
  ['bias of all, relative', ({ bias, load }) => sumOf(bias) / sumOf(load)],
  [
    'bias of the worst node, relative',
    ({ bias, load }) => Math.max(...bias.map((value, node) => Math.abs(value / (load[node] as number)))),
  ],
];

/** f64[node] each: sums over steps of |forecast - load|, forecast - load, and load; and f64[1] of |forecast - load| of all. */
interface SumErrors {
  readonly error: Float64Array;
  readonly bias: Float64Array;
  readonly load: Float64Array;
  readonly total: Float64Array;
}

const newErrors = (): SumErrors => ({
  error: new Float64Array(NODES),
  bias: new Float64Array(NODES),
  load: new Float64Array(NODES),
  total: new Float64Array(1),
});

async function sumErrors(
  set: SeriesSet,
  settings: Pick<ForecastSettings, 'isReconciled'>,
): Promise<{ point: SumErrors; mean: SumErrors; hash: string; cycleMs: number }> {
  const forecaster = new HierarchyForecaster(
    { ...FORECAST_DEFAULTS, ...settings },
    { runner: inlineRunner(loadKernels()), random: seededRandom(1n), logger: silentLogger },
  );
  let cyclesMs = 0;
  const errors = { point: newErrors(), mean: newErrors() };
  const means: Float64Array[] = [];
  const origins = lastOrigins(set, {
    horizon: FORECAST_DEFAULTS.horizonSteps,
    count: ORIGINS,
    step: STEP_HOURS,
  });
  let known = (origins[0] as number) - HISTORY_HOURS;
  for (const origin of origins) {
    const startedMs = processorMs();
    await forecaster.observe(profileOf(set, known, origin));
    const forecast = await forecaster.forecast();
    if (origin - known === STEP_HOURS) cyclesMs += processorMs() - startedMs;
    known = origin;
    for (const kind of ['point', 'mean'] as const) {
      const said = driverOf(forecast[kind], forecast);
      addErrors(errors[kind], said, { set, origin });
      if (kind === 'mean') means.push(said);
    }
  }
  forecaster.close();
  return { ...errors, hash: hashOf(means), cycleMs: cyclesMs / (ORIGINS - 1) };
}

/** @param said f64[step][partition] */
function addErrors(
  { error, bias, load, total }: SumErrors,
  said: Float64Array,
  { set, origin }: { readonly set: SeriesSet; readonly origin: number },
): void {
  const { seriesCount, windowCount, values } = set;
  const { ownerOf } = contiguousMap(seriesCount, NODES);
  for (let step = 0; step * seriesCount < said.length; step++) {
    const [forecast, actual] = [new Float64Array(NODES), new Float64Array(NODES)];
    for (let p = 0; p < seriesCount; p++) {
      const node = ownerOf[p] as number;
      forecast[node] = (forecast[node] as number) + (said[step * seriesCount + p] as number);
      actual[node] = (actual[node] as number) + (values[p * windowCount + origin + step] as number);
    }
    total[0] = (total[0] as number) + Math.abs(sumOf(forecast) - sumOf(actual));
    for (let node = 0; node < NODES; node++) {
      const off = (forecast[node] as number) - (actual[node] as number);
      error[node] = (error[node] as number) + Math.abs(off);
      bias[node] = (bias[node] as number) + off;
      load[node] = (load[node] as number) + (actual[node] as number);
    }
  }
}

const sumOf = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);

/** Each event kept with that probability. */
function thinned(set: SeriesSet, share: number): SeriesSet {
  const random = seededRandom(5n);
  const values = set.values.map((count) => {
    let kept = 0;
    for (let i = 0; i < count; i++) if (random.nextFloat() < share) kept++;
    return kept;
  });
  return { ...set, name: `${set.name}, ${share} of it`, values };
}
