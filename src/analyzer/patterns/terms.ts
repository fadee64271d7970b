/** Words of a template: what it is about. */
import { hash64Hex } from './hash.ts';
import type { TemplateKind } from './templates.ts';

/** Terms are spread over so many places; two of them share one rarely enough, and texts stay comparable whatever words come. */
const DIMENSION = 256;
const TERMS_MAX = 32;
/** Arbitrary: between counting in full, which parts what shares one rare word of two, and not at all. */
const LONELY_WEIGHT = 0.5;
const TERM = /[\p{L}_][\p{L}\p{N}_]+/gu;
const PLACEHOLDER = /\{[a-z]*\}/g;
/** They say how something is asked, not what about. */
const SQL_WORDS = new Set(
  'select from where and or not in is null as on join left right inner outer full cross group order by having limit offset distinct values set into asc desc case when then else end between like exists union all with returning using'.split(
    ' ',
  ),
);

/** Lower-case words of a template's text, without placeholders and the grammar of SQL, each once. */
export function termsOf(kind: TemplateKind, text: string): string[] {
  const words = text.replace(PLACEHOLDER, ' ').toLowerCase().match(TERM) ?? [];
  return [...new Set(words)].filter((word) => kind !== 'sql' || !SQL_WORDS.has(word)).slice(0, TERMS_MAX);
}

/**
 * A vector for each text, by which those about the same things have a high cosine: terms that few texts have weigh more.
 *
 * @returns f64[DIMENSION] by text; all zeros where a text has no terms.
 * @see Manning, Raghavan, Schütze, "Introduction to Information Retrieval", 2008, 6.2 (tf-idf); Weinberger et al., "Feature
 *   hashing for large scale multitask learning", ICML 2009
 */
export function termVectors(termLists: readonly (readonly string[])[]): Float64Array[] {
  const textCounts = new Map<string, number>();
  for (const terms of termLists)
    for (const term of terms) textCounts.set(term, (textCounts.get(term) ?? 0) + 1);
  const places = new Map<string, { place: number; weight: number }>();
  for (const [term, count] of textCounts)
    places.set(term, {
      place: Number.parseInt(hash64Hex(term).slice(-8), 16) % DIMENSION,
      // A word that only one text has can tell it from others, but not which others it is like.
      weight: Math.log(1 + termLists.length / count) * (count === 1 ? LONELY_WEIGHT : 1),
    });
  return termLists.map((terms) => {
    const vector = new Float64Array(DIMENSION);
    for (const term of terms) {
      const { place, weight } = places.get(term) as { place: number; weight: number };
      vector[place] = (vector[place] as number) + weight;
    }
    return vector;
  });
}
