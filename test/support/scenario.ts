/** What the scenarios share: keys of a partition, numbered writes, a migration that is opened by hand, patience. */
import type { Redis } from 'ioredis';
import { openMigration as openByHand } from '../../bench/open-migration.ts';
import { partitionOfSlot } from '../../src/model/partition-map.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { keySlot } from '../../src/routing/key-slot.ts';
import { DEFAULT_SETTINGS } from '../../src/settings.ts';

export const CLUSTER = DEFAULT_SETTINGS.cluster.name;

export const sleep = (delayMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, delayMs));

/** Keys under one tag, all of one partition. */
export function keysOf(partitionId: number, options: { partitionCount: number; count: number }): string[] {
  for (let i = 0; ; i++) {
    const tag = Buffer.from(`{p${i}}`);
    if (partitionOfSlot(keySlot(tag, 0, tag.length), options.partitionCount) === partitionId)
      return Array.from({ length: options.count }, (_, key) => `${tag}:${key}`);
  }
}

/** Writers that number their writes; a write without an answer may or may not have happened. */
export class NumberedWrites {
  readonly #client: Redis;
  readonly #keys: readonly string[];
  readonly #attempted = new Map<string, number>();
  readonly #acknowledged = new Map<string, number>();
  readonly #running: Promise<void>[];
  #isEnding = false;
  acknowledgedCount = 0;
  failedCount = 0;

  constructor(client: Redis, keys: readonly string[]) {
    this.#client = client;
    this.#keys = keys;
    this.#running = keys.map((key) => this.#writeOn(key));
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#running);
  }

  /** @param client another one, where the writers' own is gone. */
  async findLost(client = this.#client): Promise<string[]> {
    const lost: string[] = [];
    for (const key of this.#keys) {
      const value = Number((await client.get(key)) ?? 0);
      const [acknowledged, attempted] = [this.#acknowledged.get(key) ?? 0, this.#attempted.get(key) ?? 0];
      if (value < acknowledged || value > attempted)
        lost.push(`${key} is ${value}, acknowledged ${acknowledged}, attempted ${attempted}`);
    }
    return lost;
  }

  async #writeOn(key: string): Promise<void> {
    for (let seq = 1; !this.#isEnding; seq++) {
      this.#attempted.set(key, seq);
      try {
        await this.#client.set(key, String(seq));
        this.#acknowledged.set(key, seq);
        this.acknowledgedCount++;
      } catch {
        this.failedCount++;
        await sleep(5); // the node is down: an error reply, not an acknowledgement
      }
      await sleep(2);
    }
  }
}

/** @returns the source. */
export const openMigration = (
  metadata: MetadataStore,
  move: { readonly partitionId: number; readonly targetNodeId: number },
): Promise<number> => openByHand(metadata, { clusterName: CLUSTER, ...move });

/** Waits for a claim to become true. */
export async function until(claim: () => Promise<boolean>, what: string, timeoutMs = 30_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await claim())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(2);
  }
}
