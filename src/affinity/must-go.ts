import type { PlacementInstance } from './instance.ts';

/** Whether a partition has to leave whatever the load: its node is to be emptied, or a rule does not want it there. */
export const mustGo = (
  { home, holdPenalty, stayPenalty, spreadPenalty }: PlacementInstance,
  partition: number,
): boolean =>
  (holdPenalty[home[partition] as number] as number) > 0 ||
  (stayPenalty[partition] as number) > 0 ||
  (spreadPenalty[partition] as number) > 0;
