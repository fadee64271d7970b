/** Often enough to see that it goes on, seldom enough to cost nothing. */
const TERMINAL_INTERVAL_MS = 250;
const LINES_INTERVAL_MS = 5_000;

export interface ProgressOptions {
  readonly output: { readonly isTTY?: boolean; write(text: string): unknown };
  /** Lines also where the output is no terminal. */
  readonly isWanted: boolean;
  readonly nowMs: () => number;
}

/** Says how far work is: one line that changes on a terminal; lines, where they are asked for, elsewhere; nothing otherwise. */
export class ProgressLine {
  readonly #output: ProgressOptions['output'];
  readonly #nowMs: () => number;
  readonly #isTerminal: boolean;
  readonly #intervalMs: number;
  readonly #startedMs: number;
  #shownMs: number;
  #shownLength = 0;

  constructor({ output, isWanted, nowMs }: ProgressOptions) {
    this.#output = output;
    this.#nowMs = nowMs;
    this.#isTerminal = output.isTTY === true;
    const lineInterval = isWanted ? LINES_INTERVAL_MS : Number.POSITIVE_INFINITY;
    this.#intervalMs = this.#isTerminal ? TERMINAL_INTERVAL_MS : lineInterval;
    this.#startedMs = nowMs();
    this.#shownMs = this.#startedMs;
  }

  /** As the flags of a command want it. */
  static optionsOf({ progress }: { readonly progress?: boolean }): ProgressOptions {
    return { output: process.stderr, isWanted: progress === true, nowMs: () => performance.now() };
  }

  /** As often as the caller likes. @param textOf asked where a line is due. */
  update(textOf: (seconds: number) => string): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#shownMs < this.#intervalMs) return;
    this.#shownMs = nowMs;
    const text = textOf((nowMs - this.#startedMs) / 1_000);
    if (this.#isTerminal) this.#output.write(`\r${text.padEnd(this.#shownLength)}`);
    else this.#output.write(`${text}\n`);
    this.#shownLength = text.length;
  }

  /** Takes the changing line away again. */
  end(): void {
    if (this.#isTerminal && this.#shownLength > 0) this.#output.write(`\r${' '.repeat(this.#shownLength)}\r`);
  }
}
