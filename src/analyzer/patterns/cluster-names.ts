import type { ClusterMember } from './online-clusters.ts';

/** Members that belong together, before they have a name. */
export interface Group {
  readonly members: readonly ClusterMember[];
}

export interface NamedGroup {
  /** Stays while the cluster drifts, also when it loses members or wins others. */
  readonly name: string;
  readonly memberIds: readonly string[];
  /** Sum of the members' weights. */
  readonly weight: number;
}

/** What became of a cluster in one step. */
export interface ClusterEvent {
  readonly kind: 'appeared' | 'split' | 'merged' | 'died';
  readonly atMs: number;
  /** Of the cluster that is new (appeared, split) or gone (merged, died). */
  readonly name: string;
  /** split: what it was part of; merged: what it is part of now. */
  readonly otherName: string | null;
}

/** Most of its weight: from where on a new cluster is a part of an old one, or a lost one has gone over to another. */
const MOST = 0.5;

/**
 * Gives groups the names of the clusters that they continue: pairs of cluster and group by the weight they have in common,
 * the largest first, each once. A group left over is split off from the cluster that most of it comes from, or is new; a
 * cluster left over has been merged where most of it went, or has died.
 */
export function carryNames(
  known: readonly NamedGroup[],
  groups: readonly Group[],
  atMs: number,
): { readonly clusters: NamedGroup[]; readonly events: ClusterEvent[] } {
  const weightOf = new Map(
    groups.flatMap(({ members }) => members.map(({ id, weight }) => [id, weight] as const)),
  );
  const overlaps = overlapsOf(known, groups, weightOf);
  const nameOf = new Map<number, string>();
  const continued = new Set<string>();
  for (const { name, group } of overlaps) {
    if (nameOf.has(group) || continued.has(name)) continue;
    nameOf.set(group, name);
    continued.add(name);
  }
  const taken = new Set(known.map(({ name }) => name));
  const events: ClusterEvent[] = [];
  const clusters = groups.map(({ members }, group): NamedGroup => {
    const weight = members.reduce((sum, member) => sum + member.weight, 0);
    let name = nameOf.get(group);
    if (name === undefined) {
      name = newName(members, taken);
      taken.add(name);
      nameOf.set(group, name);
      const origin = overlaps.find((overlap) => overlap.group === group && overlap.weight >= MOST * weight);
      events.push({ kind: origin ? 'split' : 'appeared', atMs, name, otherName: origin?.name ?? null });
    }
    return { name, memberIds: members.map(({ id }) => id).sort(), weight };
  });
  for (const { name, memberIds } of known) {
    if (continued.has(name)) continue;
    const weight = memberIds.reduce((sum, id) => sum + (weightOf.get(id) ?? 0), 0);
    const goal = overlaps.find((overlap) => overlap.name === name && overlap.weight >= MOST * weight);
    const otherName = goal === undefined ? null : (nameOf.get(goal.group) as string);
    events.push({ kind: goal ? 'merged' : 'died', atMs, name, otherName });
  }
  clusters.sort((a, b) => b.weight - a.weight || (a.name < b.name ? -1 : 1));
  return { clusters, events };
}

interface Overlap {
  readonly name: string;
  readonly group: number;
  readonly weight: number;
}

/** The largest first. Each member is in at most one cluster and in one group, so there are at most as many as members. */
function overlapsOf(
  known: readonly NamedGroup[],
  groups: readonly Group[],
  weightOf: ReadonlyMap<string, number>,
): Overlap[] {
  const groupOf = new Map(
    groups.flatMap(({ members }, group) => members.map(({ id }) => [id, group] as const)),
  );
  const overlaps: Overlap[] = [];
  for (const { name, memberIds } of known) {
    const shared = new Map<number, number>();
    for (const id of memberIds) {
      const group = groupOf.get(id);
      if (group !== undefined) shared.set(group, (shared.get(group) ?? 0) + (weightOf.get(id) ?? 0));
    }
    for (const [group, weight] of shared) overlaps.push({ name, group, weight });
  }
  return overlaps.sort((a, b) => b.weight - a.weight || (a.name < b.name ? -1 : 1) || a.group - b.group);
}

const NAME_TERMS = 3;
const NAME_LENGTH_MAX = 48;

/** The words that most of its queries have: `get-user-cart`. A name that is taken is numbered: `get-user-cart-2`. */
function newName(members: readonly ClusterMember[], taken: ReadonlySet<string>): string {
  const weights = new Map<string, number>();
  for (const { terms, weight } of members)
    for (const term of new Set(terms)) weights.set(term, (weights.get(term) ?? 0) + weight);
  const words = [...weights]
    // The order of a Map is that of the first use: of equal words the one that stands first in the largest template.
    .sort(([, a], [, b]) => b - a)
    .slice(0, NAME_TERMS)
    .map(([term]) => term);
  const base = (words.join('-') || 'other').slice(0, NAME_LENGTH_MAX);
  if (!taken.has(base)) return base;
  for (let number = 2; ; number++) if (!taken.has(`${base}-${number}`)) return `${base}-${number}`;
}
