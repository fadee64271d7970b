import type { LineSink } from './lines.ts';

/** A query text of so many lines is long; one that is longer is a quote that nobody closed. */
const RECORD_LINES_MAX = 100_000;

const QUOTE = '"';

export interface QuotedLinesOptions {
  readonly recordBytesMax: number;
  /** True for a line that begins a record wherever it stands, if the format has a mark for it. */
  readonly isStart: ((line: string) => boolean) | undefined;
}

/**
 * Joins the lines of a record whose quoted field goes over several, as CSV allows.
 *
 * A quote that is never closed would swallow the rest of the file. It is given up at the limit, or where a line can only be
 * the start of a record: the first line goes on alone, to be found bad, and so do the others. None of those can open a
 * quote: a line with an odd number of quotes would have closed the first.
 */
export class QuotedLines implements LineSink {
  readonly #sink: LineSink;
  readonly #recordBytesMax: number;
  readonly #isStart: ((line: string) => boolean) | undefined;
  #open: { readonly text: string; readonly line: number }[] = [];
  #openLength = 0;

  constructor(sink: LineSink, options: QuotedLinesOptions) {
    this.#sink = sink;
    this.#isStart = options.isStart;
    this.#recordBytesMax = options.recordBytesMax;
  }

  onLine(text: string, line: number): void {
    const isOdd = hasOddQuotes(text);
    if (this.#open.length > 0 && this.#isStart?.(text)) this.end();
    if (this.#open.length === 0) {
      if (isOdd) this.#hold(text, line);
      else this.#sink.onLine(text, line);
      return;
    }
    this.#hold(text, line);
    if (isOdd) {
      const [first] = this.#open;
      const whole = this.#open.map((part) => part.text).join('\n');
      this.#open = [];
      this.#openLength = 0;
      this.#sink.onLine(whole, (first as { line: number }).line);
    } else if (this.#open.length > RECORD_LINES_MAX || this.#openLength > this.#recordBytesMax) this.end();
  }

  onTooLong(line: number, byteCount: number): void {
    this.end();
    this.#sink.onTooLong(line, byteCount);
  }

  /** What is open was never closed. */
  end(): void {
    const lines = this.#open;
    this.#open = [];
    this.#openLength = 0;
    for (const { text, line } of lines) this.#sink.onLine(text, line);
  }

  #hold(text: string, line: number): void {
    this.#open.push({ text, line });
    this.#openLength += text.length;
  }
}

function hasOddQuotes(text: string): boolean {
  let isOdd = false;
  for (let at = text.indexOf(QUOTE); at !== -1; at = text.indexOf(QUOTE, at + 1)) isOdd = !isOdd;
  return isOdd;
}
