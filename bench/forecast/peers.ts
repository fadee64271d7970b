/** Forecasting libraries that anybody can install, as baselines: each forecasts single series, and says what it cost. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { initSync, MSTL } from '@bsull/augurs/mstl';
import { processorMs } from './processor-time.ts';

/** What a peer says of one series; bounds at 95 %. */
export interface PeerForecast {
  readonly point: readonly number[];
  readonly lower: readonly number[];
  readonly upper: readonly number[];
}

export interface PeerRun {
  readonly forecasts: readonly PeerForecast[];
  /** Processor time of all series together, without start-up. */
  readonly cpuMs: number;
}

/** Forecasts `horizon` hours of each series. */
export type Peer = (histories: readonly Float64Array[], horizon: number) => PeerRun;

const DAY = 24;
const WEEK = 168;
const LEVEL = 0.95;
const require = createRequire(import.meta.url);

/** npm `@bsull/augurs`: MSTL over day and week with AutoETS. */
export function augursMstl(histories: readonly Float64Array[], horizon: number): PeerRun {
  const folder = dirname(require.resolve('@bsull/augurs/mstl'));
  initSync({ module: readFileSync(join(folder, 'mstl_bg.wasm')) });
  const startedMs = processorMs();
  const forecasts = histories.map((history) => {
    const model = MSTL.ets([DAY, WEEK]);
    model.fit(history);
    const { point, intervals } = model.predict(horizon, LEVEL);
    model.free();
    return { point, lower: intervals?.lower ?? point, upper: intervals?.upper ?? point };
  });
  return { forecasts, cpuMs: processorMs() - startedMs };
}

interface ArimaModel {
  train(values: readonly number[]): ArimaModel;
  predict(horizon: number): [number[], number[]];
}

/** Methods of npm `arima`, by its numbers. */
const MAXIMUM_LIKELIHOOD = 1;
const CONDITIONAL_SUM_OF_SQUARES = 2;

/** npm `arima`: SARIMA(2,0,1)(0,1,1)24 by maximum likelihood, on the logarithm. */
export const npmArimaMl: Peer = (histories, horizon) => npmArima(histories, horizon, MAXIMUM_LIKELIHOOD);

/** The same by conditional sum of squares: some 30 times faster, and forecasts of some series leave all bounds. */
export const npmArimaCss: Peer = (histories, horizon) =>
  npmArima(histories, horizon, CONDITIONAL_SUM_OF_SQUARES);

function npmArima(histories: readonly Float64Array[], horizon: number, method: number): PeerRun {
  const Arima = require('arima') as new (options: Record<string, number | boolean>) => ArimaModel;
  const startedMs = processorMs();
  const forecasts = histories.map((history) => {
    const model = new Arima({ p: 2, d: 0, q: 1, P: 0, D: 1, Q: 1, s: DAY, method, verbose: false });
    const [point, variances] = model.train(Array.from(history, Math.log1p)).predict(horizon);
    const bound = (side: number): number[] =>
      point.map((value, step) => Math.expm1(value + side * 1.96 * Math.sqrt(variances[step] as number)));
    return { point: point.map(Math.expm1), lower: bound(-1), upper: bound(1) };
  });
  return { forecasts, cpuMs: processorMs() - startedMs };
}

/** R's `stlf` on two seasons (MSTL and ETS); undefined where R or its package `forecast` is not installed. */
export function rStlf(histories: readonly Float64Array[], horizon: number): PeerRun | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-r-'));
  try {
    const input = join(folder, 'series.csv');
    const output = join(folder, 'forecasts.csv');
    writeFileSync(input, histories.map((history) => history.join(',')).join('\n'));
    const script = fileURLToPath(new URL('stlf.R', scriptFolder()));
    const { status, stdout } = spawnSync('Rscript', ['--vanilla', script, input, output, String(horizon)], {
      encoding: 'utf8',
    });
    if (status !== 0) return undefined;
    const numbers = readFileSync(output, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(',').map(Number));
    const forecasts = histories.map((_, index) => ({
      point: numbers[3 * index] as number[],
      lower: numbers[3 * index + 1] as number[],
      upper: numbers[3 * index + 2] as number[],
    }));
    return { forecasts, cpuMs: 1000 * Number(stdout.trim()) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The script is not compiled: beside this file, or in the sources that the compiled file was made from. */
function scriptFolder(): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL('.', import.meta.url)
    : new URL('../../../bench/forecast/', import.meta.url);
}
