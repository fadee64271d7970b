import type { Inconsistency } from './base/claims.ts';

/** How the agent treats a Redis Cluster; the section `redis` of the config file. */
export interface RedisSettings {
  /** `HOST:PORT` of some nodes, of which one has to answer. */
  readonly nodes: readonly string[];
  readonly username: string | null;
  /** Only from `passwordFile` or the environment, never from the config file. */
  readonly password: string | null;
  /** A file that only its owner may read (mode 0600) whose first line is the password. */
  readonly passwordFile: string | null;
  readonly isTls: boolean;
  readonly commandTimeoutMs: number;
  /** What clients that read from replicas of source or target mean to a move; on Redis 7.0 they see moved keys as missing. */
  readonly replicaReads: 'refuse' | 'warn';
  /** How often the leading agent looks at what the masters do. */
  readonly lookIntervalMs: number;
  /** Load by slot from the servers (CLUSTER SLOT-STATS), where they tell it and no client is captured; or never. */
  readonly slotStats: 'auto' | 'off';
  /** Of the agent's process: how far it stands back where servers and clients on its machine need the processors. */
  readonly niceness: number;
  readonly slotMove: SlotMoveSettings;
}

export interface SlotMoveSettings {
  /**
   * `ask`: keys move one after the other, with redirects of clients from the first to the last. `copy-first`: they are copied and
   * compared before anything is redirected.
   */
  readonly plan: 'ask' | 'copy-first';
  /** Whether servers that move slots by themselves (Redis 8.4, Valkey 9) are left to do it. */
  readonly atomic: 'auto' | 'off';
  /** Whether a target of Redis 7.0.12 to 7.2 is made to hear of all claims of its source before slots move; or only looked at. */
  readonly settle: 'auto' | 'off';
  /** Slots that are open at one time, at most: they share the round trips and the config files' syncs of each stage. */
  readonly windowSlotsMax: number;
  /** In one MIGRATE, during which source and target serve nobody. */
  readonly keysPerMigrateMax: number;
  /** What a server may be held for by one write of ours. */
  readonly pieceMsMax: number;
  /** p99 of PINGs to both masters above which the pace is halved. */
  readonly latencyMsMax: number;
  /** Between two pieces, at most: what the pace falls back to when a piece cannot be made smaller. */
  readonly pauseMsMax: number;
  /** Of one key; a larger one holds its servers for longer than any pace can mend. */
  readonly keyBytesMax: number;
  readonly keyElementsMax: number;
  /** Share of the keys whose contents and expiry are read on both sides of their move. */
  readonly sampleShare: number;
  /** Replicas that the target has to have. */
  readonly replicasMin: number;
  /** For the replicas of the target to have what it has, before it becomes the owner. */
  readonly replicaWaitMs: number;
  /** Of one MIGRATE, for which the source waits and serves nobody while its target hangs. */
  readonly migrateTimeoutMs: number;
}

export const REDIS_DEFAULTS = {
  nodes: [],
  username: null,
  password: null,
  passwordFile: null,
  isTls: false,
  // A server that is silent for longer is taken to be away: Redis Cluster's own node timeout is 15 s by default.
  commandTimeoutMs: 15_000,
  replicaReads: 'refuse',
  lookIntervalMs: 10_000,
  slotStats: 'auto',
  niceness: 10,
  slotMove: {
    plan: 'ask',
    atomic: 'auto',
    settle: 'auto',
    windowSlotsMax: 64,
    keysPerMigrateMax: 100,
    pieceMsMax: 2,
    latencyMsMax: 5,
    pauseMsMax: 50,
    // 16 MiB of one string take some 20 ms; 20,000 fields of a hash some 100 ms (a million took 5.1 s).
    keyBytesMax: 16 << 20,
    keyElementsMax: 20_000,
    sampleShare: 0.01,
    replicasMin: 0,
    replicaWaitMs: 5_000,
    migrateTimeoutMs: 500,
  },
} as const satisfies RedisSettings;

type NumericSetting = Exclude<keyof SlotMoveSettings, 'atomic' | 'plan' | 'settle'>;

/** Ranges that types cannot say. */
export function redisInconsistencies({ slotMove }: RedisSettings): readonly Inconsistency[] {
  const found: Inconsistency[] = [];
  if (slotMove.plan !== 'ask' && slotMove.plan !== 'copy-first')
    found.push({ path: 'slotMove.plan', expected: '"ask" or "copy-first"' });
  if (slotMove.atomic !== 'auto' && slotMove.atomic !== 'off')
    found.push({ path: 'slotMove.atomic', expected: '"auto" or "off"' });
  if (slotMove.settle !== 'auto' && slotMove.settle !== 'off')
    found.push({ path: 'slotMove.settle', expected: '"auto" or "off"' });
  const whole = (key: NumericSetting, min: number): void => {
    if (!Number.isInteger(slotMove[key]) || slotMove[key] < min)
      found.push({ path: `slotMove.${key}`, expected: `a whole number, at least ${min}` });
  };
  const positive = (key: NumericSetting): void => {
    if (!(slotMove[key] > 0)) found.push({ path: `slotMove.${key}`, expected: 'a number above 0' });
  };
  for (const key of [
    'windowSlotsMax',
    'keysPerMigrateMax',
    'keyBytesMax',
    'keyElementsMax',
    'migrateTimeoutMs',
  ] as const)
    whole(key, 1);
  for (const key of ['replicasMin', 'replicaWaitMs', 'pauseMsMax'] as const) whole(key, 0);
  for (const key of ['pieceMsMax', 'latencyMsMax'] as const) positive(key);
  if (!(slotMove.sampleShare >= 0 && slotMove.sampleShare <= 1))
    found.push({ path: 'slotMove.sampleShare', expected: 'a share from 0 to 1' });
  return found;
}
