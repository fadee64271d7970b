import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import { Packr } from 'msgpackr';
import type { AffinitySettings } from '../../../src/affinity/settings.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { PlanningInput } from '../../../src/controller.ts';
import type { Proposal } from '../../../src/model/proposal.ts';

/** A plan with all that it was made from, so that it can be made again on another machine. */
export interface KeptPlan {
  readonly atMs: number;
  readonly clusterName: string;
  readonly settings: AffinitySettings;
  readonly copiesPerNodeMax: number;
  /** Decimal. */
  readonly seed: string;
  /** Null where no search ran out of time. */
  readonly endedAfter: readonly number[] | null;
  readonly inputs: PlanningInput;
  readonly inputsHash: string;
  /** Of the kernels that searched: with others the plan may be another. */
  readonly kernelHash: string;
  /** See {@link planBytes}. */
  readonly plan: Uint8Array;
}

/** First bytes of the file: another kind of file, or another layout of this one, is told by them. */
const MAGIC = Buffer.from('FSHPLAN2');
const DIGEST_BYTES = 32;
/** Forecasts are numbers with hardly any order: more effort saves little of them. */
const LEVEL = 1;
/** What a file may unfold to; the largest cluster's inputs are a third of it. */
const UNFOLDED_BYTES_MAX = 2 ** 30;

/** A plan as bytes: all of it, in the order of its fields. Two plans are the same where these are. */
export function planBytes(proposal: Proposal): Uint8Array {
  const plain = (_: string, value: unknown): unknown => {
    if (typeof value === 'bigint') return value.toString();
    return ArrayBuffer.isView(value) ? [...(value as Int32Array)] : value;
  };
  return new TextEncoder().encode(JSON.stringify(proposal, plain));
}

/** Magic, SHA-256 of what follows, MessagePack, deflated. */
export async function encodeKeptPlan(kept: KeptPlan): Promise<Uint8Array> {
  const { restingPartitions, openMigrations } = kept.inputs;
  const inputs = {
    ...kept.inputs,
    restingPartitions: [...restingPartitions],
    openMigrations: [...openMigrations],
  };
  const body = await promisify(deflateRaw)(packr().pack({ ...kept, inputs }), { level: LEVEL });
  return Buffer.concat([MAGIC, digestOf(body), body]);
}

/**
 * @param name of the file, for messages.
 * @throws ForeshardError FORESHARD_CORRUPT when it is not what encodeKeptPlan wrote.
 */
export async function decodeKeptPlan(name: string, bytes: Uint8Array): Promise<KeptPlan> {
  const corrupt = (why: string, cause?: unknown): ForeshardError =>
    new ForeshardError('FORESHARD_CORRUPT', 'report', `${name} ${why}`, { cause });
  if (!MAGIC.equals(bytes.subarray(0, MAGIC.length))) throw corrupt('is no kept plan of this version');
  const packed = bytes.subarray(MAGIC.length + DIGEST_BYTES);
  // Most changed bits unfold to another plan, or to what is none, and either would be told as a fault of the planner.
  if (!digestOf(packed).equals(bytes.subarray(MAGIC.length, MAGIC.length + DIGEST_BYTES)))
    throw corrupt('is damaged');
  let kept: Partial<StoredPlan> | null;
  try {
    const body = await promisify(inflateRaw)(packed, { maxOutputLength: UNFOLDED_BYTES_MAX });
    kept = packr().unpack(body) as Partial<StoredPlan> | null;
  } catch (cause) {
    throw corrupt('is damaged', cause);
  }
  if (!(kept?.plan instanceof Uint8Array && kept.inputs?.map && typeof kept.seed === 'string'))
    throw corrupt('holds no plan');
  const { inputs } = kept as StoredPlan;
  const restingPartitions = new Set(inputs.restingPartitions);
  const openMigrations = new Map(inputs.openMigrations);
  return { ...(kept as StoredPlan), inputs: { ...inputs, restingPartitions, openMigrations } };
}

const digestOf = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** As it is packed: maps would come back as objects. */
interface StoredPlan extends Omit<KeptPlan, 'inputs'> {
  readonly inputs: Omit<PlanningInput, 'restingPartitions' | 'openMigrations'> & {
    readonly restingPartitions: readonly number[];
    readonly openMigrations: readonly (readonly [partition: number, node: number])[];
  };
}

/** Without `moreTypes` typed arrays come back as other types. One for each use: it keeps a buffer of the last size. */
const packr = (): Packr => new Packr({ useRecords: false, moreTypes: true });
