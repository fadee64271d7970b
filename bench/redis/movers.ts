import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import calculateSlot from 'cluster-key-slot';
import {
  CopyFirstMover,
  type CopyFirstOrders,
} from '../../plugin/engines/redis-cluster/copy-first/copy-first-mover.ts';
import type { LocalRedisCluster } from '../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { RedisConnections } from '../../plugin/engines/redis-cluster/server/redis-connections.ts';
import { numberOf, type RedisCommand } from '../../plugin/engines/redis-cluster/server/redis-node.ts';
import { SlotMover } from '../../plugin/engines/redis-cluster/slots/slot-mover.ts';
import { systemClock } from '../../src/base/clock.ts';
import { REDIS_DEFAULTS, type SlotMoveSettings } from '../../src/redis-settings.ts';

const runProgram = promisify(execFile);
/** Linux counts CPU time in hundredths of a second for every program. */
const TICKS_PER_SECOND = 100;

export interface MoverUnderTest {
  readonly name: string;
  /** The first so many slots of `from` go to `to`. */
  move(
    cluster: LocalRedisCluster,
    ends: { readonly from: number; readonly to: number },
    slots: number,
  ): Promise<void>;
}

/** For gossip to tell all nodes of a move that has ended. */
const CONVERGED_MS_MAX = 20_000;
/**
 * Nodes agree by what they were told, and what they have told each other is on its way still: a claim that comes late takes a slot, with
 * its keys, from a new owner that doubts it (Redis 7.0.12 to 7.0.15). Our moves end such doubts before they begin, redis-cli's do not.
 */
const GOSSIP_MS = 300;

/** redis-cli refuses to begin while nodes disagree: waits until all tell the same owners, and it finds nothing to complain of. */
export async function untilConverged(cluster: LocalRedisCluster): Promise<void> {
  let complaint = '';
  for (const deadline = performance.now() + CONVERGED_MS_MAX; performance.now() < deadline; ) {
    const { host, port } = cluster.address(0);
    // It ends with 1 where it has found something, and says what.
    const { stdout, code } = await runProgram('redis-cli', ['--cluster', 'check', `${host}:${port}`]).then(
      (done) => ({ ...done, code: 0 }),
      (error: { stdout: string; code: number }) => error,
    );
    if (code === 0 && !/\[ERR\]|\[WARNING\]/.test(stdout)) return sleep(GOSSIP_MS);
    complaint = stdout;
    await sleep(100);
  }
  throw new Error(`the nodes of the cluster do not come to agree: ${complaint}`);
}

/** The engine's own tool: slot by slot, `pipeline` keys in a MIGRATE; as it is run by hand, or as nice as our agent. */
export const redisCli = (pipeline: number, niceness = 0): MoverUnderTest => ({
  name: `${niceness > 0 ? `nice -n ${niceness} ` : ''}redis-cli --cluster reshard --cluster-pipeline ${pipeline}`,
  async move(cluster, { from, to }, slots) {
    const { stdout } = await runProgram(
      'nice',
      [
        ...['-n', String(niceness), 'redis-cli'],
        ...['--cluster', 'reshard', `127.0.0.1:${cluster.ports[from]}`, '--cluster-yes'],
        ...['--cluster-from', cluster.nodeIds[from] as string, '--cluster-to', cluster.nodeIds[to] as string],
        ...['--cluster-slots', String(slots), '--cluster-pipeline', String(pipeline)],
      ],
      { maxBuffer: 64 << 20 },
    );
    if (/\[ERR\]|error/i.test(stdout)) throw new Error(`redis-cli: ${stdout.slice(-300)}`);
  },
});

/** @throws Error unless all have moved. */
export async function moveOurs(
  cluster: Pick<LocalRedisCluster, 'nodeIds' | 'address'>,
  { from, to }: { readonly from: number; readonly to: number },
  {
    slots,
    settings = {},
  }: { readonly slots: readonly number[]; readonly settings?: Partial<SlotMoveSettings> },
): Promise<void> {
  const all = { ...REDIS_DEFAULTS, slotMove: { ...REDIS_DEFAULTS.slotMove, ...settings } };
  const nodes = new RedisConnections(all);
  nodes.setAddresses(new Map(cluster.nodeIds.map((id, i) => [id, cluster.address(i)])));
  const clock = systemClock();
  const mover = new SlotMover(all, { nodes, clock, assertMaySend: () => undefined });
  const copyFirst = new CopyFirstMover({ mover, clock });
  // A killed agent is no matter here: nothing is written down.
  const orders: CopyFirstOrders = { note: async () => undefined, mayHandOver: async () => true };
  try {
    const outcomes = await mover.move(
      {
        sourceId: cluster.nodeIds[from] as string,
        targetId: cluster.nodeIds[to] as string,
        targetAddress: cluster.address(to),
        otherMasterIds: cluster.nodeIds.filter((_, index) => index !== from && index !== to),
        slots,
        formerIds: [],
        isSourcePromoted: false,
        sourceRunId: null,
      },
      {
        mayOpenWindow: () => true,
        ...(all.slotMove.plan === 'copy-first' && {
          moveWindow: (window, scanned) => copyFirst.moveWindow(window, scanned, orders),
        }),
      },
    );
    const moved = outcomes.reduce((sum, { committedSlots }) => sum + committedSlots.length, 0);
    if (moved !== slots.length) throw new Error(`${moved} of ${slots.length} slots moved`);
  } finally {
    nodes.close();
  }
}

/** One key in each of the first slots, found by trying: all keys `{tag}:i` are in the slot of their tag. */
export function slotTags(slotCount: number): readonly string[] {
  const tags: string[] = new Array(slotCount);
  for (let i = 0, found = 0; found < slotCount; i++) {
    const slot = calculateSlot(`t${i}`);
    if (slot >= slotCount || tags[slot] !== undefined) continue;
    tags[slot] = `t${i}`;
    found++;
  }
  return tags;
}

export async function fill(
  cluster: LocalRedisCluster,
  {
    tags,
    keysPerSlot,
    valueBytes,
  }: { readonly tags: readonly string[]; readonly keysPerSlot: number; readonly valueBytes: number },
): Promise<void> {
  const value = 'v'.repeat(valueBytes);
  const commands: RedisCommand[] = tags.flatMap((tag) =>
    Array.from({ length: keysPerSlot }, (_, i): RedisCommand => ['SET', `{${tag}}:${i}`, value]),
  );
  for (let at = 0; at < commands.length; at += 500) await cluster.pipeline(0, commands.slice(at, at + 500));
}

/** @throws Error unless node `index` alone has the keys. */
export async function assertKeys(cluster: LocalRedisCluster, index: number, expected: number): Promise<void> {
  const sizes = await Promise.all(
    cluster.nodeIds.map(async (_, node) => numberOf(await cluster.command(node, 'DBSIZE'))),
  );
  if (sizes[index] !== expected || sizes.some((size, node) => node !== index && size > 0))
    throw new Error(`keys are lost or left: ${sizes.join(', ')}, expected ${expected} at ${index}`);
}

/** Of all servers. */
export function serverCpuSeconds(cluster: LocalRedisCluster): number {
  return cluster.nodeIds.reduce((sum, _, index) => sum + cpuSeconds(cluster.pid(index)), 0);
}

function cpuSeconds(pid: number): number {
  // schedstat counts nanoseconds of the main thread, where a redis-server does its work; stat counts hundredths.
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1e9;
  } catch {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }
}
