import type { EffectMemory } from '../../../src/analyzer/seasons/calendar-forecaster.ts';
import type {
  DimensionEffect,
  DimensionEffects,
  OccurrenceEffect,
} from '../../../src/analyzer/seasons/occurrence.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { LOAD_DIMENSIONS, type LoadDimension } from '../../../src/model/load-profile.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { decodeRecord, encodeRecord } from '../records/json-record.ts';

/** Log factors in 1/4096: to 0.02 %, up to a factor of 2,980, and 16,384 partitions stay below the 64 KiB of a value. */
const STEPS_PER_LOG = 4096;
const STEPS_MAX = 32_767;
/** Of an event's name in a key; the record holds all of it. */
const NAME_BYTES_MAX = 200;

interface EffectRecord {
  readonly v: 1;
  readonly name: string;
  readonly kind: string;
  readonly startMs: number;
  readonly byPhase: readonly number[];
  /** i16[partition], little endian, in base64. */
  readonly byPartition: string;
  readonly noiseVariance: number;
  /** By dimension, beyond the driver; of an older version: none. */
  readonly byDimension?: Readonly<
    Record<string, { readonly byPhase: readonly number[]; readonly noiseVariance: number }>
  >;
}

/** What past occurrences of events did, in the metadata store: so that a yearly event is known to the next coordinator. */
export class EventEffects implements EffectMemory {
  readonly #metadata: MetadataStore;
  readonly #prefix: string;
  readonly #logger: Logger;

  constructor(components: {
    readonly metadata: MetadataStore;
    readonly prefix: string;
    readonly logger: Logger;
  }) {
    this.#metadata = components.metadata;
    this.#prefix = components.prefix;
    this.#logger = components.logger;
  }

  async load(): Promise<readonly OccurrenceEffect[]> {
    const { entries } = await this.#metadata.list(this.#prefix);
    return entries.flatMap(({ key, value }) => {
      try {
        return [decodeEffect(key, value)];
      } catch (error) {
        if (!(error instanceof ForeshardError)) throw error;
        // One occurrence less is known; the others are worth having.
        this.#logger.warn({ fault: error.message }, 'the effect of an event is left out');
        return [];
      }
    });
  }

  async keep(effect: OccurrenceEffect): Promise<void> {
    const write = { kind: 'put', key: this.#keyOf(effect), value: encodeEffect(effect) } as const;
    await this.#metadata.commit({ conditions: [], writes: [write] });
  }

  async forget(effect: OccurrenceEffect): Promise<void> {
    await this.#metadata.commit({ conditions: [], writes: [{ kind: 'delete', key: this.#keyOf(effect) }] });
  }

  #keyOf({ name, startMs }: OccurrenceEffect): string {
    const short = Buffer.from(name).subarray(0, NAME_BYTES_MAX).toString('base64url');
    return `${this.#prefix}${startMs}/${short}`;
  }
}

function encodeEffect({ byPhase, byPartition, byDimension, ...effect }: OccurrenceEffect): Uint8Array {
  const bytes = Buffer.alloc(2 * byPartition.length);
  byPartition.forEach((log, p) => {
    const steps = Math.round(log * STEPS_PER_LOG);
    bytes.writeInt16LE(Math.max(-STEPS_MAX, Math.min(STEPS_MAX, steps)), 2 * p);
  });
  const record: EffectRecord = {
    v: 1,
    name: effect.name,
    kind: effect.kind,
    startMs: effect.startMs,
    byPhase: [...byPhase],
    byPartition: bytes.toString('base64'),
    noiseVariance: effect.noiseVariance,
    ...(byDimension && { byDimension: plain(byDimension) }),
  };
  return encodeRecord(record);
}

const plain = (effects: DimensionEffects): NonNullable<EffectRecord['byDimension']> =>
  Object.fromEntries(
    Object.entries(effects).map(([dimension, { byPhase, noiseVariance }]) => [
      dimension,
      { byPhase: [...byPhase], noiseVariance },
    ]),
  );

function ofDimensions(record: NonNullable<EffectRecord['byDimension']>): DimensionEffects {
  const effects: Partial<Record<LoadDimension, DimensionEffect>> = {};
  for (const dimension of LOAD_DIMENSIONS) {
    const own = record[dimension];
    if (own === undefined) continue;
    effects[dimension] = { byPhase: Float64Array.from(own.byPhase), noiseVariance: own.noiseVariance };
  }
  return effects;
}

/** @throws ForeshardError FORESHARD_CORRUPT when it is not what encodeEffect wrote. */
function decodeEffect(key: string, value: Uint8Array): OccurrenceEffect {
  const record = decodeRecord(key, value, isEffectRecord);
  const { name, kind, startMs, byPhase, byPartition, noiseVariance, byDimension } = record;
  const bytes = Buffer.from(byPartition, 'base64');
  return {
    name,
    kind,
    startMs,
    byPhase: Float64Array.from(byPhase),
    byPartition: Float32Array.from(
      { length: bytes.length >> 1 },
      (_, p) => bytes.readInt16LE(2 * p) / STEPS_PER_LOG,
    ),
    noiseVariance,
    ...(byDimension && { byDimension: ofDimensions(byDimension) }),
  };
}

const isEffectRecord = (record: EffectRecord): boolean =>
  record.v === 1 &&
  typeof record.name === 'string' &&
  typeof record.kind === 'string' &&
  Number.isFinite(record.startMs) &&
  Array.isArray(record.byPhase) &&
  record.byPhase.length > 0 &&
  record.byPhase.every(Number.isFinite) &&
  typeof record.byPartition === 'string' &&
  record.noiseVariance >= 0 &&
  Object.values(record.byDimension ?? {}).every(
    (own) =>
      Array.isArray(own?.byPhase) &&
      own.byPhase.length === record.byPhase.length &&
      own.byPhase.every(Number.isFinite) &&
      own.noiseVariance >= 0,
  );
