/** What a terminal obeys, or would show as nothing or as the next line: controls, halves of surrogate pairs, separators. */
const CONTROL = /[\p{Cc}\p{Cs}\u2028\u2029]/u;
const CONTROLS = new RegExp(CONTROL, 'gu');

export const hasControlCharacters = (text: string): boolean => CONTROL.test(text);

/**
 * Names, reasons and query templates come from whoever could write them: printed raw, a line break would forge a line of the
 * audit, and an escape sequence would command the terminal. Escaped as JSON does, so that JSON stays JSON and means the same.
 */
export const visible = (text: string): string =>
  text.replace(CONTROLS, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Standard output is for what was asked; everything else goes to standard error. */
export function printLine(line: string): void {
  process.stdout.write(`${visible(line)}\n`);
}

/** For text of our own making that has lines. Line breaks of what was put into it stay as well: that goes to `printLine`. */
export function printLines(text: string): void {
  for (const line of text.split('\n')) printLine(line);
}

/** Of several lines: their breaks are ours. */
export const visibleLines = (text: string): string => text.split('\n').map(visible).join('\n');

/** To standard error: what went wrong, or is worth knowing. */
export function printRemark(text: string): void {
  process.stderr.write(`foreshard: ${visibleLines(text)}\n`);
}

export function printJson(value: unknown): void {
  printLines(JSON.stringify(value, null, 2));
}

/** What became of an order: a line, or with `--json` one object with whatever else is known of it. */
export function printOutcome(
  message: string,
  { json }: { readonly json?: boolean },
  facts: Readonly<Record<string, unknown>> = {},
): void {
  if (json === true) printJson({ ...facts, message });
  else printLine(message);
}
