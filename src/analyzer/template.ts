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

/** Between the parts of a name: of its key, and between command and key. */
const SEPARATORS = /([ :/.|])/;
/**
 * More words than this at one place of otherwise equal names are values, not names of kinds. The first word of a key is a
 * kind far more often than a later one. Both limits are arbitrary: twice what a schema of one's own has come to.
 */
const FIRST_WORDS_MAX = 64;
const LATER_WORDS_MAX = 8;
const ANY_WORD = '*';

/**
 * Finds values that look like words by how many there are: `GET route:{}:JFK`, `GET route:{}:LAX` and seven more are all
 * `GET route:{}:*`. A place that is `*` in one name takes in all that fit it, so that what was found out stays so.
 *
 * @returns the general name of every name; of most, itself. Depends on the set of names, not on their order.
 */
export function generalTemplates(names: readonly string[]): ReadonlyMap<string, string> {
  const split = names.map((name) => name.split(SEPARATORS));
  const partsMax = split.reduce((max, parts) => Math.max(max, parts.length), 0);
  // Odd parts are separators, part 0 is the command: the words of the key are 2, 4, …
  for (let place = 2; place < partsMax; place += 2) {
    const alike = new Map<string, string[][]>();
    for (const parts of split) {
      if (parts.length <= place) continue;
      const rest = JSON.stringify(parts.with(place, ''));
      const group = alike.get(rest);
      if (group === undefined) alike.set(rest, [parts]);
      else group.push(parts);
    }
    for (const group of alike.values()) {
      const words = new Set(group.map((parts) => parts[place]));
      if (words.size > (place === 2 ? FIRST_WORDS_MAX : LATER_WORDS_MAX) || words.has(ANY_WORD))
        for (const parts of group) parts[place] = ANY_WORD;
    }
  }
  return new Map(names.map((name, i) => [name, (split[i] as string[]).join('')]));
}

/**
 * Numbers query templates, `COMMAND pattern`, up to a limit; what comes later counts as a general name of those
 * there are (`generalTemplates`), or as template 0, "other".
 *
 * Numbers are dense and stay the same while the table lives, a name may become more general; across processes the name is the identity.
 */
export class TemplateTable {
  readonly names: string[] = [OTHER];
  readonly #limit: number;
  readonly #numberOf = new Map<string, number>();
  /** By command and number of parts; null until the table is full. */
  #general: Map<string, GeneralName[]> | null = null;
  #overflowCount = 0;

  /** @param limit templates besides "other". */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Queries that found the table full and fitted no general name. */
  get overflowCount(): number {
    return this.#overflowCount;
  }

  numberOf(command: string, keyPrefix: string): number {
    const pattern = keyPattern(keyPrefix);
    const name = (pattern === '' ? command : `${command} ${pattern}`).slice(0, NAME_LENGTH_MAX);
    const known = this.#numberOf.get(name);
    if (known !== undefined) return known;
    if (this.names.length > this.#limit) return this.#numberOfGeneral(name);
    const number = this.names.push(name) - 1;
    this.#numberOf.set(name, number);
    return number;
  }

  /** The table is full: what fits a general name that its names have in common counts as that one. */
  #numberOfGeneral(name: string): number {
    this.#general ??= this.#generalise();
    const parts = name.split(SEPARATORS);
    const fitting = this.#general
      .get(`${parts[0]} ${parts.length}`)
      ?.find((general) => general.parts.every((part, place) => part === ANY_WORD || part === parts[place]));
    if (fitting === undefined) this.#overflowCount++;
    return fitting?.number ?? 0;
  }

  /** Once, since a full table takes in no more names. The first of the names that are alike takes the general one. */
  #generalise(): Map<string, GeneralName[]> {
    const byShape = new Map<string, GeneralName[]>();
    const found = new Set<string>();
    const generalOf = generalTemplates(this.names);
    for (const [number, name] of [...this.names].entries()) {
      const general = generalOf.get(name) as string;
      if (general === name || found.has(general)) continue;
      found.add(general);
      this.names[number] = general;
      const parts = general.split(SEPARATORS);
      const shape = `${parts[0]} ${parts.length}`;
      byShape.set(shape, [...(byShape.get(shape) ?? []), { parts, number }]);
    }
    return byShape;
  }
}

interface GeneralName {
  readonly parts: readonly string[];
  readonly number: number;
}
