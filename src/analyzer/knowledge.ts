import type { History } from './history.ts';
import type { LevelShifts } from './level-shifts.ts';
import type { PartitionRange } from './members/member.ts';
import type { MemberForecasts, Roster } from './members/roster.ts';
import { clampToRange, type RecentRange, recentRange } from './recent-range.ts';
import type { TrackRecord } from './track-record.ts';

/** All that a forecaster knows: what came, who speaks of what comes, how right that was, and whose level is another now. */
export interface Knowledge {
  readonly history: History;
  readonly roster: Roster;
  readonly record: TrackRecord;
  readonly shifts: LevelShifts;
}

/** Lets every member speak of some partitions, within what each partition's past makes believable. */
export async function predictSanely(
  { history, roster }: Knowledge,
  range: PartitionRange,
  visit: (forecasts: MemberForecasts, recent: RecentRange) => void,
): Promise<void> {
  const forecasts = await roster.predict(range);
  const recent = recentRange(history, range);
  clampToRange(forecasts, recent);
  visit(forecasts, recent);
}
