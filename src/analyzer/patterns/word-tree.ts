import { assert } from '../../base/assert.ts';
import { ownCopy } from './own-copy.ts';

/** Stands for all words of a place where there are too many to be names of kinds. */
const ANY_WORD = '*';

/** Separators, and what `keyPattern` has put in place of a value: known to be no names, they do not count and never become `*`. */
const PLACEHOLDER = /^(?:[ :/.|]| \/|\{[a-z]*\})?$/;

export interface WordTreeLimits {
  /** Different words at the first place of a key or path, and at each later one in one context, that are still names. */
  readonly firstWordsMax: number;
  readonly laterWordsMax: number;
  /** Nodes of the tree: some 250 bytes each. */
  readonly nodesMax: number;
}

export const WORD_TREE_DEFAULTS: WordTreeLimits = {
  // The first word of a key is a kind far more often than a later one. Both are arbitrary: twice what a schema of one's
  // own has come to.
  firstWordsMax: 64,
  laterWordsMax: 8,
  // 4 MB. A schema has some hundreds.
  nodesMax: 16_384,
};

interface WordNode {
  readonly children: Map<string, WordNode>;
  /** How many of them are names: no placeholders. */
  nameCount: number;
  /** Where all other words of this place go, once it has too many. */
  any: WordNode | null;
}

const newNode = (): WordNode => ({ children: new Map(), nameCount: 0, any: null });

/**
 * Finds values that look like words by how many there are in one place: `user:alice:cart`, `user:bob:cart` and seven more
 * are all `user:*:cart`.
 *
 * A prefix tree of the words seen; the words after one prefix are counted, and too many become one branch `*`, whose
 * subtrees are merged (Drain counts the words of log lines in such a tree: He et al., "Drain: an online log parsing
 * approach with fixed depth tree", ICWS 2017). What was told before its place became `*` is told anew by `resolve`. When the tree
 * is full, the place where a new word turns up becomes `*` at once: memory is bounded whatever the keys are.
 */
export class WordTree {
  readonly #limits: WordTreeLimits;
  readonly #root = newNode();
  #nodeCount = 1;
  #generalisedCount = 0;

  constructor(limits: WordTreeLimits = WORD_TREE_DEFAULTS) {
    assert(limits.firstWordsMax > 0 && limits.laterWordsMax > 0, 'some words are names');
    this.#limits = limits;
  }

  get nodeCount(): number {
    return this.#nodeCount;
  }

  /** Grows whenever a place becomes `*`: names that were told before are to be resolved again. */
  get generalisedCount(): number {
    return this.#generalisedCount;
  }

  /**
   * Takes in words and separators in turn: a command or a method at place 0, which is a value only where the tree is full, then a
   * separator, the first word at place 2, and so on. A word `*` (of a name that another tree has told) makes its place general.
   *
   * @returns the same words with values replaced by `*`; shorter where the tree is full and knows nothing of the rest.
   */
  learn(words: readonly string[]): string[] {
    const told: string[] = [];
    let node = this.#root;
    for (const [place, word] of words.entries()) {
      const isNew = !node.children.has(word);
      if (isNew && (node.any === null || PLACEHOLDER.test(word))) this.#addWord(node, word, place);
      const child = node.children.get(word);
      told.push(child === undefined ? ANY_WORD : word);
      const next: WordNode | null = child ?? node.any;
      if (next === null) break;
      node = next;
    }
    return told;
  }

  /** @returns what `learn` would say now, without learning; words the tree has not seen stay as they are. */
  resolve(words: readonly string[]): string[] {
    const told = [...words];
    let node: WordNode | null = this.#root;
    for (let place = 0; place < words.length && node !== null; place++) {
      const child: WordNode | undefined = node.children.get(words[place] as string);
      if (child === undefined && node.any !== null) told[place] = ANY_WORD;
      node = child ?? node.any;
    }
    return told;
  }

  #addWord(node: WordNode, word: string, place: number): void {
    const isName = !PLACEHOLDER.test(word);
    const isFull = this.#nodeCount >= this.#limits.nodesMax;
    if (isName && (word === ANY_WORD || node.nameCount >= this.#namesMax(place)))
      this.#generalise(node, place);
    else if (!isFull) {
      node.children.set(ownCopy(word), newNode());
      this.#nodeCount++;
      if (isName) node.nameCount++;
    } else if (node.nameCount > 0) this.#generalise(node, place);
  }

  #namesMax(place: number): number {
    if (place === 0) return Number.POSITIVE_INFINITY;
    return place === 2 ? this.#limits.firstWordsMax : this.#limits.laterWordsMax;
  }

  /** All names of this place become `*`; their subtrees are put on top of each other. */
  #generalise(node: WordNode, place: number): void {
    const names = [...node.children].filter(([word]) => !PLACEHOLDER.test(word));
    if (node.any === null) {
      node.any = newNode();
      this.#nodeCount++;
    }
    node.nameCount = 0;
    this.#generalisedCount++;
    for (const [word, child] of names) {
      node.children.delete(word);
      this.#moveInto(node.any, child, place + 1);
    }
  }

  /** Every node of `source` either becomes one of `target`'s or is given up. */
  #moveInto(target: WordNode, source: WordNode, place: number): void {
    this.#nodeCount--;
    if (source.any !== null) {
      if (target.any === null) target.any = source.any;
      else this.#moveInto(target.any, source.any, place + 1);
    }
    for (const [word, child] of source.children) {
      const same = target.children.get(word);
      if (same !== undefined) this.#moveInto(same, child, place + 1);
      else {
        target.children.set(word, child);
        if (!PLACEHOLDER.test(word)) target.nameCount++;
      }
    }
    if (target.nameCount > this.#namesMax(place) || (target.any !== null && target.nameCount > 0))
      this.#generalise(target, place);
  }
}
