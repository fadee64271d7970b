/** A terminal that is drawn anew again and again; without one there is none of this. */

const ALTERNATE = '\u001b[?1049h\u001b[?25l';
const BACK = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE_END = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

/** Of a terminal without a size. */
const ROWS_ASSUMED = 24;

export interface TerminalOutput {
  readonly isTTY?: boolean;
  readonly rows?: number;
  write(text: string): unknown;
}

/** Only on a terminal, and not where `NO_COLOR` is set to anything (https://no-color.org). */
export const isColoured = (
  output: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>> = process.env,
): boolean => output.isTTY === true && (environment.NO_COLOR ?? '') === '' && environment.TERM !== 'dumb';

/** What was on the terminal before comes back at the end. */
export class Screen {
  readonly #output: TerminalOutput;

  constructor(output: TerminalOutput) {
    this.#output = output;
  }

  /** Null where standard output is no terminal. */
  static ofTerminal(output: TerminalOutput = process.stdout): Screen | null {
    return output.isTTY === true ? new Screen(output) : null;
  }

  get rows(): number {
    return this.#output.rows ?? ROWS_ASSUMED;
  }

  open(): void {
    this.#output.write(ALTERNATE);
  }

  /** Overwrites line by line: a screen that is cleared first flickers. */
  show(lines: readonly string[]): void {
    this.#output.write(
      `${HOME}${lines.map((line) => `${line}${CLEAR_LINE_END}`).join('\r\n')}${CLEAR_BELOW}`,
    );
  }

  close(): void {
    this.#output.write(BACK);
  }
}
