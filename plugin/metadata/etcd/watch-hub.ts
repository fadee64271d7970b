import type { Etcd3, Watcher } from 'etcd3';

/**
 * Hints for watchers, one stream of etcd a prefix. A watch of etcd may stall (a member that is cut off from its leader says
 * nothing) and ends when what it would resume from has been compacted. So every stream that ends is made anew, with a hint;
 * and `note` tells a prefix when it has been seen to change without a hint.
 */
export class WatchHub {
  readonly #client: Etcd3;
  readonly #streams = new Map<string, PrefixStream>();

  constructor(client: Etcd3) {
    this.#client = client;
  }

  get prefixes(): readonly string[] {
    return [...this.#streams.keys()];
  }

  /** @param options.afterRevision a stream that begins hints at its beginning anyway; one that stands has told others of it. */
  watch(prefix: string, onHint: () => void, options: { readonly afterRevision?: number } = {}): () => void {
    const standing = this.#streams.get(prefix);
    const stream = standing ?? this.#open(prefix);
    // The same function may watch twice.
    const own = (): void => onHint();
    stream.onHints.add(own);
    if (standing && options.afterRevision !== undefined)
      queueMicrotask(() => {
        if (stream.onHints.has(own)) own();
      });
    return () => {
      stream.onHints.delete(own);
      if (stream.onHints.size > 0 || this.#streams.get(prefix) !== stream) return;
      this.#streams.delete(prefix);
      stream.close();
    };
  }

  /** What a prefix is known to hold: whoever has missed how it came to that is told, once. */
  note(prefix: string, state: PrefixState): void {
    this.#streams.get(prefix)?.note(state);
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }

  #open(prefix: string): PrefixStream {
    const stream = new PrefixStream(this.#client, prefix);
    this.#streams.set(prefix, stream);
    return stream;
  }
}

/** After a watch that etcd ended or refused the next is tried: soon, since meanwhile nobody is told of anything. */
const AGAIN_MS = 250;

/** Any change of a prefix changes one of the two. */
export interface PrefixState {
  readonly keyCount: number;
  /** The highest revision of its keys. */
  readonly revision: number;
}

class PrefixStream {
  readonly onHints = new Set<() => void>();
  readonly #client: Etcd3;
  readonly #prefix: string;
  #noted: PrefixState | null = null;
  /** The highest revision at which a hint came. */
  #toldRevision = 0;
  #watcher: Watcher | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(client: Etcd3, prefix: string) {
    this.#client = client;
    this.#prefix = prefix;
    this.#begin();
  }

  hint(): void {
    for (const onHint of [...this.onHints]) onHint();
  }

  note(state: PrefixState): void {
    const before = this.#noted;
    this.#noted = state;
    if (before === null) return;
    const isMissed = state.revision > before.revision && state.revision > this.#toldRevision;
    // A deletion leaves no revision behind; one that was told already is told again.
    if (isMissed || state.keyCount !== before.keyCount) this.hint();
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
      this.#toldRevision = Number(header.revision);
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
