import { ForeshardError } from '../../base/errors.ts';
import { ruleConflict } from './rule-conflicts.ts';
import type { PlacementRules } from './rules.ts';
import { type UnionSet, unionOf } from './union-set.ts';

/** Rules as an operator states them. Every rule names the partitions it is about, by index. */
export interface RuleSet {
  /** Stays on `node`, or goes there; without a node it stays where it is. */
  readonly pinned: readonly { readonly partitions: readonly number[]; readonly node?: number }[];
  /** Never goes to these nodes. */
  readonly forbidden: readonly {
    readonly partitions: readonly number[];
    readonly nodes: readonly number[];
  }[];
  /** Goes to nodes of these zones only. */
  readonly zones: readonly { readonly partitions: readonly number[]; readonly zones: readonly string[] }[];
  /** Such as replicas of the same data: no two of them on one node, and all of them in `zonesMin` zones (1) at least. */
  readonly apart: readonly { readonly partitions: readonly number[]; readonly zonesMin?: number }[];
  /** On one node, and moved together. */
  readonly together: readonly { readonly partitions: readonly number[] }[];
}

export const NO_RULES: RuleSet = { pinned: [], forbidden: [], zones: [], apart: [], together: [] };

/** What rules are laid over. */
export interface RuleGround {
  readonly partitionCount: number;
  readonly nodeCount: number;
  /** i32[partition] */
  readonly home: Int32Array;
  /** f64[partition] */
  readonly bytes: Float64Array;
  /** Of each node; the same for all where there are none. */
  readonly nodeZones: readonly string[];
  /** u8[node]: 0 for a node that must not receive anything; if absent, all may. */
  readonly isTarget?: Uint8Array;
  /** Whether a set may come together on a node as things stand; if absent, it may on any. */
  hasRoom?(members: readonly number[], node: number): boolean;
  /** How partitions and nodes are called where a rule is refused. */
  partitionName(partition: number): string;
  nodeName(node: number): string;
}

/** Rules in the numbers of an instance, and what of them is not a part of one. */
export interface CompiledRules
  extends Pick<
    PlacementRules,
    | 'allowed'
    | 'zoneForbidden'
    | 'stayPenalty'
    | 'spreadPenalty'
    | 'groupOf'
    | 'groupsOf'
    | 'groupZonesMin'
    | 'zoneOf'
  > {
  /** u8[partition]: 1 for what stays where it is. */
  readonly isPinned: Uint8Array;
  /** Partitions that move as one, at least two each: they share a home. */
  readonly units: readonly (readonly number[])[];
}

/** Breaches are counted here; what each costs depends on the loads. */
const ONE_BREACH = 1;

/**
 * Turns rules into the numbers of an instance.
 *
 * A set that is to be together and is not yet is gathered first: of the nodes that may hold all of it and have room, on the
 * one with most of its bytes; from the next plan on it moves as one. Replicas that share a node, or zones, at the start are
 * made to want to leave: all but one that cannot, or the largest.
 *
 * @throws ForeshardError FORESHARD_CONFIG for a rule that names what is not there, and for rules that cannot all hold,
 *   naming the ones that conflict.
 */
export function compileRules(rules: RuleSet, ground: RuleGround): CompiledRules {
  assertRuleNames(rules, ground);
  const conflict = ruleConflict(rules, ground);
  if (conflict !== null) throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', conflict);
  const compiler = new RuleCompiler(ground);
  compiler.pin(rules.pinned);
  compiler.forbid(rules.forbidden);
  compiler.keepInZones(rules.zones);
  compiler.gather(unionOf(rules.together.map(({ partitions }) => partitions)));
  compiler.keepApart(rules.apart);
  return compiler.finish();
}

/** @throws ForeshardError FORESHARD_CONFIG naming the first rule about a partition, node or zone that is not there. */
export function assertRuleNames(rules: RuleSet, { partitionCount, nodeCount, nodeZones }: RuleGround): void {
  const refuse = (place: string, what: string): never => {
    throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', `${place} names ${what}, which is not there`);
  };
  const assertNodes = (place: string, nodes: readonly number[]): void => {
    for (const n of nodes) if (!(Number.isInteger(n) && n >= 0 && n < nodeCount)) refuse(place, `node ${n}`);
  };
  for (const [kind, list] of Object.entries(rules) as [keyof RuleSet, RuleSet['together']][])
    list.forEach(({ partitions }, i) => {
      for (const p of partitions)
        if (!(Number.isInteger(p) && p >= 0 && p < partitionCount))
          refuse(`rules.${kind}[${i}]`, `partition ${p}`);
    });
  rules.pinned.forEach(({ node }, i) => {
    if (node !== undefined) assertNodes(`rules.pinned[${i}]`, [node]);
  });
  rules.forbidden.forEach(({ nodes }, i) => {
    assertNodes(`rules.forbidden[${i}]`, nodes);
  });
  const known = new Set(nodeZones);
  rules.zones.forEach(({ zones }, i) => {
    for (const zone of zones) if (!known.has(zone)) refuse(`rules.zones[${i}]`, `zone "${zone}"`);
  });
}

/** Fills the arrays, rule by rule. */
class RuleCompiler {
  readonly #ground: RuleGround;
  readonly #zoneOf: Int32Array;
  readonly #isPinned: Uint8Array;
  readonly #stayPenalty: Float64Array;
  readonly #spreadPenalty: Float64Array;
  #allowed: Uint8Array | null = null;
  #zoneForbidden: Uint8Array | null = null;
  readonly #units: (readonly number[])[] = [];
  readonly #groupsOf = new Map<number, number[]>();
  readonly #groupZonesMin: number[] = [];

  constructor(ground: RuleGround) {
    this.#ground = ground;
    const names = [...new Set(ground.nodeZones)];
    this.#zoneOf = Int32Array.from(ground.nodeZones, (name) => names.indexOf(name));
    this.#isPinned = new Uint8Array(ground.partitionCount);
    this.#stayPenalty = new Float64Array(ground.partitionCount);
    this.#spreadPenalty = new Float64Array(ground.partitionCount);
  }

  pin(rules: RuleSet['pinned']): void {
    for (const { partitions, node } of rules)
      for (const p of partitions) {
        const own = node ?? (this.#ground.home[p] as number);
        if (own === this.#ground.home[p]) this.#isPinned[p] = 1;
        else this.#keepTo(p, (n) => n === own);
      }
  }

  forbid(rules: RuleSet['forbidden']): void {
    for (const { partitions, nodes } of rules)
      for (const p of partitions) this.#keepTo(p, (n) => !nodes.includes(n));
  }

  keepInZones(rules: RuleSet['zones']): void {
    const { nodeZones, nodeCount, partitionCount } = this.#ground;
    for (const { partitions, zones } of rules)
      for (const p of partitions) {
        this.#zoneForbidden ??= new Uint8Array(partitionCount * nodeCount);
        for (let n = 0; n < nodeCount; n++)
          if (!zones.includes(nodeZones[n] as string)) this.#zoneForbidden[p * nodeCount + n] = 1;
        this.#keepTo(p, (n) => zones.includes(nodeZones[n] as string));
      }
  }

  gather(sets: readonly UnionSet[]): void {
    const { home } = this.#ground;
    for (const members of sets) {
      const isAllowed = (n: number): boolean =>
        members.every((p) => (this.#isPinned[p] === 1 ? home[p] === n : this.#isAllowed(p, n)));
      for (const p of members) this.#keepTo(p, isAllowed);
      if (members.some((p) => this.#isPinned[p] === 1))
        this.#settle(members, home[members.find((p) => this.#isPinned[p] === 1) as number] as number);
      else if (members.some((p) => home[p] !== home[members[0] as number]))
        this.#settle(members, this.#gatheringNode(members, isAllowed));
      for (const unit of this.#byHome(members)) if (unit.length > 1) this.#units.push(unit);
    }
  }

  keepApart(rules: RuleSet['apart']): void {
    for (const { partitions, zonesMin = 1 } of rules) {
      const group = this.#groupZonesMin.push(zonesMin) - 1;
      const members = [...new Set(partitions)];
      for (const p of members) {
        const groups = this.#groupsOf.get(p);
        if (groups === undefined) this.#groupsOf.set(p, [group]);
        else groups.push(group);
      }
      this.#spread(members, zonesMin);
    }
  }

  finish(): CompiledRules {
    const { partitionCount, home } = this.#ground;
    const groupOf = new Int32Array(partitionCount).fill(-1);
    for (const [p, groups] of this.#groupsOf) groupOf[p] = groups[0] as number;
    for (let p = 0; p < partitionCount; p++)
      if (!this.#isAllowed(p, home[p] as number)) this.#stayPenalty[p] = ONE_BREACH;
    return {
      allowed: this.#allowed,
      zoneForbidden: this.#zoneForbidden,
      stayPenalty: this.#stayPenalty,
      spreadPenalty: this.#spreadPenalty,
      groupOf,
      groupsOf: new Map([...this.#groupsOf].filter(([, groups]) => groups.length > 1)),
      groupZonesMin: Int32Array.from(this.#groupZonesMin),
      zoneOf: this.#zoneOf,
      isPinned: this.#isPinned,
      units: this.#units,
    };
  }

  #isAllowed(p: number, n: number): boolean {
    return this.#allowed === null || this.#allowed[p * this.#ground.nodeCount + n] === 1;
  }

  #keepTo(p: number, isAllowed: (node: number) => boolean): void {
    const { partitionCount, nodeCount } = this.#ground;
    this.#allowed ??= new Uint8Array(partitionCount * nodeCount).fill(1);
    for (let n = 0; n < nodeCount; n++) if (!isAllowed(n)) this.#allowed[p * nodeCount + n] = 0;
  }

  /** Where a scattered set goes: if no node has room now, to one that may receive, for when it has. */
  #gatheringNode(members: UnionSet, isAllowed: (node: number) => boolean): number {
    const { home, bytes, nodeCount, isTarget, hasRoom } = this.#ground;
    const held = new Float64Array(nodeCount);
    for (const p of members) held[home[p] as number]! += 1 + (bytes[p] as number);
    const allowed = [...held.keys()].filter(isAllowed);
    const receiving = allowed.filter((n) => isTarget?.[n] !== 0);
    const roomy = receiving.filter((n) => hasRoom?.(members, n) ?? true);
    const nodes = [roomy, receiving, allowed].find(({ length }) => length > 0) as number[];
    return nodes.reduce((best, n) => ((held[n] as number) > (held[best] as number) ? n : best));
  }

  /** Whether the rules leave it a node to go to. */
  #canLeave(p: number): boolean {
    const { home, nodeCount, isTarget } = this.#ground;
    if (this.#isPinned[p] === 1) return false;
    for (let n = 0; n < nodeCount; n++)
      if (n !== home[p] && isTarget?.[n] !== 0 && this.#isAllowed(p, n)) return true;
    return false;
  }

  /** The set is to be on `node`: who is there stays for now, the others may go nowhere else. */
  #settle(members: UnionSet, node: number): void {
    for (const p of members) {
      if (this.#ground.home[p] === node) this.#isPinned[p] = 1;
      else this.#keepTo(p, (n) => n === node);
    }
  }

  #byHome(members: UnionSet): number[][] {
    const byHome = new Map<number, number[]>();
    for (const p of members) {
      const own = this.#ground.home[p] as number;
      byHome.set(own, [...(byHome.get(own) ?? []), p]);
    }
    return [...byHome.values()];
  }

  /** Makes members want to leave that share a node, or a zone where the group is in too few: who cannot leave stays, else the largest. */
  #spread(members: readonly number[], zonesMin: number): void {
    const { home, bytes } = this.#ground;
    const stayersFirst = [...members].sort(
      (p, q) =>
        Number(this.#canLeave(p)) - Number(this.#canLeave(q)) ||
        (bytes[q] as number) - (bytes[p] as number) ||
        p - q,
    );
    const nodes = new Set<number>();
    const zones = new Set<number>();
    const spare: number[] = [];
    for (const p of stayersFirst) {
      const node = home[p] as number;
      if (nodes.has(node)) this.#spreadPenalty[p] = ONE_BREACH;
      if (zones.has(this.#zoneOf[node] as number)) spare.unshift(p);
      nodes.add(node);
      zones.add(this.#zoneOf[node] as number);
    }
    // The smallest that can leave first: each brings one zone more.
    for (const p of spare.slice(0, Math.max(0, zonesMin - zones.size))) {
      this.#spreadPenalty[p] = ONE_BREACH;
      this.#keepTo(p, (n) => n === home[p] || !zones.has(this.#zoneOf[n] as number));
    }
  }
}
