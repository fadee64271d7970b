import type { Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';
import {
  forward,
  LSTM_FIRST_OUTPUT,
  LSTM_HIDDEN,
  LSTM_STEPS,
  type LstmModel,
  type LstmSamples,
  type LstmSeries,
  lossOf,
  lstmWeightsOf,
  lstmWorkBytes,
  workOf,
  writeRow,
} from './lstm-model.ts';
import { liftToZero } from './series-rows.ts';

/** Sequences that a step of Adam averages. */
export const LSTM_BATCH_SEQUENCES = 32;
/** Of the gradient of a batch per sequence and output; only spikes exceed it. */
const GRADIENT_NORM_MAX = 1;
/** The rate falls to this share of itself along half a cosine. */
const RATE_LAST_SHARE = 0.05;

/** Some batches of a fit, which may be all: it can be spread over several jobs. */
export interface LstmTrainParameters extends LstmSamples {
  /** Length of a step of Adam when the fit begins. */
  readonly rate: number;
  /** Batches that the whole fit has, and how many of them were learnt from before these samples. */
  readonly batchCount: number;
  readonly batchesBefore: number;
  /** Steps of Adam made before this job, in this fit and in those that its moments are from. */
  readonly stepsBefore: number;
}

export interface LstmPredictParameters {
  readonly model: LstmModel;
  readonly input: LstmSeries;
  readonly firstPartition: number;
  readonly count: number;
  /** f64[count][horizon]. */
  readonly out: Pointer;
}

/** Learns from the samples in order, a batch at a time; returns the steps of Adam made. */
const lstmTrain: Job<LstmTrainParameters, { readonly steps: number }> = {
  run(context, parameters) {
    const { exports } = context;
    const { model, count, rate, batchCount, batchesBefore, stepsBefore } = parameters;
    const work = workOf(exports, model, model.work);
    const samples = new Int32Array(context.buffer, parameters.samples, count * 2);
    const batches = Math.ceil(count / LSTM_BATCH_SEQUENCES);
    const weightCount = lstmWeightsOf(exports, model.corrected);
    let steps = 0;
    // A batch takes about 2 ms.
    for (; steps < batches && !context.isCancelled(); steps++) {
      const first = steps * LSTM_BATCH_SEQUENCES;
      const end = Math.min(count, first + LSTM_BATCH_SEQUENCES);
      for (let index = first; index < end; index++) {
        const sample = {
          partition: samples[index * 2] as number,
          origin: samples[index * 2 + 1] as number,
        };
        lossOf(exports, work, parameters, sample);
        exports.lstmBackward(
          model.weights,
          LSTM_STEPS,
          exports.lstmInputCount(),
          LSTM_HIDDEN,
          exports.lstmOutputCount(model.corrected),
          LSTM_FIRST_OUTPUT,
          work.trace,
          work.out,
          model.gradients,
        );
      }
      const cosine = (1 + Math.cos((Math.PI * (batchesBefore + steps)) / batchCount)) / 2;
      exports.lstmAdam(
        model.weights,
        model.gradients,
        model.moments,
        weightCount,
        (end - first) * (LSTM_STEPS - LSTM_FIRST_OUTPUT),
        GRADIENT_NORM_MAX,
        rate * (RATE_LAST_SHARE + (1 - RATE_LAST_SHARE) * cosine),
        stepsBefore + steps + 1,
      );
      context.reportProgress(steps + 1);
    }
    return { steps };
  },
  warmUp: warmUpLstm,
};

/** The mean loss of the samples, nothing learnt. */
const lstmScore: Job<LstmSamples, { readonly loss: number }> = {
  run(context, parameters) {
    const { exports } = context;
    const { model, count } = parameters;
    const work = workOf(exports, model, model.work);
    const samples = new Int32Array(context.buffer, parameters.samples, count * 2);
    let loss = 0;
    for (let index = 0; index < count; index++) {
      const sample = {
        partition: samples[index * 2] as number,
        origin: samples[index * 2 + 1] as number,
      };
      loss += lossOf(exports, work, parameters, sample);
    }
    return { loss: loss / (count * (LSTM_STEPS - LSTM_FIRST_OUTPUT) * model.corrected) };
  },
};

/** What the network says of each partition's next windows; returns for how many it has said it. */
const lstmPredict: Job<LstmPredictParameters, { readonly count: number }> = {
  run(context, parameters) {
    const { exports, buffer } = context;
    const { model, input, firstPartition, count, out } = parameters;
    const { corrected, horizon } = model;
    const work = workOf(exports, model, model.work);
    const last = LSTM_STEPS - 1;
    // 512 partitions take about 8 ms.
    for (let index = 0; index < count && !context.isCancelled(); index++) {
      const partition = firstPartition + index;
      const result = out + index * horizon * 8;
      const origin = input.length;
      const options = { input, corrected, partition, origin, firstOutput: last, isTraining: false };
      const scale = writeRow(exports, work, options);
      forward(exports, model, work, last);
      // The same base as the row's, for the whole horizon.
      const base = exports.lstmBase(
        input.series + partition * input.stride * 8,
        origin,
        input.dayWindows,
        input.weekWindows,
        horizon,
        work.scratch,
      );
      new Uint8Array(buffer).copyWithin(result, base, base + horizon * 8);
      exports.lstmMix(work.out, work.contrasts, base, corrected, scale, result);
    }
    liftToZero(new Float64Array(buffer, out, count * horizon));
    return { count };
  },
};

/** A model of one output band on a made-up series, often enough for V8 to optimise the passes. */
function warmUpLstm(context: JobContext, scratch: { readonly pointer: Pointer }): void {
  const { exports, buffer } = context;
  const [corrected, stride, weekWindows] = [16, 1024, 168];
  const bytes = lstmWeightsOf(exports, corrected) * 4;
  const model: LstmModel = {
    corrected,
    horizon: corrected,
    weights: scratch.pointer,
    gradients: scratch.pointer + bytes,
    moments: scratch.pointer + 2 * bytes,
    work: scratch.pointer + 4 * bytes,
  };
  const series = model.work + lstmWorkBytes(exports, model);
  const values = new Float64Array(buffer, series, stride);
  for (let i = 0; i < stride; i++) values[i] = 3 + Math.sin((i * Math.PI) / 12) + ((i * 7919) % 101) / 101;
  const samples = series + stride * 8;
  const count = 8 * LSTM_BATCH_SEQUENCES;
  new Int32Array(buffer, samples, count * 2).forEach((_, i, list) => {
    list[i] = i % 2 === 0 ? 0 : 400 + i;
  });
  const phases = samples + count * 8;
  const input: LstmSeries = {
    series,
    stride,
    length: stride,
    outages: 0,
    dayWindows: 24,
    weekWindows,
    phases,
    phase: 0,
  };
  const fit = { rate: 0.01, batchCount: 8, batchesBefore: 0, stepsBefore: 0 };
  lstmTrain.run(context, { model, input, samples, count, ...fit });
  const out = phases + weekWindows * 24;
  for (let repeat = 0; repeat < 50; repeat++)
    lstmPredict.run(context, { model, input, firstPartition: 0, count: 1, out });
}

export const lstmJobs = { lstmTrain, lstmScore, lstmPredict };
