import { ForeshardError } from '../../../src/base/errors.ts';

/** What every answer of etcd begins with. */
export interface ResponseHeader {
  readonly cluster_id: string;
  readonly revision: string;
}

/**
 * Refuses a store that is not the one it was, or that has forgotten: etcd restored from a backup, or another etcd at the same
 * address. Leaders and epochs that were given out since would be given out again.
 *
 * A request that was sent when revision r had been seen is answered at r or later by every member that answers
 * linearizably. Answers may overtake each other, so each is held to what was known when its request went out.
 */
export class RevisionGuard {
  #clusterId: string | null = null;
  #revision = 0;
  #failure: ForeshardError | null = null;

  /** The highest revision seen. */
  get revision(): number {
    return this.#revision;
  }

  /** Why the store is not used any more, if so. */
  get failure(): ForeshardError | null {
    return this.#failure;
  }

  /**
   * @param sentAt the highest revision that was known when the request was sent.
   * @throws ForeshardError FORESHARD_STALE_EPOCH, for ever after.
   */
  take({ cluster_id: clusterId, revision: text }: ResponseHeader, sentAt: number): number {
    const revision = Number(text);
    this.#clusterId ??= clusterId;
    if (clusterId !== this.#clusterId)
      this.#fail(`this is etcd cluster ${clusterId}, it was ${this.#clusterId}`);
    if (revision < sentAt)
      this.#fail(`the metadata store is at revision ${revision}, it has been at ${sentAt}`);
    if (this.#failure) throw this.#failure;
    this.#revision = Math.max(this.#revision, revision);
    return revision;
  }

  #fail(what: string): void {
    this.#failure ??= new ForeshardError(
      'FORESHARD_STALE_EPOCH',
      'restart',
      `${what}: was it restored from a backup? Owners serve on, and nothing is migrated. Stop all nodes, start the storage nodes, run \`foreshard resync\`, then start the query nodes`,
    );
  }
}
