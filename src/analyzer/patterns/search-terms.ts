/** A query of more different terms than this is told by the first of them in the order of the alphabet. */
const TERMS_MAX = 8;
/** A longer word is no word. */
const TERM_LENGTH_MAX = 32;
/** What comes after is not looked at: nobody types that much. */
const TEXT_LENGTH_MAX = 2048;

/** English function words that say nothing of what is looked for: the short list that engines have in common (Lucene's). */
const STOP_WORDS = new Set(
  'a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was will with'.split(
    ' ',
  ),
);

/** A phrase in double quotes, or a word: letters, marks and digits of any script, joined by ' . - _ inside. */
const TERM = /"([^"]*)"|[\p{L}\p{M}\p{N}]+(?:['._-][\p{L}\p{M}\p{N}]+)*/gu;
const DIGITS = /\p{N}+/gu;

/**
 * A search query as the set of its terms: lower-cased, without stop words, in the order of the alphabet, numbers `{n}`, quoted
 * phrases as one term: `The red shoes size 42` and `shoes, size 37 RED` -> `red shoes size {n}`.
 *
 * @returns "" where nothing but stop words and signs is there.
 */
export function searchTemplate(text: string): string {
  const terms = new Set<string>();
  for (const [found, phrase] of text
    .slice(0, TEXT_LENGTH_MAX)
    .normalize('NFKC')
    .toLowerCase()
    .matchAll(TERM)) {
    if (phrase === undefined) {
      if (!STOP_WORDS.has(found)) terms.add(withoutNumbers(found));
      continue;
    }
    // In a phrase every word counts, stop words too, and so does the order.
    const words = phrase.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
    if (words.length > 0) terms.add(`"${withoutNumbers(words.join(' '))}"`);
  }
  const sorted = [...terms].sort();
  const kept = sorted.slice(0, TERMS_MAX);
  return sorted.length > kept.length ? `${kept.join(' ')} …` : kept.join(' ');
}

const withoutNumbers = (word: string): string => word.replace(DIGITS, '{n}').slice(0, TERM_LENGTH_MAX);
