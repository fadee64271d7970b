import { ownCopy } from './own-copy.ts';

/** Text -> value, of the texts used last; bounded in entries and in the memory of the texts. */
export class TextLru<V> {
  readonly #entriesMax: number;
  readonly #bytesMax: number;
  /** A Map keeps the order of insertion: the first one is the one used longest ago. */
  readonly #entries = new Map<string, { readonly text: string; readonly value: V }>();
  #bytes = 0;

  constructor(limits: { readonly entriesMax: number; readonly bytesMax: number }) {
    this.#entriesMax = limits.entriesMax;
    this.#bytesMax = limits.bytesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(text: string): V | undefined {
    const entry = this.#entries.get(text);
    if (entry === undefined) return undefined;
    this.#entries.delete(text);
    this.#entries.set(entry.text, entry);
    return entry.value;
  }

  /** A text that would need more than a tenth of all bytes is not kept. */
  set(text: string, value: V): void {
    const bytes = bytesOf(text);
    if (bytes > this.#bytesMax / 10) return;
    if (!this.#entries.has(text)) this.#bytes += bytes;
    const own = ownCopy(text);
    this.#entries.set(own, { text: own, value });
    for (const [oldest] of this.#entries) {
      if (this.#entries.size <= this.#entriesMax && this.#bytes <= this.#bytesMax) break;
      this.#entries.delete(oldest);
      this.#bytes -= bytesOf(oldest);
    }
  }
}

/** UTF-16, as the engine keeps what is not plain Latin. */
const bytesOf = (text: string): number => 2 * text.length;
