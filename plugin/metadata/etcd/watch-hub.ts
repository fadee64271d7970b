import type { Etcd3, Watcher } from 'etcd3';

/**
 * Hints for watchers, one stream of etcd a prefix. A watch of etcd may stall (a member that is cut off from its leader says
 * nothing) and ends when what it would resume from has been compacted. So every stream that ends is made anew, with a hint;
 * and `hintAll` tells everybody when the store has been seen to move on without a hint.
 */
export class WatchHub {
  readonly #client: Etcd3;
  readonly #streams = new Map<string, PrefixStream>();
  /** The highest revision of which some stream has told. */
  #toldRevision = 0;

  constructor(client: Etcd3) {
    this.#client = client;
  }

  get watcherCount(): number {
    let count = 0;
    for (const stream of this.#streams.values()) count += stream.onHints.size;
    return count;
  }

  watch(prefix: string, onHint: () => void): () => void {
    const stream = this.#streams.get(prefix) ?? this.#open(prefix);
    // The same function may watch twice.
    const own = (): void => onHint();
    stream.onHints.add(own);
    return () => {
      stream.onHints.delete(own);
      if (stream.onHints.size > 0 || this.#streams.get(prefix) !== stream) return;
      this.#streams.delete(prefix);
      stream.close();
    };
  }

  /** The store is known to be at `revision`: whoever may have missed something is told, once. */
  noteRevision(revision: number): void {
    if (revision <= this.#toldRevision) return;
    this.#toldRevision = revision;
    for (const stream of this.#streams.values()) stream.hint();
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }

  #open(prefix: string): PrefixStream {
    const stream = new PrefixStream(this.#client, prefix, (revision) => {
      this.#toldRevision = Math.max(this.#toldRevision, revision);
    });
    this.#streams.set(prefix, stream);
    return stream;
  }
}

/** After a watch that etcd ended or refused the next is tried: soon, since meanwhile nobody is told of anything. */
const AGAIN_MS = 250;

class PrefixStream {
  readonly onHints = new Set<() => void>();
  readonly #client: Etcd3;
  readonly #prefix: string;
  readonly #onRevision: (revision: number) => void;
  #watcher: Watcher | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(client: Etcd3, prefix: string, onRevision: (revision: number) => void) {
    this.#client = client;
    this.#prefix = prefix;
    this.#onRevision = onRevision;
    this.#begin();
  }

  hint(): void {
    for (const onHint of [...this.onHints]) onHint();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer) clearTimeout(this.#timer);
    // It ends with the client's stream at the latest; nobody waits for it.
    void this.#watcher?.cancel().catch(() => {});
  }

  #begin(): void {
    // `create()` would answer only once connected; what is missed until then is made up for by the hint at "connected".
    const watcher = this.#client.watch().prefix(this.#prefix).watcher();
    this.#watcher = watcher;
    watcher.on('connected', () => this.hint());
    watcher.on('data', ({ header }) => {
      this.#onRevision(Number(header.revision));
      this.hint();
    });
    // The library reconnects by itself after a lost connection; an error is the end of this watch.
    watcher.on('error', () => this.#again());
    watcher.on('end', () => this.#again());
  }

  #again(): void {
    if (this.#isClosed || this.#timer) return;
    void this.#watcher?.cancel().catch(() => {});
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (!this.#isClosed) this.#begin();
    }, AGAIN_MS);
    this.#timer.unref();
  }
}
