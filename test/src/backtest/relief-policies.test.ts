import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { planRelief } from '../../../src/affinity/relief/plan-relief.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { type ReplayContext, replanHourly } from '../../../src/backtest/hourly.ts';
import { DEFAULT_MIGRATION_MODEL } from '../../../src/backtest/migration-model.ts';
import { measuredBefore, reliefAt } from '../../../src/backtest/relief-policies.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { LoadProfile } from '../../../src/model/load-profile.ts';
import type { Move } from '../../../src/model/proposal.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('backtest/relief policies');
const SEED = testSeed('backtest/relief policies');
const PARTITION_COUNT = 12;
const NODE_COUNT = 3;
const HOUR_COUNT = 200;
const HOURS_OF_COPY = 3 * 3600 * DEFAULT_MIGRATION_MODEL.bytesPerSecond;

test('hours of which a sum by node says that nobody is stressed are those without relief', async () => {
  const random = seededRandom(SEED);
  const load = Float64Array.from(
    { length: HOUR_COUNT * PARTITION_COUNT },
    (_, i) => (1 + (i % PARTITION_COUNT) / 4) * random.nextFloat(),
  );
  const context: ReplayContext = {
    measured: {
      load,
      hourCount: HOUR_COUNT,
      partitionCount: PARTITION_COUNT,
      capacity: new Float64Array(NODE_COUNT).fill(7),
      // Every third one takes hours, so that moves are under way.
      partitionBytes: Float64Array.from({ length: PARTITION_COUNT }, (_, p) =>
        p % 3 === 0 ? HOURS_OF_COPY : 1000,
      ),
    },
    startMs: 0,
    startOwnerOf: Int32Array.from({ length: PARTITION_COUNT }, (_, p) => p % NODE_COUNT),
    settings: DEFAULT_AFFINITY_SETTINGS,
    migration: DEFAULT_MIGRATION_MODEL,
    residenceHours: 0,
    random,
  };
  const hours = { relieved: 0, quiet: 0 };
  await replanHourly(context, (state, hour) => {
    if (hour === 0) return { orders: [], planned: [] };
    const partition = random.nextBelow(PARTITION_COUNT);
    const due = { partitionId: partition, targetNodeId: random.nextBelow(NODE_COUNT) };
    const dueMoves = (random.nextFloat() < 0.3 ? [due] : []) as unknown as Move[];
    const profile = measuredBefore(context, hour, 24) as LoadProfile;
    const expected = planRelief(state, profile, context.settings, { dueMoves }).moves;
    check.equal(reliefAt(context, state, { hour, dueMoves }), expected, `hour ${hour}, SEED=${SEED}`);
    hours[expected.length > 0 ? 'relieved' : 'quiet']++;
    // Somebody goes anywhere, so that every hour has another map.
    const orders = [{ partition, target: due.targetNodeId, reason: 'at random' }];
    const isThere = state.map.ownerOf[partition] === due.targetNodeId || state.openMigrations?.has(partition);
    return { orders: isThere ? [] : orders, planned: [] };
  });
  check.ok(hours.relieved > 20 && hours.quiet > 20, `${JSON.stringify(hours)}, SEED=${SEED}`);
});

test.run();
