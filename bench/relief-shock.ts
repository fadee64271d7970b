/**
 * `node --import tsx bench/relief-shock.ts`: what relief between cycles is worth on a week of the flights log in which a node is
 * suddenly asked for more, which no forecast can know: node-minutes above 80 % with it and without, in the same run.
 *
 * Load is that of the hour, evenly. At a random minute up to four random partitions of a random node get a tenth of a node's capacity
 * more each, for three hours. Both policies have relief by the last hour at every hour; one of them looks every half minute as well.
 */
import { DAY_MS, LOG_START_MS } from '../examples/flights/read-log.ts';
import { planRelief } from '../src/affinity/relief/plan-relief.ts';
import { withRecentLoad } from '../src/affinity/relief/recent-load.ts';
import { StressWatch } from '../src/affinity/relief/stress-watch.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../src/affinity/settings.ts';
import { staticPolicy } from '../src/backtest/fixed-policies.ts';
import { OVERLOAD_ABOVE } from '../src/backtest/metrics.ts';
import { DEFAULT_MIGRATION_MODEL } from '../src/backtest/migration-model.ts';
import { seededRandom } from '../src/base/random.ts';
import { asNodeId } from '../src/model/ids.ts';
import { LOAD_DIMENSION_COUNT } from '../src/model/load-profile.ts';
import { contiguousMap } from '../src/model/partition-map.ts';
import { DEFAULT_SETTINGS } from '../src/settings.ts';
import {
  HISTORY_HOURS,
  hourlyLoad,
  LIVE_HOURS,
  NODE_COUNT,
  PARTITION_COUNT,
  START_DAY,
} from './flights-policies.ts';

const HOUR_MS = 3_600_000;
const LOOK_MS = 30_000;
const SHOCKS = 40;
const SHOCK_MS = 3 * HOUR_MS;
const { reliefAfterMs, reliefIntervalMs } = DEFAULT_SETTINGS.controller;
/** Of one move: what a migration takes beside a small copy, doubled; moves of a relief run one after another. */
const MOVE_MS = 2_000 * DEFAULT_MIGRATION_MODEL.fixedSeconds;
const settings = DEFAULT_AFFINITY_SETTINGS;
const watched = { reliefAfterMs, dimensions: ['queries'] as const, relief: settings.relief };

const load = await hourlyLoad(LOG_START_MS + START_DAY * DAY_MS);
const hours = load.length / PARTITION_COUNT;
const sumOf = (hour: number): number =>
  load.subarray(hour * PARTITION_COUNT, (hour + 1) * PARTITION_COUNT).reduce((a, b) => a + b);
const capacity = Math.max(...Array.from({ length: hours }, (_, hour) => sumOf(hour))) / NODE_COUNT / 0.7;
const nodes = Array.from({ length: NODE_COUNT }, (_, id) => ({
  nodeId: asNodeId(id),
  isAlive: true,
  capacity: new Float64Array(LOAD_DIMENSION_COUNT).fill(capacity),
  background: new Float64Array(LOAD_DIMENSION_COUNT),
  ...{ dataBytes: 0, dataBytesMax: 1e12, bandwidthBytesPerSecond: 1e8 },
}));
const partitionBytes = new Float64Array(PARTITION_COUNT).fill(1e6);
const fixed = await staticPolicy({
  measured: {
    load: load.subarray(HISTORY_HOURS * PARTITION_COUNT),
    ...{ hourCount: LIVE_HOURS, partitionCount: PARTITION_COUNT, partitionBytes },
    capacity: new Float64Array(NODE_COUNT).fill(capacity),
  },
  ...{ startMs: HISTORY_HOURS * HOUR_MS, startOwnerOf: contiguousMap(PARTITION_COUNT, NODE_COUNT).ownerOf },
  ...{ settings, migration: DEFAULT_MIGRATION_MODEL, residenceHours: 24, random: seededRandom(1n) },
  history: load.subarray(0, HISTORY_HOURS * PARTITION_COUNT),
});
const startMap = fixed.ownerOfAt(LIVE_HOURS - 1);

interface Shock {
  readonly atMs: number;
  readonly partitions: ReadonlySet<number>;
}

/** Node-minutes above 80 % from an hour before the shock to an hour after it, and moves. */
function play(shock: Shock | null, fromMs: number, isBetween: boolean): { minutes: number; moves: number } {
  const ownerOf = Int32Array.from(startMap);
  const open = new Map<number, { target: number; endMs: number }>();
  const recentMoves: { partitionId: number; sourceNodeId: number }[] = [];
  const watch = new StressWatch();
  let [lastMs, looksAbove, moves] = [Number.NEGATIVE_INFINITY, 0, 0];
  const loadAt = (p: number, ms: number): number =>
    (load[Math.floor(ms / HOUR_MS) * PARTITION_COUNT + p] as number) +
    (shock?.partitions.has(p) && ms >= shock.atMs && ms < shock.atMs + SHOCK_MS ? capacity / 10 : 0);
  const hourOf = new Map<number, Float64Array>();
  const profileAt = (ms: number) => {
    const end = Math.floor(ms / HOUR_MS);
    const values = new Float64Array(24 * PARTITION_COUNT * LOAD_DIMENSION_COUNT);
    for (let w = 0; w < 24; w++)
      for (let p = 0; p < PARTITION_COUNT; p++)
        values[(w * PARTITION_COUNT + p) * LOAD_DIMENSION_COUNT] =
          hourOf.get(end - 24 + w)?.[p] ?? (load[(end - 24 + w) * PARTITION_COUNT + p] as number);
    const shape = { windowMs: HOUR_MS, windowCount: 24, partitionCount: PARTITION_COUNT };
    return { startMs: (end - 24) * HOUR_MS, ...shape, values, coverage: new Float64Array(24).fill(1) };
  };
  const state = () => ({
    map: {
      partitionCount: PARTITION_COUNT,
      ownerOf: ownerOf.slice(),
      epochOf: new Uint32Array(PARTITION_COUNT),
    },
    ...{ nodes, partitionBytes, memory: { lastMoves: [], recentMoves } },
    restingPartitions: new Set([...open.keys(), ...recentMoves.map(({ partitionId }) => partitionId)]),
    openMigrations: new Map([...open].map(([p, { target }]) => [p, target])),
  });
  const carryOut = (relief: ReturnType<typeof planRelief>, ms: number): void => {
    relief.moves.forEach(({ partitionId, targetNodeId }, index) => {
      open.set(partitionId, { target: targetNodeId, endMs: ms + (index + 1) * MOVE_MS });
      moves++;
    });
  };
  for (let ms = fromMs; ms < fromMs + SHOCK_MS + 3 * HOUR_MS; ms += LOOK_MS) {
    const perSecond = new Float64Array(PARTITION_COUNT * LOAD_DIMENSION_COUNT);
    const hour = Math.floor(ms / HOUR_MS);
    const sum = hourOf.get(hour) ?? new Float64Array(PARTITION_COUNT);
    hourOf.set(hour, sum);
    const used = new Float64Array(NODE_COUNT);
    for (let p = 0; p < PARTITION_COUNT; p++) {
      const own = loadAt(p, ms);
      used[ownerOf[p] as number]! += own;
      perSecond[p * LOAD_DIMENSION_COUNT] = own / 3600;
      sum[p]! += (own * LOOK_MS) / HOUR_MS;
    }
    looksAbove += used.filter((own) => own > OVERLOAD_ABOVE * capacity).length;
    const atMs = ms + LOOK_MS;
    for (const [p, { target, endMs }] of open)
      if (endMs <= atMs) {
        recentMoves.push({ partitionId: p, sourceNodeId: ownerOf[p] as number });
        ownerOf[p] = target;
        open.delete(p);
      }
    const cluster = { ownerOf, capacityOf: nodes.map((node) => node.capacity.map((own) => own / 3600)) };
    watch.note({ atMs, durationMs: LOOK_MS, perSecond, nodeIds: new Set(nodes.keys()) }, cluster, watched);
    if (atMs % HOUR_MS === 0)
      carryOut(planRelief(state(), profileAt(atMs), settings, { dueMoves: [] }), atMs);
    const lasting = watch.due(watched);
    if (!isBetween || lasting.length === 0 || atMs - lastMs < reliefIntervalMs) continue;
    lastMs = atMs;
    const profile = withRecentLoad(profileAt(atMs), watch.meanPerSecond());
    carryOut(planRelief(state(), profile, settings, { dueMoves: [], lasting, nowMs: atMs }), atMs);
  }
  return { minutes: (looksAbove * LOOK_MS) / 60_000, moves };
}

const random = seededRandom(1n);
const totals = { calm: 0, hourly: 0, between: 0, hourlyMoves: 0, betweenMoves: 0 };
for (let i = 0; i < SHOCKS; i++) {
  const atMs = (HISTORY_HOURS + 24 + random.nextBelow(5 * 24)) * HOUR_MS + random.nextBelow(120) * LOOK_MS;
  const node = random.nextBelow(NODE_COUNT);
  const own = [...startMap.keys()].filter((p) => startMap[p] === node);
  const partitions = new Set(Array.from({ length: 4 }, () => own[random.nextBelow(own.length)] as number));
  const fromMs = Math.floor(atMs / HOUR_MS) * HOUR_MS - HOUR_MS;
  totals.calm += play(null, fromMs, false).minutes;
  const [hourly, between] = [false, true].map((is) => play({ atMs, partitions }, fromMs, is));
  totals.hourly += hourly?.minutes ?? 0;
  totals.between += between?.minutes ?? 0;
  totals.hourlyMoves += hourly?.moves ?? 0;
  totals.betweenMoves += between?.moves ?? 0;
}
console.log(
  JSON.stringify(
    { shocks: SHOCKS, nodeMinutesAbove80: totals, ratio: totals.between / totals.hourly },
    null,
    2,
  ),
);
