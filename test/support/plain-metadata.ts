import {
  conditionHolds,
  type MetadataEntry,
  type MetadataTransaction,
} from '../../src/ports/metadata-store.ts';

/** As much of a metadata store as the executor and an operator's commands ask for, in memory. */
export class PlainMetadata {
  readonly entries = new Map<string, MetadataEntry>();
  #revision = 0;

  put(key: string, value: Uint8Array): void {
    this.#set(key, value, ++this.#revision);
  }

  #set(key: string, value: Uint8Array, revision: number): void {
    const createRevision = this.entries.get(key)?.createRevision ?? revision;
    this.entries.set(key, { key, value, revision, createRevision });
  }

  async get(key: string): Promise<MetadataEntry | undefined> {
    return this.entries.get(key);
  }

  async list(prefix: string) {
    const entries = [...this.entries.values()].filter(({ key }) => key.startsWith(prefix));
    return { entries, revision: this.#revision };
  }

  async commit({ conditions, writes }: MetadataTransaction) {
    const failed = conditions.find(
      (condition) => !conditionHolds(condition, this.entries.get(condition.key)),
    );
    if (failed !== undefined) return { isCommitted: false as const, failed };
    this.#revision++;
    for (const write of writes)
      if (write.kind === 'put') this.#set(write.key, write.value, this.#revision);
      else this.entries.delete(write.key);
    return { isCommitted: true as const, revision: this.#revision };
  }
}
