/**
 * SQL text without its literals, found by tokens alone: for texts that the parser of one dialect does not take, and to give all
 * texts one look. `SELECT * FROM t WHERE id IN (1, 2) -- note` -> `select * from t where id in(?+)`.
 */

/** Of a text; what comes after is not looked at. */
export const SQL_LENGTH_MAX = 64 * 1024;
/** Of the result. */
const TOKENS_MAX = 512;
const TEMPLATE_LENGTH_MAX = 512;

const LITERAL = '?';
/** Two or more literals in a row: how many they are is a value, too. */
const LITERALS = '?+';

/** One alternative for each kind of token; sticky. Quotes that are never closed reach to the end. */
const TOKEN = new RegExp(
  [
    String.raw`(?<space>\s+|--[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|$))`,
    // A backslash hides the quote after it (MySQL, and E'…'); in standard SQL it does not, but then it rarely stands there.
    String.raw`(?<text>(?:[eEbBxXnN]|[uU]&)?'(?:[^'\\]|''|\\[\s\S])*(?:'|$)|\$(?<tag>\w*)\$[\s\S]*?(?:\$\k<tag>\$|$))`,
    '(?<quoted>"(?:[^"]|"")*(?:"|$))',
    String.raw`(?<name>[\p{L}_@][\p{L}\p{N}_$@]*|${'`'}[^${'`'}]*(?:${'`'}|$))`,
    String.raw`(?<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)`,
    String.raw`(?<parameter>\$\d+|\?|(?<![:\w]):[\p{L}_]\w*)`,
    String.raw`(?<sign>::|:=|[(),.;:\[\]]|[^\s\p{L}\p{N}'"(),.;:\[\]$?]+|[\s\S])`,
  ].join('|'),
  'uy',
);

/** After these a quoted "name" is a text, as MySQL reads it. */
const COMPARES = /^(?:[=<>!~+*/%|&^-]+|like|ilike|rlike|regexp)$/;

/** @param text cut at SQL_LENGTH_MAX. */
export function sqlTemplate(text: string): string {
  const writer = new SqlWriter();
  const source = text.slice(0, SQL_LENGTH_MAX);
  for (const { groups } of source.matchAll(new RegExp(TOKEN.source, 'guy'))) {
    if (writer.isFull) break;
    const { space, text: quotedText, quoted, name, number, parameter, sign } = groups as TokenGroups;
    if (space !== undefined) continue;
    if (quotedText !== undefined || number !== undefined || parameter !== undefined) writer.literal();
    else if (quoted !== undefined) writer.quoted(quoted);
    else writer.word((name ?? (sign as string)).toLowerCase().replaceAll('`', ''));
  }
  return writer.toText();
}

type TokenGroups = Partial<
  Record<'space' | 'text' | 'quoted' | 'name' | 'number' | 'parameter' | 'sign', string>
>;

/** Puts tokens together, and makes one of what is repeated as often as there are values. */
class SqlWriter {
  readonly #tokens: string[] = [];
  /** Where each open parenthesis stands. */
  readonly #open: number[] = [];

  get isFull(): boolean {
    return this.#tokens.length >= TOKENS_MAX;
  }

  literal(): void {
    const tokens = this.#tokens;
    const [beforeSign, sign] = tokens.slice(-2);
    // `= -5`: the sign belongs to the number.
    if ((sign === '-' || sign === '+') && beforeSign !== undefined && /^[=<>!(,*/]/.test(beforeSign))
      tokens.pop();
    const isRepeated = tokens.at(-1) === ',' && (tokens.at(-2) === LITERAL || tokens.at(-2) === LITERALS);
    if (!isRepeated) tokens.push(LITERAL);
    else {
      tokens.pop();
      tokens[tokens.length - 1] = LITERALS;
    }
  }

  quoted(token: string): void {
    if (COMPARES.test(this.#tokens.at(-1) ?? '') || this.#isListOfValues()) this.literal();
    else this.word(token);
  }

  /** Inside `in (…)` or `values (…), (…)`. */
  #isListOfValues(): boolean {
    const start = this.#open.at(-1);
    return start !== undefined && /^(?:in|values|,)$/.test(this.#tokens[start - 1] ?? '');
  }

  word(token: string): void {
    if (token === '(') this.#open.push(this.#tokens.length);
    this.#tokens.push(token);
    if (token === ')') this.#closeGroup();
  }

  /** `in (?)` is `in (?+)`, and `(?+), (?+)` is `(?+)`: one value or row more is the same kind of query. */
  #closeGroup(): void {
    const tokens = this.#tokens;
    const start = this.#open.pop();
    if (start === undefined) return;
    if (tokens.length === start + 3 && tokens[start + 1] === LITERAL && tokens[start - 1] === 'in')
      tokens[start + 1] = LITERALS;
    const length = tokens.length - start;
    const isSame =
      tokens[start - 1] === ',' &&
      start > length &&
      tokens.slice(start).every((token, i) => token === tokens[start - 1 - length + i]);
    if (isSame) tokens.length = start - 1;
  }

  toText(): string {
    let text = '';
    let previous = '(';
    for (const token of this.#tokens) {
      const isTight = /^(?:[(),.;[\]]|::)$/.test(token) || /^(?:[(.[]|::)$/.test(previous);
      text += isTight ? token : ` ${token}`;
      previous = token;
    }
    const cut = text.trim().replace(/;+$/, '');
    return cut.length > TEMPLATE_LENGTH_MAX ? `${cut.slice(0, TEMPLATE_LENGTH_MAX - 1)}…` : cut;
  }
}
