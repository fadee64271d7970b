import { assert } from '../../base/assert.ts';
import { type ClusterEvent, carryNames, type Group, type NamedGroup } from './cluster-names.ts';

export interface ClusterSettings {
  /** A member joins, and two clusters become one, from this cosine on. */
  readonly similarityMin: number;
  /** A member stays down to this one: below `similarityMin`, so that what lies near the border does not go to and fro. */
  readonly similarityKept: number;
  /** What would make one more goes to the most similar there is. */
  readonly clustersMax: number;
  /** Events that are remembered, the newest. */
  readonly eventsMax: number;
}

export const SHAPE_CLUSTER_DEFAULTS: ClusterSettings = {
  // QueryBot 5000's rho.
  similarityMin: 0.8,
  similarityKept: 0.72,
  clustersMax: 64,
  eventsMax: 64,
};

/** Two statements that share half of what is special about them; texts are more different from each other than shapes are. */
export const TERM_CLUSTER_DEFAULTS: ClusterSettings = {
  ...SHAPE_CLUSTER_DEFAULTS,
  similarityMin: 0.5,
  similarityKept: 0.4,
};

/** What is clustered: a template with the vector that it is compared by. */
export interface ClusterMember {
  readonly id: string;
  /** f64[dimension], the same for all; only its direction counts. */
  readonly vector: Float64Array;
  /** Queries, weighted by age, > 0. */
  readonly weight: number;
  /** Words that tell what it is about, for the name of its cluster. */
  readonly terms: readonly string[];
}

/**
 * Online clustering by cosine similarity, one step a day or so, over vectors that change slowly: members that have become unlike
 * their cluster leave it, new ones join the most similar or begin one, and clusters that have become alike are merged.
 * Deterministic: members are taken by weight, ties by id. A step costs members x clusters x dimension.
 *
 * @see Ma et al., "Query-based workload forecasting for self-driving database management systems" (QueryBot 5000), SIGMOD 2018, §5
 */
export class OnlineClusters {
  readonly #settings: ClusterSettings;
  #clusters: readonly NamedGroup[] = [];
  #events: ClusterEvent[] = [];

  constructor(settings: ClusterSettings) {
    assert(settings.similarityKept <= settings.similarityMin, 'staying is no harder than joining');
    this.#settings = settings;
  }

  /** By weight, the largest first. */
  get clusters(): readonly NamedGroup[] {
    return this.#clusters;
  }

  /** The newest last. */
  get events(): readonly ClusterEvent[] {
    return this.#events;
  }

  /** Takes over names from an earlier life: the first step carries them on as if there had been no restart. */
  adopt(clusters: readonly { readonly name: string; readonly memberIds: readonly string[] }[]): void {
    this.#clusters = clusters.map(({ name, memberIds }) => ({ name, memberIds, weight: 0 }));
  }

  /**
   * Templates that have turned out to be one: those that are known under `id` go on as `idOf(id)`.
   */
  rename(idOf: (id: string) => string): void {
    this.#clusters = this.#clusters.map((cluster) => ({
      ...cluster,
      memberIds: [...new Set(cluster.memberIds.map(idOf))],
    }));
  }

  /** @param members all there are now; who is missing has died. @returns what has changed, as `events` has it. */
  step(members: readonly ClusterMember[], atMs: number): readonly ClusterEvent[] {
    const usable = members
      .filter(({ weight, vector }) => weight > 0 && vector.some((value) => value !== 0))
      .sort((a, b) => b.weight - a.weight || (a.id < b.id ? -1 : 1));
    const { clusters, events } = carryNames(this.#clusters, this.#regrouped(usable), atMs);
    this.#clusters = clusters;
    this.#events = [...this.#events, ...events].slice(-this.#settings.eventsMax);
    return events;
  }

  #regrouped(members: readonly ClusterMember[]): Group[] {
    const memberOf = new Map(members.map((member) => [member.id, new Placed(member)]));
    const groups: Centre[] = [];
    for (const { memberIds } of this.#clusters) {
      const centre = new Centre();
      for (const id of memberIds) memberOf.get(id)?.moveTo(centre);
      if (centre.members.size > 0) groups.push(centre);
    }
    const placed = [...memberOf.values()];
    // Against the centres as they are before anyone leaves: the order in which members are looked at does not matter.
    const leaving = placed.filter(
      ({ centre, unit }) => centre !== null && centre.similarity(unit) < this.#settings.similarityKept,
    );
    for (const member of leaving) member.moveTo(null);
    for (const member of placed) if (member.centre === null) this.#place(member, groups);
    this.#mergeAlike(groups);
    return groups
      .filter(({ members: inside }) => inside.size > 0)
      .map(({ members: inside }) => ({ members: [...inside].map(({ member }) => member) }));
  }

  #place(member: Placed, groups: Centre[]): void {
    let best: Centre | null = null;
    let bestSimilarity = Number.NEGATIVE_INFINITY;
    for (const centre of groups) {
      const similarity =
        centre.members.size === 0 ? Number.NEGATIVE_INFINITY : centre.similarity(member.unit);
      if (similarity > bestSimilarity) [best, bestSimilarity] = [centre, similarity];
    }
    const isOwn = bestSimilarity < this.#settings.similarityMin && groups.length < this.#settings.clustersMax;
    if (best === null || isOwn) {
      best = new Centre();
      groups.push(best);
    }
    member.moveTo(best);
  }

  /** The most similar pair first, until none is similar enough. */
  #mergeAlike(groups: Centre[]): void {
    for (let merges = groups.length; merges > 0; merges--) {
      let best: readonly [Centre, Centre] | null = null;
      let bestSimilarity = this.#settings.similarityMin;
      for (const [i, a] of groups.entries())
        for (const b of groups.slice(0, i)) {
          if (a.members.size === 0 || b.members.size === 0) continue;
          const similarity = a.similarity(b.unit());
          if (similarity >= bestSimilarity) [best, bestSimilarity] = [[a, b], similarity];
        }
      if (best === null) return;
      for (const member of [...best[0].members]) member.moveTo(best[1]);
    }
  }
}

/** A member's direction, and where it is now. */
class Placed {
  readonly member: ClusterMember;
  readonly unit: Float64Array;
  centre: Centre | null = null;

  constructor(member: ClusterMember) {
    this.member = member;
    this.unit = unitOf(member.vector);
  }

  moveTo(centre: Centre | null): void {
    this.centre?.remove(this);
    this.centre = centre;
    centre?.insert(this);
  }
}

/** The sum of its members' directions, each by its weight: what most queries of the cluster look like. */
class Centre {
  readonly members = new Set<Placed>();
  #sum: Float64Array = new Float64Array(0);
  #norm = 0;

  insert(placed: Placed): void {
    if (this.#sum.length === 0) this.#sum = new Float64Array(placed.unit.length);
    this.members.add(placed);
    this.#add(placed, placed.member.weight);
  }

  remove(placed: Placed): void {
    this.members.delete(placed);
    this.#add(placed, -placed.member.weight);
  }

  /** Cosine with a vector of length 1. */
  similarity(unit: Float64Array): number {
    if (this.#norm === 0) return 0;
    let dot = 0;
    for (let i = 0; i < unit.length; i++) dot += (unit[i] as number) * (this.#sum[i] as number);
    return dot / this.#norm;
  }

  unit(): Float64Array {
    return this.#sum.map((value) => value / this.#norm);
  }

  #add({ unit }: Placed, weight: number): void {
    let squares = 0;
    for (let i = 0; i < unit.length; i++) {
      const value = (this.#sum[i] as number) + weight * (unit[i] as number);
      this.#sum[i] = value;
      squares += value * value;
    }
    this.#norm = Math.sqrt(squares);
  }
}

function unitOf(vector: Float64Array): Float64Array {
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  assert(norm > 0, 'a direction has a length');
  return vector.map((value) => value / norm);
}
