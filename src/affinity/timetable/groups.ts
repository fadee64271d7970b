import { PlacementState } from '../cost-model.ts';
import { EXCHANGE_MOVES_MAX, type Excess, stillFull } from '../exchange.ts';
import type { PlacementInstance } from '../instance.ts';
import type { Candidate } from './candidate.ts';

/** Moves whose hours are sought together: one, or those of an exchange. */
export interface Group {
  /** In the order in which they were planned. */
  readonly members: readonly Candidate[];
  /** Orders in which an exchange may be made: which of them keeps capacities depends on the hour. None for one move. */
  readonly ways: readonly ExchangeWay[];
}

export interface ExchangeWay {
  readonly members: readonly Candidate[];
  /** Of each but the last the slots that may not come before the next has arrived. */
  readonly excessSlots: readonly ReadonlySet<number>[];
}

export const singles = (candidates: readonly Candidate[]): Group[] =>
  candidates.map((candidate) => ({ members: [candidate], ways: [] }));

/** Finds the exchanges among moves in the order in which they were planned; all others are alone. */
export function groupsOf(instance: PlacementInstance, candidates: readonly Candidate[]): Group[] {
  const state = new PlacementState(instance);
  const costMax = state.cost();
  const groups: Group[] = [];
  let members: Candidate[] = [];
  let excess: readonly Excess[] = [];
  const closeAsSingles = (): void => {
    groups.push(...singles(members));
    members = [];
    excess = [];
  };
  for (const candidate of candidates) {
    members.push(candidate);
    excess = excessAfter(state, candidate, excess) ?? [];
    if (excess.length > 0 && members.length < EXCHANGE_MOVES_MAX) continue;
    if (excess.length > 0 || members.length === 1) closeAsSingles();
    else {
      groups.push({ members, ways: waysOf(state, members, costMax) });
      members = [];
    }
  }
  closeAsSingles();
  return groups;
}

/** @param state the map with all of them; put back. */
function waysOf(state: PlacementState, members: readonly Candidate[], costMax: number): ExchangeWay[] {
  const ways: ExchangeWay[] = [];
  for (const first of members.keys()) {
    for (const { partition, source } of members) state.move(partition, source);
    const turned = [...members.slice(first), ...members.slice(0, first)];
    const excessSlots: ReadonlySet<number>[] = [];
    let excess: readonly Excess[] | null = [];
    for (const member of turned) {
      excess = excess && excessAfter(state, member, excess);
      if (excess === null || state.cost() > costMax) excess = null;
      else excessSlots.push(new Set(excess.map(({ cell }) => cell % state.instance.slotStride)));
    }
    if (excess !== null) ways.push({ members: turned, excessSlots });
  }
  return ways;
}

/** Carries a move out. Null where a rule other than capacity forbids it. */
function excessAfter(
  state: PlacementState,
  { partition, target }: Candidate,
  excess: readonly Excess[],
): readonly Excess[] | null {
  const cells = state.excessWith(partition, target, excess);
  state.move(partition, target);
  return cells && stillFull(state, excess).concat(cells.map((cell) => ({ node: target, cell })));
}
