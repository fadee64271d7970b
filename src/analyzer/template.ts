import { OTHER } from '../model/affinity-matrix.ts';

/** A hex run shorter than this is more likely a word (`cafe`, `add`) than an identifier. */
const HEX_RUN_MIN = 8;

/** Names longer than any sensible pattern are cut: the key prefix is short, its command is not ours to trust. */
const NAME_LENGTH_MAX = 64;

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const TAG = /\{[^}]+(?:\}|$)/;
/** A run of hex digits that has a digit in it and stands alone; what is cut off at the prefix's end counts as an end. */
const HEX_RUN = new RegExp(`(?<![0-9a-z])(?=[a-f]*[0-9])[0-9a-f]{${HEX_RUN_MIN},}(?![0-9a-z])`, 'gi');
const DIGITS = /[0-9]+/g;
const UNPRINTABLE = /[^\x20-\x7e]+/g;

/**
 * The shape of a key: what varies from key to key is replaced, the rest is kept.
 *
 * `user:{1234}:cart` and `user:1234:cart` -> `user:{}:cart` and `user:{n}:cart`; UUIDs -> `{uuid}`, long hex runs ->
 * `{hex}`, bytes that are no text -> `?`. The tag (what decides the slot) is always replaced, however it looks.
 *
 * @param keyPrefix latin-1, perhaps cut off at its end.
 */
export function keyPattern(keyPrefix: string): string {
  const tag = TAG.exec(keyPrefix);
  if (tag === null) return untaggedPattern(keyPrefix);
  const before = keyPrefix.slice(0, tag.index);
  const after = keyPrefix.slice(tag.index + tag[0].length);
  return `${untaggedPattern(before)}{}${untaggedPattern(after)}`;
}

function untaggedPattern(text: string): string {
  return text
    .replace(UNPRINTABLE, '?')
    .replace(UUID, '{uuid}')
    .replace(HEX_RUN, '{hex}')
    .replace(DIGITS, '{n}');
}

/**
 * Numbers query templates, `COMMAND pattern`, up to a limit; what comes later is template 0, "other".
 *
 * Numbers are dense and stay the same while the table lives; across processes the name is the identity.
 */
export class TemplateTable {
  readonly names: string[] = [OTHER];
  readonly #limit: number;
  readonly #numberOf = new Map<string, number>();
  #overflowCount = 0;

  /** @param limit templates besides "other". */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Queries that found the table full. */
  get overflowCount(): number {
    return this.#overflowCount;
  }

  numberOf(command: string, keyPrefix: string): number {
    const pattern = keyPattern(keyPrefix);
    const name = (pattern === '' ? command : `${command} ${pattern}`).slice(0, NAME_LENGTH_MAX);
    const known = this.#numberOf.get(name);
    if (known !== undefined) return known;
    if (this.names.length > this.#limit) {
      this.#overflowCount++;
      return 0;
    }
    const number = this.names.push(name) - 1;
    this.#numberOf.set(name, number);
    return number;
  }
}
