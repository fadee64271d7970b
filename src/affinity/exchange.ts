import type { PlacementState } from './cost-model.ts';

/** A cell, resource x slot, in which a node is above its limit until a later move ends that. */
export interface Excess {
  readonly node: number;
  readonly cell: number;
}

/** Longer ones are hardly found, and each of their moves has to be done before the hour in which its node is too full. */
export const EXCHANGE_MOVES_MAX = 4;
/** Moves looked at in one search, each a pass over the slots of two nodes: some milliseconds. */
const TRIES_MAX = 512;

/**
 * Moves that keep all capacities only one shortly after the other: the first leaves its target above its limit, in some slots and
 * not in all, and the last ends that. They can be carried out where none of these slots lies between; the timetable sees to
 * that (`timetable/prefixes.ts`). So two nodes that are just full, one by day and one by night, exchange partitions by day.
 *
 * No map on the way costs more than `costMax`, and each move after the first lowers the cost by itself: a plan that is made
 * anew in between goes on.
 *
 * @param open partitions at home that are to go to `ownerOf`, none of which may go now.
 * @returns partitions in the order of their moves; empty if none were found.
 */
export function findExchange(
  state: PlacementState,
  open: ReadonlySet<number>,
  { ownerOf, costMax }: { readonly ownerOf: Int32Array; readonly costMax: number },
): readonly number[] {
  const { instance } = state;
  let tries = 0;
  const fullAt = (nodes: ReadonlySet<number>): ReadonlySet<number> =>
    new Set([...nodes].flatMap((node) => fullCells(state, node).map((cell) => node * instance.depth + cell)));
  /** Whether no node of a chain is full, on the map as it is now, where it was not before the chain. */
  const raisesNone = (chain: readonly number[]): boolean => {
    const nodes = new Set(chain.flatMap((p) => [instance.home[p] as number, ownerOf[p] as number]));
    const after = fullAt(nodes);
    if (after.size === 0) return true;
    for (const p of chain) state.move(p, instance.home[p] as number);
    const before = fullAt(nodes);
    for (const p of chain) state.move(p, ownerOf[p] as number);
    return [...after].every((at) => before.has(at));
  };
  const goOn = (chain: readonly number[], excess: readonly Excess[]): readonly number[] => {
    for (const partition of open) {
      const home = state.ownerOf[partition] as number;
      if (chain.length > 0 && (chain.includes(partition) || !excess.some(({ node }) => node === home)))
        continue;
      if (++tries > TRIES_MAX) return [];
      const target = ownerOf[partition] as number;
      const cells = state.excessWith(partition, target, excess);
      if (cells === null || coversAllSlots(state, cells)) continue;
      const delta = state.moveDelta(partition, target);
      if (state.cost() + delta > costMax || (chain.length > 0 && delta >= 0)) continue;
      state.move(partition, target);
      const left = stillFull(state, excess).concat(cells.map((cell) => ({ node: target, cell })));
      const longer = [...chain, partition];
      let found: readonly number[] = [];
      if (left.length === 0) found = raisesNone(longer) ? longer : [];
      else if (longer.length < EXCHANGE_MOVES_MAX) found = goOn(longer, left);
      state.move(partition, home);
      if (found.length > 0) return found;
    }
    return [];
  };
  return goOn([], []);
}

/** Of what was above its limit that which is so on the map as it is now. */
export const stillFull = <Kind extends Excess>(state: PlacementState, excess: readonly Kind[]): Kind[] =>
  excess.filter(({ node, cell }) => state.isFull(node, cell));

/** Cells, resource x slot, in which a node is above its limit. */
export function fullCells(state: PlacementState, node: number): number[] {
  const { resourceCount, slotStride, slotCount } = state.instance;
  return Array.from({ length: resourceCount * slotStride }, (_, cell) => cell).filter(
    (cell) => cell % slotStride < slotCount && state.isFull(node, cell),
  );
}

function coversAllSlots({ instance }: PlacementState, cells: readonly number[]): boolean {
  return new Set(cells.map((cell) => cell % instance.slotStride)).size === instance.slotCount;
}
