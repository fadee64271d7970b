import { HOURS_PER_WEEK, type HourOfWeekCounts, type WatchedHours } from './hour-of-week.ts';
import type { ClusterMember } from './online-clusters.ts';
import type { TemplateKind } from './templates.ts';
import { termsOf, termVectors } from './terms.ts';

/** A template as clusters see it. */
export interface ClusteredTemplate {
  readonly row: number;
  readonly id: string;
  readonly kind: TemplateKind | null;
  readonly text: string;
  /** Queries, weighted by age. */
  readonly weight: number;
}

/**
 * Of a template with few queries most hours are empty by chance. It is taken for one that comes as all queries do, until it has
 * shown otherwise: so many queries of the common shape are added to its own. A third of a query for each hour of the week.
 */
const COMMON_QUERIES = 56;

/**
 * Templates with their arrival rate by hour of the week. The common shape comes from all of them together.
 *
 * @param scale of `ForwardDecay`: weight x scale = decayed queries.
 */
export function shapeMembers(
  templates: readonly ClusteredTemplate[],
  hours: HourOfWeekCounts,
  watched: WatchedHours,
  scale: number,
): ClusterMember[] {
  const common = new Float64Array(HOURS_PER_WEEK);
  const ratesOf = templates.map(({ row }) => watched.ratesOf(hours.of(row)));
  for (const rates of ratesOf)
    for (let h = 0; h < HOURS_PER_WEEK; h++) common[h] = (common[h] as number) + (rates[h] as number);
  const commonSum = sumOf(common);
  return templates.map(({ id, kind, text, weight }, i): ClusterMember => {
    const rates = ratesOf[i] as Float64Array;
    const sum = sumOf(rates);
    const ownShare = (weight * scale) / (weight * scale + COMMON_QUERIES);
    const vector = rates.map((rate, h) => {
      const own = sum > 0 ? rate / sum : 0;
      return ownShare * own + (commonSum > 0 ? ((1 - ownShare) * (common[h] as number)) / commonSum : 0);
    });
    return { id, vector, weight, terms: nameTerms(kind, text) };
  });
}

export function termMembers(templates: readonly ClusteredTemplate[]): ClusterMember[] {
  const terms = templates.map(({ kind, text }) => nameTerms(kind, text));
  const vectors = termVectors(terms);
  return templates.map(({ id, weight }, i) => ({
    id,
    weight,
    vector: vectors[i] as Float64Array,
    terms: terms[i] as string[],
  }));
}

const nameTerms = (kind: TemplateKind | null, text: string): string[] =>
  kind === null ? [] : termsOf(kind, text);

const sumOf = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);
