import { assumedCapacity, type Backtest } from '../../../src/backtest/backtest.ts';
import { DEFAULT_MIGRATION_MODEL } from '../../../src/backtest/migration-model.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Settings } from '../../../src/settings.ts';
import { type BacktestFlags, TRAIN_DAYS_DEFAULT } from './flags.ts';
import { HOURS_MIN, type LoggedLoad } from './read-load.ts';

const DAY_HOURS = 24;
const HOUR_MS = 3_600_000;
const SECONDS_PER_HOUR = 3600;

/** The backtest that the flags ask for. @throws ForeshardError FORESHARD_CONFIG where the log is too short for them. */
export function makeBacktest(
  { load, hourCount, startMs }: LoggedLoad,
  flags: BacktestFlags,
  {
    settings,
    partitionCount,
    nodeCount,
  }: {
    readonly settings: Pick<Settings, 'affinity' | 'migration' | 'forecast' | 'cluster'>;
    readonly partitionCount: number;
    readonly nodeCount: number;
  },
): Backtest {
  const trainHours = trainHoursOf(flags, hourCount);
  const liveHours = Math.min(hourCount - trainHours, (flags.days ?? Number.POSITIVE_INFINITY) * DAY_HOURS);
  const replayed = load.subarray(0, (trainHours + liveHours) * partitionCount);
  const perSecond = flags.capacity ?? settings.cluster.nodeCapacity.queries;
  const { affinity, migration, forecast } = settings;
  return {
    load: replayed,
    startMs,
    trainHours,
    liveHours,
    skippedHours: skippedHoursOf(flags, liveHours),
    partitionCount,
    capacity:
      perSecond === null
        ? assumedCapacity(replayed, { partitionCount, nodeCount })
        : new Float64Array(nodeCount).fill(perSecond * SECONDS_PER_HOUR),
    partitionBytes: new Float64Array(partitionCount).fill(flags.partitionBytes),
    settings: affinity,
    migration: {
      ...DEFAULT_MIGRATION_MODEL,
      bytesPerSecond: migration.copyBytesPerSecond,
      fixedSeconds: affinity.timetable.fixedSeconds,
      copyUtilisation: affinity.copyUtilisation,
      copiesPerNodeMax: migration.copiesPerNodeMax,
    },
    cycleHours: flags.cycleHours,
    residenceHours: migration.residenceMs / HOUR_MS,
    horizonHours: Math.min(forecast.horizonSteps, affinity.slotCountMax),
  };
}

function skippedHoursOf({ skipDays = 0 }: BacktestFlags, liveHours: number): number {
  const skippedHours = skipDays * DAY_HOURS;
  if (skippedHours < liveHours) return skippedHours;
  throw new ForeshardError(
    'FORESHARD_CONFIG',
    'fix-config',
    `--skip-days: found ${skipDays}, but ${(liveHours / DAY_HOURS).toFixed(1)} days follow those that are learnt from: skip fewer, so that some are left to judge by`,
  );
}

function trainHoursOf({ trainDays }: BacktestFlags, hourCount: number): number {
  // Of a log that is shorter than asked for by default the most is made: two thirds to learn, one to judge by.
  const byDefault = Math.min(TRAIN_DAYS_DEFAULT * DAY_HOURS, Math.floor((2 * hourCount) / 3));
  const trainHours = trainDays === undefined ? byDefault : trainDays * DAY_HOURS;
  const refuse = (what: string): ForeshardError => new ForeshardError('FORESHARD_CONFIG', 'fix-config', what);
  if (hourCount < HOURS_MIN)
    throw refuse(
      `the log holds ${hourCount} whole hours: a backtest needs ${HOURS_MIN} at least, which are two days`,
    );
  if (trainHours < hourCount) return trainHours;
  throw refuse(
    `--train-days: found ${trainDays}, but the log holds ${(hourCount / DAY_HOURS).toFixed(1)} days in whole hours: ` +
      'take fewer to learn from, or leave the option out, so that some are left to judge by',
  );
}
