/** Members in ascending order, at least one. */
export type UnionSet = readonly number[];

/** Sets that share a member are one: the disjoint sets that remain, in order of their least members. */
export function unionOf(sets: readonly (readonly number[])[]): UnionSet[] {
  const rootOf = new Map<number, number>();
  const find = (member: number): number => {
    let root = member;
    for (let next = rootOf.get(root); next !== undefined && next !== root; next = rootOf.get(root))
      root = next;
    rootOf.set(member, root);
    return root;
  };
  for (const set of sets)
    for (const member of set) {
      const first = find(set[0] as number);
      const other = find(member);
      rootOf.set(Math.max(first, other), Math.min(first, other));
    }
  const members = new Map<number, number[]>();
  for (const member of [...rootOf.keys()].sort((a, b) => a - b)) {
    const root = find(member);
    const set = members.get(root);
    if (set === undefined) members.set(root, [member]);
    else set.push(member);
  }
  return [...members.values()];
}
