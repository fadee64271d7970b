/** What a client of the query node may do: the three rights, and the key prefixes they are limited to. */

export const RIGHT_READ = 1;
export const RIGHT_WRITE = 2;
export const RIGHT_ADMIN = 4;

/** Bits of RIGHT_…. */
export type Rights = number;

const RIGHT_NAMES: readonly (readonly [name: string, bit: Rights])[] = [
  ['read', RIGHT_READ],
  ['write', RIGHT_WRITE],
  ['admin', RIGHT_ADMIN],
];

export interface ClientAccess {
  readonly user: string;
  readonly rights: Rights;
  /** Keys the client may name begin with one of these; empty: all keys. */
  readonly prefixes: readonly Buffer[];
}

/** Of whoever gave the one password, and of everybody where nobody has to authenticate. */
export const FULL_ACCESS: ClientAccess = Object.freeze({
  user: 'default',
  rights: RIGHT_READ | RIGHT_WRITE | RIGHT_ADMIN,
  prefixes: [],
});

/** @returns null unless `text` is a list such as `read,write`, each word once. */
export function parseRights(text: string): Rights | null {
  let rights = 0;
  for (const word of text.split(',')) {
    const bit = RIGHT_NAMES.find(([name]) => name === word)?.[1] ?? 0;
    if (bit === 0 || (rights & bit) !== 0) return null;
    rights |= bit;
  }
  return rights;
}

export const rightsText = (rights: Rights): string =>
  RIGHT_NAMES.filter(([, bit]) => (rights & bit) !== 0)
    .map(([name]) => name)
    .join(',');

/** @param start,end the key in `source`. */
export function mayNameKey(access: ClientAccess, source: Buffer, start: number, end: number): boolean {
  const { prefixes } = access;
  if (prefixes.length === 0) return true;
  return prefixes.some(
    (prefix) =>
      prefix.length <= end - start &&
      source.compare(prefix, 0, prefix.length, start, start + prefix.length) === 0,
  );
}
