import { ForeshardError } from '../base/errors.ts';
import type { SavedHistory } from './history.ts';
import type { SavedShifts } from './level-shifts.ts';
import type { MemberState } from './members/member.ts';
import { type ForecastSettings, trackedLevels } from './settings.ts';
import type { SavedRecord } from './track-record.ts';

/** Raised whenever something saved means something else; 8: bounds corrected by the hour of the day. */
export const CHECKPOINT_VERSION = 8;

/** What the saved numbers are the numbers of: a forecaster of another making cannot go on with them. */
export interface CheckpointShape {
  readonly partitionCount: number;
  readonly windowMs: number;
  readonly startMs: number;
  readonly dayWindows: number;
  readonly weekWindows: number;
  readonly driver: string;
  readonly historyWindows: number;
  readonly horizonSteps: number;
  readonly levels: readonly number[];
  readonly members: readonly string[];
}

/** All a forecaster knows, as plain data. Whoever stores it may use any format that keeps numbers to the bit. */
export interface ForecasterCheckpoint {
  readonly version: number;
  readonly shape: CheckpointShape;
  readonly history: SavedHistory;
  readonly members: MemberState;
  readonly record: SavedRecord;
  readonly shifts: SavedShifts;
}

export const checkpointShape = (
  settings: ForecastSettings,
  shape: Pick<CheckpointShape, 'partitionCount' | 'windowMs' | 'startMs' | 'dayWindows' | 'weekWindows'>,
): CheckpointShape => ({
  partitionCount: shape.partitionCount,
  windowMs: shape.windowMs,
  startMs: shape.startMs,
  dayWindows: shape.dayWindows,
  weekWindows: shape.weekWindows,
  driver: settings.driver,
  historyWindows: settings.historyWindows,
  horizonSteps: settings.horizonSteps,
  levels: trackedLevels(settings),
  members: settings.members,
});

/** @throws ForeshardError FORESHARD_CONFIG naming what differs; the remedy is to begin anew from measured windows. */
export function assertRestorable(checkpoint: ForecasterCheckpoint, settings: ForecastSettings): void {
  const refuse = (what: string): never => {
    throw new ForeshardError('FORESHARD_CONFIG', 'restart', `forecast checkpoint: ${what}`);
  };
  if (checkpoint.version !== CHECKPOINT_VERSION)
    refuse(`it is of version ${checkpoint.version}, this is version ${CHECKPOINT_VERSION}`);
  const expected = checkpointShape(settings, checkpoint.shape);
  for (const key of Object.keys(expected) as (keyof CheckpointShape)[]) {
    const [saved, wanted] = [checkpoint.shape[key], expected[key]].map((value) => JSON.stringify(value));
    if (saved !== wanted) refuse(`${key} was ${saved} when it was saved, and is ${wanted} now`);
  }
}
