/** Why one partition may not go to one node. */
export type MoveRefusal =
  | 'pinned'
  | 'wide-bounds'
  | 'forbidden'
  | 'zone'
  | 'node-down'
  | 'dirty-rate'
  | 'apart'
  | 'zones-min'
  | 'bytes'
  | 'budget-bytes'
  | 'budget-moves'
  | 'node-moves'
  | 'capacity'
  | 'window';

/** What each refusal means, for people and for `docs/affinity.md`. */
export const MOVE_REFUSALS: Readonly<Record<MoveRefusal, string>> = {
  pinned: 'it rests: a rule pins it, it is being moved or was moved lately',
  'wide-bounds': 'its forecast is too uncertain to move it by: the upper bound is too far above the mean',
  forbidden: 'a rule keeps it from this node',
  zone: 'a rule keeps it to other zones',
  'node-down': 'nothing goes to the node: it is to be emptied, does not answer, or cannot write',
  'dirty-rate': 'it is written to faster than it can be copied',
  apart: 'a partition it has to be apart from is there',
  'zones-min': 'its group would be spread over too few zones',
  bytes: 'the disk has no room for it: what leaves frees nothing until the plan is done',
  'budget-bytes': 'the plan would move more bytes than it may',
  'budget-moves': 'the plan would have more moves than it may',
  'node-moves': 'one of the nodes would take part in more moves than it may',
  capacity: 'the node would be above its capacity at the upper quantile',
  window: 'no window for moves is left in the horizon',
};
