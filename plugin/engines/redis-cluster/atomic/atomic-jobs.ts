/**
 * How newer servers move slots by themselves: one takes a snapshot of them and what is written meanwhile to the other, and hands
 * all of them over at one moment. Clients meet no ASK, no half-moved slot and no MIGRATE.
 *
 * @see https://redis.io/docs/latest/commands/cluster-migration/ (Redis 8.4: the target is asked)
 * @see https://valkey.io/topics/atomic-slot-migration/ (Valkey 9: the source is asked)
 */
import { type RedisCommand, RedisRefusal, type RedisReply, textOf } from '../server/redis-node.ts';
import { type SlotMove, SlotMoveStopped } from '../steps/slot-move.ts';
import { ask, type Steps } from '../steps/steps.ts';

/** `import`: as Redis 8.4, the target fetches; `export`: as Valkey 9, the source sends. */
export type AtomicKind = 'import' | 'export';

export interface AtomicJob {
  readonly id: string;
  /** First and last of each range. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
  readonly sourceId: string;
  readonly targetId: string;
  readonly state: 'running' | 'done' | 'failed' | 'cancelled';
  /** What the server says of it, such as why it failed. */
  readonly message: string;
  /** Redis tries a failed import again by itself. */
  readonly retries: number;
}

type Ends = Pick<SlotMove, 'sourceId' | 'targetId'>;

const LIST: Readonly<Record<AtomicKind, RedisCommand>> = {
  import: ['CLUSTER', 'MIGRATION', 'STATUS', 'ALL'],
  export: ['CLUSTER', 'GETSLOTMIGRATIONS'],
};

/** Who is asked to begin, to tell and to cancel. */
const askedId = (kind: AtomicKind, { sourceId, targetId }: Ends): string =>
  kind === 'import' ? targetId : sourceId;

/** @returns null where one of the two servers does not know how: asked, not guessed from versions. */
export function* atomicKindOf({ sourceId, targetId }: Ends): Steps<AtomicKind | null> {
  for (const kind of ['export', 'import'] as const) {
    const [ofTarget] = yield* ask(targetId, [LIST[kind]]);
    if (ofTarget instanceof RedisRefusal) continue;
    const [ofSource] = yield* ask(sourceId, [LIST[kind]]);
    if (!(ofSource instanceof RedisRefusal)) return kind;
  }
  return null;
}

/** All that the servers remember: what runs, and what has ended lately. */
export function* listJobs(kind: AtomicKind, ends: Ends): Steps<readonly AtomicJob[]> {
  const [reply] = yield* ask(askedId(kind, ends), [LIST[kind]]);
  if (reply instanceof RedisRefusal || !Array.isArray(reply))
    throw new SlotMoveStopped(`atomic slot migrations cannot be listed: ${(reply as RedisRefusal).message}`);
  return (reply as readonly RedisReply[]).map((entry) => jobOf(fieldsOf(entry)));
}

/** @throws SlotMoveStopped with the server's reason when it does not begin. */
export function* startJob(kind: AtomicKind, ends: Ends, slots: readonly number[]): Steps<void> {
  const ranges = rangesOf(slots).flat();
  const command: RedisCommand =
    kind === 'import'
      ? ['CLUSTER', 'MIGRATION', 'IMPORT', ...ranges]
      : ['CLUSTER', 'MIGRATESLOTS', 'SLOTSRANGE', ...ranges, 'NODE', ends.targetId];
  const [reply] = yield* ask(askedId(kind, ends), [command]);
  if (reply instanceof RedisRefusal)
    throw new SlotMoveStopped(`${command.slice(0, 3).join(' ')}: ${reply.message}`);
}

/**
 * Ends a job of ours; until the hand-over nothing has moved.
 *
 * @throws SlotMoveStopped where only all jobs of a server can be cancelled, and some are not ours.
 */
export function* cancelJob(kind: AtomicKind, ends: Ends, { id }: AtomicJob): Steps<void> {
  if (kind === 'export') {
    const others = (yield* listJobs(kind, ends)).filter((job) => job.state === 'running' && job.id !== id);
    if (others.length > 0)
      throw new SlotMoveStopped('a migration of slots cannot be cancelled: others run at the same server');
  }
  const command: RedisCommand =
    kind === 'import' ? ['CLUSTER', 'MIGRATION', 'CANCEL', 'ID', id] : ['CLUSTER', 'CANCELSLOTMIGRATIONS'];
  const [reply] = yield* ask(askedId(kind, ends), [command]);
  if (reply instanceof RedisRefusal)
    throw new SlotMoveStopped(`${command.slice(0, 3).join(' ')}: ${reply.message}`);
}

/** Whether a job moves slots of this move, and no others, to its target. */
export const isOurs = ({ ranges, sourceId, targetId }: AtomicJob, move: SlotMove): boolean => {
  const slots = new Set(move.slots);
  return (
    sourceId === move.sourceId &&
    targetId === move.targetId &&
    ranges.every(([first, last]) => {
      for (let slot = first; slot <= last; slot++) if (!slots.has(slot)) return false;
      return true;
    })
  );
};

/** 1, 2, 3, 7 as [1, 3], [7, 7]. */
export function rangesOf(slots: readonly number[]): (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (const slot of [...slots].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges;
}

function jobOf(fields: ReadonlyMap<string, string>): AtomicJob {
  const field = (...names: readonly string[]): string =>
    names.map((name) => fields.get(name)).find((value) => value !== undefined) ?? '';
  return {
    id: field('id', 'name'),
    // Redis's documentation says `slots`, early builds `slots_range`.
    ranges: field('slots', 'slots_range', 'slot_ranges')
      .split(/[ ,]+/)
      .filter((text) => text !== '')
      .map((text) => text.split('-').map(Number))
      .map(([first, last = first]) => [first as number, last as number] as const),
    sourceId: field('source', 'source_node'),
    targetId: field('dest', 'target_node'),
    state: STATES[field('state')] ?? 'running',
    message: field('last_error', 'message'),
    retries: Number(field('retries') || 0),
  };
}

/** Any other state is one of a job that runs. Redis's documentation says `completed`, its sources `done`. */
const STATES: Readonly<Record<string, AtomicJob['state']>> = {
  completed: 'done',
  done: 'done',
  success: 'done',
  failed: 'failed',
  canceled: 'cancelled',
  cancelled: 'cancelled',
};

function fieldsOf(entry: RedisReply): ReadonlyMap<string, string> {
  const pairs = Array.isArray(entry) ? (entry as readonly RedisReply[]) : [];
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < pairs.length; i += 2) fields.set(textOf(pairs[i]), textOf(pairs[i + 1]));
  return fields;
}
