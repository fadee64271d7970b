import { ForeshardError } from '../../src/base/errors.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { decodeRecord, encodeRecord } from '../host/records/json-record.ts';
import { commandCostsKey } from '../host/records/record-keys.ts';
import { REDIS_COMMANDS } from './commands.ts';

/** Microseconds that servers took for one call of a command, by its name in lower case, as `INFO commandstats` has it. */
export type CommandCosts = ReadonlyMap<string, number>;

/** `command-costs` in the metadata store, as JSON. */
interface CostsRecord {
  readonly v: 1;
  readonly atMs: number;
  readonly usPerCall: Readonly<Record<string, number>>;
}

export const encodeCommandCosts = (costs: CommandCosts, atMs: number): Uint8Array =>
  encodeRecord({ v: 1, atMs, usPerCall: Object.fromEntries(costs) } satisfies CostsRecord);

const isCostsRecord = ({ v, usPerCall }: CostsRecord): boolean =>
  v === 1 &&
  typeof usPerCall === 'object' &&
  usPerCall !== null &&
  Object.values(usPerCall).every((us) => Number.isFinite(us) && us >= 0);

/**
 * What commands cost, by their code in the capture ring; NaN where it was not measured.
 *
 * @returns f64[command]; undefined where no agent has told.
 * @throws ForeshardError FORESHARD_UNAVAILABLE of the store, FORESHARD_CORRUPT when the record cannot be read.
 */
export async function readCommandCosts(
  metadata: Pick<MetadataStore, 'get'>,
  clusterName: string,
): Promise<Float64Array | undefined> {
  const key = commandCostsKey(clusterName);
  const entry = await metadata.get(key);
  if (entry === undefined) return undefined;
  const { usPerCall } = decodeRecord(key, entry.value, isCostsRecord);
  return Float64Array.from(REDIS_COMMANDS, ({ name }) => usPerCall[name.toLowerCase()] ?? Number.NaN);
}

/** What cannot be read now is read another time; nobody waits for it. */
export async function tryCommandCosts(
  ...from: Parameters<typeof readCommandCosts>
): Promise<Float64Array | undefined> {
  try {
    return await readCommandCosts(...from);
  } catch (error) {
    if (error instanceof ForeshardError) return undefined;
    throw error;
  }
}
