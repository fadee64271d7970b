import { Packr } from 'msgpackr';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Forecast } from '../../../src/model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';

/** Bytes of one value: below what one request to etcd may have, with room for its key. */
const CHUNK_BYTES_MAX = 512 * 1024;
/** One byte a number: 255 steps on a log scale, 3 % apart for loads of up to a thousand. */
const LEVELS = 255;
const QUERIES = dimensionIndex('queries');

const packr = new Packr({ useRecords: false, moreTypes: true });

/** `forecast/<chunk>`: what people are shown of the last forecast, to 3 %. Plans are made from the forecast itself. */
interface ForecastChunk {
  readonly v: 1;
  readonly startMs: number;
  readonly stepMs: number;
  readonly horizonSteps: number;
  readonly partitionCount: number;
  /** Partitions of this chunk. */
  readonly first: number;
  readonly count: number;
  /** What level 255 stands for. */
  readonly queriesMax: number;
  /** u8[partition][step] */
  readonly levels: Uint8Array;
}

/** Queries a step, of one dimension only: what a heat map is drawn from. */
export interface PublishedForecast {
  readonly startMs: number;
  readonly stepMs: number;
  readonly horizonSteps: number;
  readonly partitionCount: number;
  /** f32[partition][step], means. */
  readonly queries: Float32Array;
}

const levelOf = (queries: number, queriesMax: number): number =>
  queriesMax > 0 ? Math.round((LEVELS * Math.log1p(queries)) / Math.log1p(queriesMax)) : 0;

const queriesOf = (level: number, queriesMax: number): number =>
  Math.expm1((level / LEVELS) * Math.log1p(queriesMax));

export function encodeForecast({
  startMs,
  stepMs,
  horizonSteps,
  partitionCount,
  mean,
}: Pick<Forecast, 'startMs' | 'stepMs' | 'horizonSteps' | 'partitionCount' | 'mean'>): Uint8Array[] {
  const at = (partition: number, step: number): number =>
    mean[(step * partitionCount + partition) * LOAD_DIMENSION_COUNT + QUERIES] as number;
  let queriesMax = 0;
  for (let i = QUERIES; i < mean.length; i += LOAD_DIMENSION_COUNT)
    queriesMax = Math.max(queriesMax, mean[i] as number);
  const partitionsMax = Math.max(1, Math.floor(CHUNK_BYTES_MAX / horizonSteps));
  const chunks: Uint8Array[] = [];
  for (let first = 0; first < partitionCount; first += partitionsMax) {
    const count = Math.min(partitionsMax, partitionCount - first);
    const levels = new Uint8Array(count * horizonSteps);
    for (let p = 0; p < count; p++)
      for (let step = 0; step < horizonSteps; step++)
        levels[p * horizonSteps + step] = levelOf(at(first + p, step), queriesMax);
    const shape = { startMs, stepMs, horizonSteps, partitionCount, first, count };
    // A copy: the packr's own buffer is written to again.
    chunks.push(Uint8Array.from(packr.pack({ v: 1, ...shape, queriesMax, levels } satisfies ForecastChunk)));
  }
  return chunks;
}

/** @throws ForeshardError FORESHARD_CORRUPT unless it is what encodeForecast writes. */
function decodeChunk(key: string, value: Uint8Array): ForecastChunk {
  let chunk: ForecastChunk;
  try {
    chunk = packr.unpack(value) as ForecastChunk;
  } catch (cause) {
    throw new ForeshardError('FORESHARD_CORRUPT', 'report', `forecast at ${key} cannot be read`, { cause });
  }
  const isCount = (number: unknown): boolean => Number.isSafeInteger(number) && (number as number) >= 0;
  const isWhole =
    chunk?.v === 1 &&
    [chunk.first, chunk.count, chunk.horizonSteps, chunk.partitionCount].every(isCount) &&
    [chunk.startMs, chunk.stepMs, chunk.queriesMax].every((number) => Number.isFinite(number)) &&
    chunk.first + chunk.count <= chunk.partitionCount &&
    chunk.partitionCount <= 16_384 &&
    chunk.levels instanceof Uint8Array &&
    chunk.levels.length === chunk.count * chunk.horizonSteps;
  if (!isWhole)
    throw new ForeshardError('FORESHARD_CORRUPT', 'report', `forecast at ${key}: fields of the wrong kind`);
  return chunk;
}

/** The last forecast that a coordinator has published; undefined before the first, or while another is being written. */
export async function readForecast(
  metadata: Pick<MetadataStore, 'list'>,
  prefix: string,
): Promise<PublishedForecast | undefined> {
  const { entries } = await metadata.list(prefix);
  const chunks = entries.map(({ key, value }) => decodeChunk(key, value));
  const [first] = chunks;
  if (first === undefined) return undefined;
  const { startMs, stepMs, horizonSteps, partitionCount } = first;
  const queries = new Float32Array(partitionCount * horizonSteps);
  let seen = 0;
  for (const chunk of chunks) {
    // Chunks are written one after the other: of two forecasts none is shown.
    if (chunk.startMs !== startMs || chunk.partitionCount !== partitionCount) return undefined;
    if (chunk.horizonSteps !== horizonSteps) return undefined;
    const { levels, queriesMax } = chunk;
    for (let i = 0; i < levels.length; i++)
      queries[chunk.first * horizonSteps + i] = queriesOf(levels[i] as number, queriesMax);
    seen += chunk.count;
  }
  return seen === partitionCount ? { startMs, stepMs, horizonSteps, partitionCount, queries } : undefined;
}
