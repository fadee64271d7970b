import { OTHER } from '../../model/affinity-matrix.ts';
import { keyPattern, splitKeyWords } from './key-pattern.ts';
import type { WordTree } from './word-tree.ts';

/** Names longer than any sensible pattern are cut: the key prefix is short, its command is not ours to trust. */
const NAME_LENGTH_MAX = 64;
/** 300 KB while a window is open. */
const SEEN_MAX = 4_096;

/**
 * Numbers the templates of one window, `COMMAND pattern`, up to a limit; what comes later is template 0, "other".
 *
 * Numbers are dense and stay the same while the table lives. The word tree lives longer: what it has found to be values in one
 * window is `*` in the next from the first query on.
 */
export class TemplateTable {
  readonly names: string[] = [OTHER];
  readonly #limit: number;
  readonly #tree: WordTree;
  readonly #numberOf = new Map<string, number>();
  /** By name as it came: nearly every query has one that was seen before, and need not go through the tree. */
  readonly #seen = new Map<string, number>();
  /** `generalisedCount` of the tree when `#seen` was true. */
  #seenAt = 0;
  #overflowCount = 0;

  /** @param limit templates besides "other". */
  constructor(limit: number, tree: WordTree) {
    this.#limit = limit;
    this.#tree = tree;
  }

  /** Queries that found the table full. */
  get overflowCount(): number {
    return this.#overflowCount;
  }

  numberOf(command: string, keyPrefix: string): number {
    const pattern = keyPattern(keyPrefix);
    const specific = (pattern === '' ? command : `${command} ${pattern}`).slice(0, NAME_LENGTH_MAX);
    if (this.#seenAt !== this.#tree.generalisedCount || this.#seen.size > SEEN_MAX) {
      this.#seen.clear();
      this.#seenAt = this.#tree.generalisedCount;
    }
    let number = this.#seen.get(specific);
    if (number === undefined) {
      number = this.#numberOfName(this.#tree.learn(splitKeyWords(specific)).join(''));
      this.#seen.set(specific, number);
    }
    if (number === 0) this.#overflowCount++;
    return number;
  }

  #numberOfName(name: string): number {
    const known = this.#numberOf.get(name);
    if (known !== undefined) return known;
    if (this.names.length > this.#limit) return 0;
    const number = this.names.push(name) - 1;
    this.#numberOf.set(name, number);
    return number;
  }
}
