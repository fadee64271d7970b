/** Reads that wait at once; beyond it they are told at once that the copy is behind. */
const WAITING_MAX = 1_024;
/** How often a waiting read is looked at, a millisecond apart: a log entry's way from the source takes about a round trip. */
const LOOKS_MAX = 5;

export interface WaitingRead<Channel> {
  readonly channel: Channel;
  /** The request as it came; memory of its own. */
  readonly request: Buffer;
  readonly partitionId: number;
  readonly minLsn: number;
}

/**
 * Reads at copies that have not applied what their readers have seen, oldest first. Asked anew every millisecond: the
 * entries they wait for come in transactions of their own, and nobody is told of those.
 */
export class CopyWaits<Channel> {
  #reads: (WaitingRead<Channel> & { looksLeft: number })[] = [];
  /** Reads that waited before the group that runs now. */
  #keptCount = 0;

  get count(): number {
    return this.#reads.length;
  }

  /** @returns false when too many wait already. */
  wait(read: Omit<WaitingRead<Channel>, 'request'>, request: Uint8Array): boolean {
    if (this.#reads.length >= WAITING_MAX) return false;
    this.#reads.push({ ...read, request: Buffer.from(request), looksLeft: LOOKS_MAX });
    return true;
  }

  /** The group in which they came has ended well. */
  keepGroup(): void {
    this.#keptCount = this.#reads.length;
  }

  /** The group is run again, and they will come again. */
  dropGroup(): void {
    this.#reads.length = this.#keptCount;
  }

  /** A look: takes out what need not wait any more, and what must not. */
  look(hasApplied: (read: WaitingRead<Channel>) => boolean): {
    readonly ready: WaitingRead<Channel>[];
    readonly late: WaitingRead<Channel>[];
  } {
    const ready: WaitingRead<Channel>[] = [];
    const late: WaitingRead<Channel>[] = [];
    this.#reads = this.#reads.filter((read) => {
      if (hasApplied(read)) ready.push(read);
      else if (--read.looksLeft <= 0) late.push(read);
      else return true;
      return false;
    });
    this.#keptCount = this.#reads.length;
    return { ready, late };
  }
}
