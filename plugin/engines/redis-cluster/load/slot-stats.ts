import { LOAD_DIMENSION_COUNT, LOAD_DIMENSIONS } from '../../../../src/model/load-profile.ts';
import { SLOT_COUNT } from '../../../../src/model/partition-map.ts';
import { numberOf, type RedisNode, RedisRefusal, type RedisReply, textOf } from '../server/redis-node.ts';

/** What a server tells by slot. */
export type SlotStatsSupport =
  | 'none' // no such command
  | 'keys' // key counts alone: the server is not set to measure more (Valkey: cluster-slot-stats-enabled)
  | 'load'; // CPU time and network bytes as well

const CPU_INDEX = LOAD_DIMENSIONS.indexOf('cpuSeconds');
const READ_INDEX = LOAD_DIMENSIONS.indexOf('readBytes');
const WRITE_INDEX = LOAD_DIMENSIONS.indexOf('writeBytes');

/** A server's counters of one slot, since it has had the slot or was told to reset them. */
interface SlotCounters {
  readonly keyCount: number;
  readonly cpuUs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** What the slots have been asked to do since the poll before, as far as the servers tell. */
export interface SlotLoads {
  readonly support: SlotStatsSupport;
  /** f64[slot][dimension], units of LoadProfile.values. `queries` stays 0: servers do not count them. */
  readonly values: Float64Array;
  /** i32[slot]. */
  readonly keyCounts: Int32Array;
}

/**
 * Reads CLUSTER SLOT-STATS of the masters of a cluster, poll by poll. What bytes come in counts as written, what goes out as
 * read. The first poll of a slot at a server, and one that finds the counters set back, tell where counting begins.
 *
 * @see https://valkey.io/commands/cluster-slot-stats/
 */
export class SlotStats {
  /** By server and slot. */
  readonly #before = new Map<string, ReadonlyMap<number, SlotCounters>>();

  /**
   * @param masters by their ids; one that is not asked this time is begun anew when it is asked again.
   * @throws ForeshardError FORESHARD_UNAVAILABLE when one of them does not answer.
   */
  async poll(masters: ReadonlyMap<string, Pick<RedisNode, 'pipeline'>>): Promise<SlotLoads> {
    const values = new Float64Array(SLOT_COUNT * LOAD_DIMENSION_COUNT);
    const keyCounts = new Int32Array(SLOT_COUNT);
    const supports: SlotStatsSupport[] = [];
    const polled = await Promise.all(
      [...masters].map(async ([id, node]) => {
        const [reply] = await node.pipeline([['CLUSTER', 'SLOT-STATS', 'SLOTSRANGE', 0, SLOT_COUNT - 1]]);
        return [id, parse(reply)] as const;
      }),
    );
    for (const id of this.#before.keys()) if (!masters.has(id)) this.#before.delete(id);
    for (const [id, { support, slots }] of polled) {
      supports.push(support);
      const before = this.#before.get(id);
      for (const [slot, now] of slots) {
        keyCounts[slot] = now.keyCount;
        addDifference(values, slot, before?.get(slot), now);
      }
      this.#before.set(id, slots);
    }
    // What one of them does not tell, the whole cluster's loads lack.
    const support = supports.includes('none') ? 'none' : supports.includes('keys') ? 'keys' : 'load';
    return { support: supports.length === 0 ? 'none' : support, values, keyCounts };
  }
}

function addDifference(
  values: Float64Array,
  slot: number,
  before: SlotCounters | undefined,
  now: SlotCounters,
): void {
  // A slot that has come and gone and come again begins at 0, as one whose server was told to reset.
  if (before === undefined || now.cpuUs < before.cpuUs || now.bytesOut < before.bytesOut) return;
  const base = slot * LOAD_DIMENSION_COUNT;
  values[base + CPU_INDEX] += (now.cpuUs - before.cpuUs) * 1e-6;
  values[base + READ_INDEX] += now.bytesOut - before.bytesOut;
  values[base + WRITE_INDEX] += Math.max(0, now.bytesIn - before.bytesIn);
}

/** `[[slot, [name, value, …]], …]`, or with RESP3 a map instead of the inner list, which arrives as the same list here. */
function parse(reply: RedisReply | undefined): {
  readonly support: SlotStatsSupport;
  readonly slots: ReadonlyMap<number, SlotCounters>;
} {
  const slots = new Map<number, SlotCounters>();
  // Whatever it refuses it for (no such subcommand, no right to it), there is nothing to be had.
  if (reply === undefined || reply instanceof RedisRefusal || !Array.isArray(reply))
    return { support: 'none', slots };
  let support: SlotStatsSupport = 'keys';
  for (const entry of reply as readonly RedisReply[]) {
    if (!Array.isArray(entry) || !Array.isArray(entry[1])) continue;
    const slot = numberOf(entry[0]);
    if (!Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT) continue;
    const counters = countersOf(entry[1] as readonly RedisReply[]);
    if (counters.has('cpu-usec')) support = 'load';
    const counter = (name: string): number => counters.get(name) ?? 0;
    slots.set(slot, {
      keyCount: counter('key-count'),
      cpuUs: counter('cpu-usec'),
      bytesIn: counter('network-bytes-in'),
      bytesOut: counter('network-bytes-out'),
    });
  }
  return { support, slots };
}

function countersOf(pairs: readonly RedisReply[]): ReadonlyMap<string, number> {
  const counters = new Map<string, number>();
  for (let i = 0; i + 1 < pairs.length; i += 2) counters.set(textOf(pairs[i]), numberOf(pairs[i + 1]));
  return counters;
}
