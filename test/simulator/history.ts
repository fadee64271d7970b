/** What clients asked for and were answered, and what the stores really did: the two are compared at the end, and on the way. */
import { findViolation, NOTHING, type RegisterOperation } from './linearizability.ts';

interface Version {
  readonly lsn: number;
  readonly value: number;
}

/** One key: its operations as clients saw them, and its true versions in the order of their lsns. */
class KeyHistory {
  readonly operations: RegisterOperation[] = [];
  versions: Version[] = [];
  /** A takeover has lost what was written last: from then on the history begins anew. */
  cut: { readonly atMs: number; readonly value: number } | null = null;

  /** @param lsn of the state that is asked for. */
  valueAt(lsn: number): number {
    for (let i = this.versions.length - 1; i >= 0; i--) {
      const version = this.versions[i] as Version;
      if (version.lsn <= lsn) return version.value;
    }
    return NOTHING;
  }
}

export class History {
  readonly #keys = new Map<string, KeyHistory>();
  readonly #lsnOf = new Map<number, number>();
  readonly #violate: (what: string) => void;
  writes = 0;
  ownerReads = 0;
  copyReads = 0;

  constructor(violate: (what: string) => void) {
    this.#violate = violate;
  }

  key(name: string): KeyHistory {
    let key = this.#keys.get(name);
    if (!key) {
      key = new KeyHistory();
      this.#keys.set(name, key);
    }
    return key;
  }

  /** An owner has made a client's write durable. Log positions of a partition are never used twice (I3, I5). */
  wrote(partitionId: number, name: string, lsn: number, value: number): void {
    const last = this.#lsnOf.get(partitionId) ?? 0;
    if (lsn <= last) this.#violate(`partition ${partitionId}: lsn ${lsn} of ${name} was written already`);
    this.#lsnOf.set(partitionId, Math.max(lsn, last));
    this.key(name).versions.push({ lsn, value });
  }

  /** I9: whoever becomes the owner at `lsn` holds what was written up to there, and nothing later was written. */
  checkOwner(
    partitionId: number,
    lsn: number,
    names: readonly string[],
    read: (name: string) => number,
  ): void {
    const last = this.#lsnOf.get(partitionId) ?? 0;
    if (last > lsn)
      this.#violate(`partition ${partitionId}: the owner stands at ${lsn}, lsn ${last} was written`);
    for (const name of names) {
      const [expected, found] = [this.key(name).valueAt(lsn), read(name)];
      if (expected !== found)
        this.#violate(
          `${name}: the owner of partition ${partitionId} at ${lsn} has ${found}, not ${expected}`,
        );
    }
  }

  /** An operator's takeover keeps what the copy has, and accepts that the rest is lost. */
  takenOver(partitionId: number, keptLsn: number, names: readonly string[], atMs: number): void {
    this.#lsnOf.set(partitionId, Math.min(keptLsn, this.#lsnOf.get(partitionId) ?? 0));
    for (const name of names) {
      const key = this.key(name);
      key.versions = key.versions.filter((version) => version.lsn <= keptLsn);
      key.cut = { atMs, value: key.valueAt(keptLsn) };
    }
  }

  /** Every key by itself: registers compose, so the whole is linearizable when each key is. */
  checkLinearizability(): void {
    for (const [name, { operations, cut }] of this.#keys) {
      if (cut === null) this.#check(name, operations, NOTHING);
      else {
        this.#check(name, beforeCut(operations, cut.atMs), NOTHING);
        const since = operations.filter(({ calledAtMs }) => calledAtMs >= cut.atMs);
        this.#check(name, since, cut.value);
      }
    }
  }

  #check(name: string, operations: readonly RegisterOperation[], initialValue: number): void {
    const longest = findViolation(operations, initialValue);
    if (longest === null) return;
    this.#violate(
      `${name}: ${operations.length} operations cannot be explained beyond ${longest.map(describe).join(' ')}: ` +
        operations.map(describe).join(' '),
    );
  }
}

/** What was under way at the cut may have been done, and lost. */
const beforeCut = (operations: readonly RegisterOperation[], atMs: number): RegisterOperation[] =>
  operations.flatMap((operation) => {
    if (operation.calledAtMs >= atMs) return [];
    if (operation.returnedAtMs < atMs) return [operation];
    return operation.kind === 'read' ? [] : [{ ...operation, returnedAtMs: Infinity, mayBeLost: true }];
  });

const describe = ({ kind, value, calledAtMs, returnedAtMs, mayBeLost }: RegisterOperation): string =>
  `${kind === 'write' ? 'w' : 'r'}${value}${mayBeLost ? '?' : ''}` +
  `[${Math.round(calledAtMs - 1_000_000)},${Math.round(returnedAtMs - 1_000_000)}]`;

export const encodeValue = (value: number): Uint8Array => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
};

export const decodeValue = (bytes: Uint8Array | undefined): number =>
  bytes ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) : NOTHING;
