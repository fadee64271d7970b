import type { ReliefRefusal } from '../../../src/affinity/relief/plan-relief.ts';
import type { Refusal } from '../../../src/model/proposal.ts';

/** Why nothing is proposed, for people. */
export const REFUSAL_MEANING: Readonly<Record<Refusal, string>> = {
  'near-bound': 'the map as it is costs hardly more than the best there could be',
  'below-minimum-gain': 'no move that the rules allow would gain as much as it has to for its price',
  'no-order':
    'a better map is known, but no order of its moves was found in which each step keeps the rules and leaves nothing worse than it is: nodes would have to exchange partitions at one instant, in hours in which both are full',
  'migrations-open': 'the partitions are still being moved',
  residence: 'every partition rests: it was moved lately, or its node does not answer',
  'breach-stays':
    'partitions are where the rules do not want them, and no node may take them as things stand',
  'wide-bounds': 'every partition that may move has a forecast too uncertain to move it by',
  'moves-per-day': 'as many moves were made within a day as one may have: what would pay waits',
  'no-time': 'moves would be worth while, but none finds its hour',
};

/** Why relief between cycles moved nothing. */
export const RELIEF_MEANING: Readonly<Record<ReliefRefusal, string>> = {
  'on-its-way': 'moves that are open, approved or planned bring it back',
  'outside-windows': 'moves may not begin now (affinity.timetable.windows)',
  'silent-nodes': 'only nodes could take anything that do not tell what they are asked',
  'no-move': 'none pays for its price with a target that stays inside its own zone',
};
