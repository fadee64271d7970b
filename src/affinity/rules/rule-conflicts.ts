import type { RuleGround, RuleSet } from './rule-set.ts';
import { unionOf } from './union-set.ts';

type RuleKind = keyof RuleSet;

/** One rule of any kind, under the name it has in the set. */
interface NamedRule {
  readonly kind: RuleKind;
  readonly name: string;
  readonly partitions: readonly number[];
  readonly node?: number;
  readonly nodes?: readonly number[];
  readonly zones?: readonly string[];
  readonly zonesMin?: number;
}

/**
 * Whether no map at all could keep the rules, loads aside: nodes that every partition may be on, sets to be together, and
 * matchings of groups to nodes and to zones (Hall's theorem). Groups are looked at one by one, so that a conflict of several
 * groups over the same nodes may go unseen; nothing that is found is a false alarm.
 *
 * @returns null, or a sentence that names a set of rules of which every one is needed for the conflict.
 */
export function ruleConflict(rules: RuleSet, ground: RuleGround): string | null {
  const all = namedRules(rules);
  const witness = conflictWitness(all, ground);
  if (witness === null) return null;
  // Dropping one rule after the other leaves a set that is irreducible: not always the smallest, but nothing in it is idle.
  let needed = concerning(all, witness);
  for (const rule of needed) {
    const fewer = needed.filter((other) => other !== rule);
    if (conflictWitness(fewer, ground) !== null) needed = fewer;
  }
  const told = needed.map((rule) => `${rule.name} (${describe(rule, ground)})`).join(' and ');
  return needed.length === 1
    ? `${told} cannot hold on these ${ground.nodeCount} nodes: change it, or add nodes`
    : `these rules cannot all hold: ${told}. Change or drop one of them`;
}

function namedRules(rules: RuleSet): NamedRule[] {
  const named: NamedRule[] = [];
  for (const kind of ['pinned', 'forbidden', 'zones', 'apart', 'together'] as const)
    rules[kind].forEach((rule, i) => {
      named.push({ kind, name: `rules.${kind}[${i}]`, ...rule });
    });
  return named;
}

/** Rules that can have a part in a conflict of the witness: those of its partitions, and of whatever these are tied to. */
function concerning(rules: readonly NamedRule[], witness: readonly number[]): NamedRule[] {
  const tied = new Set(witness);
  const isTie = ({ kind }: NamedRule): boolean => kind === 'together' || kind === 'apart';
  for (let size = -1; size !== tied.size; ) {
    size = tied.size;
    for (const rule of rules)
      if (isTie(rule) && rule.partitions.some((p) => tied.has(p)))
        for (const p of rule.partitions) tied.add(p);
  }
  return rules.filter(({ partitions }) => partitions.some((p) => tied.has(p)));
}

/** Partitions for which the rules leave no map, or null. */
function conflictWitness(rules: readonly NamedRule[], ground: RuleGround): readonly number[] | null {
  const units = unionOf(rules.filter(({ kind }) => kind === 'together').map(({ partitions }) => partitions));
  const unitOf = new Map<number, readonly number[]>();
  for (const unit of units) for (const p of unit) unitOf.set(p, unit);
  const rootOf = (p: number): number => unitOf.get(p)?.[0] ?? p;

  const nodesOf = new Map<number, readonly number[]>();
  const everyNode = ground.nodeZones.map((_, n) => n);
  for (const rule of rules)
    for (const p of rule.partitions) {
      const root = rootOf(p);
      const nodes = (nodesOf.get(root) ?? everyNode).filter((n) => permits(rule, p, n, ground));
      if (nodes.length === 0) return unitOf.get(p) ?? [p];
      nodesOf.set(root, nodes);
    }

  for (const { kind, partitions, zonesMin = 1 } of rules) {
    if (kind !== 'apart') continue;
    const members = [...new Set(partitions)];
    const roots = [...new Set(members.map(rootOf))];
    if (roots.length < members.length) return members;
    const nodes = roots.map((root) => nodesOf.get(root) ?? everyNode);
    const zones = nodes.map((own) => [...new Set(own.map((n) => ground.nodeZones[n] as string))]);
    if (matchingSize(nodes) < roots.length || matchingSize(zones) < zonesMin) return members;
  }
  return null;
}

function permits(rule: NamedRule, partition: number, node: number, ground: RuleGround): boolean {
  switch (rule.kind) {
    case 'pinned':
      return node === (rule.node ?? ground.home[partition]);
    case 'forbidden':
      return !(rule.nodes as readonly number[]).includes(node);
    case 'zones':
      return (rule.zones as readonly string[]).includes(ground.nodeZones[node] as string);
    default:
      return true;
  }
}

/** Size of a largest matching of the lists to their entries. @see Kuhn, "The Hungarian method", 1955: augmenting paths */
function matchingSize<Entry>(lists: readonly (readonly Entry[])[]): number {
  const takenBy = new Map<Entry, number>();
  const augment = (index: number, seen: Set<Entry>): boolean => {
    for (const entry of lists[index] as readonly Entry[]) {
      if (seen.has(entry)) continue;
      seen.add(entry);
      const other = takenBy.get(entry);
      if (other !== undefined && !augment(other, seen)) continue;
      takenBy.set(entry, index);
      return true;
    }
    return false;
  };
  return lists.reduce((size, _, index) => size + (augment(index, new Set()) ? 1 : 0), 0);
}

function describe(rule: NamedRule, ground: RuleGround): string {
  const names = rule.partitions.map((p) => ground.partitionName(p));
  const shown =
    names.length <= 4 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
  switch (rule.kind) {
    case 'pinned':
      return `${shown} on ${ground.nodeName(rule.node ?? (ground.home[rule.partitions[0] as number] as number))}`;
    case 'forbidden':
      return `${shown} not on ${(rule.nodes as readonly number[]).map((n) => ground.nodeName(n)).join(', ')}`;
    case 'zones':
      return `${shown} only in ${(rule.zones as readonly string[]).join(', ')}`;
    case 'apart':
      return `${shown} apart${rule.zonesMin === undefined ? '' : `, in ${rule.zonesMin} zones`}`;
    default:
      return `${shown} together`;
  }
}
