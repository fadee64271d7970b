import { bad, type LogRecord, type Rejection } from '../log-record.ts';
import { isHttpWrite, isSqlWrite, queryKindOf } from '../query-kind.ts';
import { quoted } from '../quoted.ts';
import { isRedisWrite } from '../redis-commands.ts';
import type { TimestampReader } from '../timestamp.ts';

/** The fields of JSON Lines and CSV, as they stand there; `undefined`, null and an empty text all mean: not given. */
export interface RawFields {
  readonly time: unknown;
  readonly client?: unknown;
  readonly query?: unknown;
  readonly key?: unknown;
  readonly keys?: unknown;
  readonly latencyMs?: unknown;
  readonly bytes?: unknown;
  readonly write?: unknown;
}

/** @param names of the fields that there are; none while no line has been read. */
export function noQueryNotes(names: readonly string[]): readonly string[] {
  if (names.length === 0) return [];
  const shown = names.slice(0, FIELDS_SHOWN).map((name) => quoted(name));
  const more = names.length > FIELDS_SHOWN ? `, and ${names.length - FIELDS_SHOWN} more` : '';
  return [
    `no field "query" was found, so that what was asked is not known and stands as KEY; the fields are ${shown.join(', ')}${more}`,
  ];
}

const FIELDS_SHOWN = 12;

const BEYOND_ASCII = /\P{ASCII}/u;

/** A key's bytes, each as one latin-1 character: what its hash slot is computed from. */
export const asBytes = (key: string): string =>
  BEYOND_ASCII.test(key) ? Buffer.from(key, 'utf8').toString('latin1') : key;

/** One record from its fields, or what is wrong with the first wrong one. */
export function recordOf(raw: RawFields, times: TimestampReader): LogRecord | Rejection {
  const timeMs = times.epochOrIso(raw.time);
  if (Number.isNaN(timeMs))
    return isGiven(raw.time)
      ? bad(`time ${quoted(raw.time)} is neither ISO 8601 nor epoch milliseconds`)
      : bad('time is missing');
  const keys = keysOf(raw);
  if (keys === null) return bad('keys is not a list of texts');
  if (isGiven(raw.query) && typeof raw.query !== 'string') return bad('query is not a text');
  const query = isGiven(raw.query) ? (raw.query as string) : '';
  if (query === '' && keys.length === 0) return bad('there is neither a query nor a key');
  const latencyMs = amountOf(raw.latencyMs);
  if (Number.isNaN(latencyMs)) return bad(`latencyMs ${quoted(raw.latencyMs)} is not a number >= 0`);
  const bytes = amountOf(raw.bytes);
  if (Number.isNaN(bytes)) return bad(`bytes ${quoted(raw.bytes)} is not a number >= 0`);
  const write = truthOf(raw.write);
  if (write === null) return bad(`write ${quoted(raw.write)} is neither true nor false`);
  const kind = queryKindOf(query, keys.length);
  // A log that names keys only: what was done with them is not known.
  // Some logs tell a command with its arguments; the keys have been told apart.
  const name = kind === 'command' ? (query.trim().split(/\s/, 1)[0] as string).toUpperCase() || 'KEY' : query;
  const client = isGiven(raw.client) ? String(raw.client) : '';
  return {
    timeMs,
    client,
    kind,
    query: name,
    keys,
    isWrite: write ?? isWriteOf(kind, name),
    latencyMs,
    bytes,
  };
}

function isWriteOf(kind: LogRecord['kind'], query: string): boolean {
  if (kind === 'sql') return isSqlWrite(query);
  if (kind === 'http') return isHttpWrite(query.slice(0, query.indexOf(' ')));
  return kind === 'command' && query !== 'KEY' && isRedisWrite(query);
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null && value !== '';

/** `key` is one; `keys` a list, a JSON array in a text, or words separated by spaces. */
function keysOf({ key, keys }: RawFields): string[] | null {
  if (isGiven(key)) return typeof key === 'string' || typeof key === 'number' ? [asBytes(String(key))] : null;
  if (!isGiven(keys)) return [];
  const list = typeof keys === 'string' ? listIn(keys) : keys;
  if (!Array.isArray(list) || !list.every((one) => typeof one === 'string' || typeof one === 'number'))
    return null;
  return list.map((one) => asBytes(String(one)));
}

function listIn(text: string): unknown {
  if (!text.startsWith('[')) return text.split(' ').filter((word) => word !== '');
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Undefined where not given, NaN where it is no amount. */
function amountOf(value: unknown): number | undefined {
  if (!isGiven(value)) return undefined;
  const amount = typeof value === 'boolean' ? Number.NaN : Number(value);
  return amount >= 0 && Number.isFinite(amount) ? amount : Number.NaN;
}

/** Undefined where not given, null where it is neither. */
function truthOf(value: unknown): boolean | undefined | null {
  if (!isGiven(value)) return undefined;
  if (/^(true|1|yes|t|y)$/i.test(String(value))) return true;
  return /^(false|0|no|f|n)$/i.test(String(value)) ? false : null;
}
