import type { MetadataStore, MetadataWrite } from '../../ports/metadata-store.ts';
import type { Patience } from '../claims.ts';

export interface MetadataParts extends Patience {
  /** Two clients of the one store, as two processes have them. */
  readonly one: MetadataStore;
  readonly two: MetadataStore;
  /** Of every key that a case writes. */
  readonly prefix: string;
  /** The least time to live that the store can keep. */
  readonly ttlMs: number;
  readonly compact: () => Promise<void>;
}

export interface MetadataCase {
  /** A behaviour. */
  readonly name: string;
  readonly needs?: 'compact';
  readonly check: (parts: MetadataParts) => Promise<void>;
}

/** Long enough for a hint that must not come, or a leader that must not be elected, to show itself. */
export const LOOK_AGAIN_MS = 150;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export const put = (key: string, text: string): MetadataWrite => ({ kind: 'put', key, value: bytes(text) });

export const remove = (key: string): MetadataWrite => ({ kind: 'delete', key });

/** Without a condition. @throws whatever the store throws. */
export const write = (store: MetadataStore, ...writes: MetadataWrite[]) =>
  store.commit({ conditions: [], writes });

/** @returns undefined where there is no such key. */
export async function textOf(store: MetadataStore, key: string): Promise<string | undefined> {
  const entry = await store.get(key);
  return entry && new TextDecoder().decode(entry.value);
}

/** Of a key that is there. */
export async function revisionOf(store: MetadataStore, key: string): Promise<number> {
  const entry = await store.get(key);
  if (entry === undefined) throw new Error(`${key} was written, and is not there`);
  return entry.revision;
}

/** Announces a text. */
export const announce = (store: MetadataStore, key: string, text: string, ttlMs: number) =>
  store.announce({ key, value: bytes(text), ttlMs });
