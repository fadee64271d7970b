/** Clients that write and read while partitions move, and the check of what they saw. */
import type { ClusterMapReader } from '../../plugin/metadata/cluster-map.ts';
import type { Random } from '../../src/base/random.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { Life, SimClock } from './sim-clock.ts';
import type { SimNetwork } from './sim-network.ts';
import type { DataReply, DataRequest, SimNode } from './sim-node.ts';

const REPLY_TIMEOUT_MS = 80;

/** One key has one writer, whose writes are numbered: so any read can be checked by itself. */
class KeyHistory {
  attempted = 0;
  acknowledged = 0;
  readonly deletes = new Set<number>();

  /** The newest state not older than `floor` that `value` can be; null if it cannot be any. */
  explain(value: Uint8Array | undefined, floor: number): number | null {
    if (value) {
      const seq = new DataView(value.buffer, value.byteOffset).getUint32(0);
      return seq >= floor && seq <= this.attempted ? seq : null;
    }
    if (floor === 0) return 0;
    for (let seq = floor; seq <= this.attempted; seq++) if (this.deletes.has(seq)) return seq;
    return null;
  }
}

export interface ClientWorld {
  readonly clock: SimClock;
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly keyCount: number;
  readonly partitionOf: (keyIndex: number) => number;
  readonly onViolation: (what: string) => void;
}

export class ClientHistory {
  readonly keys: readonly KeyHistory[];
  writes = 0;
  ownerReads = 0;
  copyReads = 0;

  constructor(keyCount: number) {
    this.keys = Array.from({ length: keyCount }, () => new KeyHistory());
  }
}

export class SimClient {
  readonly #name: string;
  readonly #ownKeys: readonly number[];
  readonly #world: ClientWorld;
  readonly #history: ClientHistory;
  readonly #random: Random;
  readonly #reader: ClusterMapReader;
  readonly #life: Life;
  readonly #records = new Map<number, PartitionRecord>();
  /** Highest lsn seen, by partition: what a copy must have applied. */
  readonly #seenLsn = new Map<number, number>();
  /** Newest state seen, by key: a session never reads an older one. */
  readonly #seenSeq = new Map<number, number>();
  /** One connection to each node; a new one after each time-out, and what was sent on the old one is void. */
  readonly #connection = new Map<number, number>();

  constructor(
    options: {
      name: string;
      ownKeys: readonly number[];
      random: Random;
      reader: ClusterMapReader;
      life: Life;
    },
    world: ClientWorld,
    history: ClientHistory,
  ) {
    this.#name = options.name;
    this.#ownKeys = options.ownKeys;
    this.#random = options.random;
    this.#reader = options.reader;
    this.#life = options.life;
    this.#world = world;
    this.#history = history;
  }

  async run(operationCount: number): Promise<void> {
    for (let i = 0; i < operationCount && !this.#life.isOver; i++) {
      if (this.#random.nextFloat() < 0.6) await this.#write();
      else await this.#read(this.#random.nextBelow(this.#world.keyCount));
      await this.#world.clock.sleep(this.#random.nextFloat() * 60);
    }
  }

  async #write(): Promise<void> {
    const keyIndex = this.#ownKeys[this.#random.nextBelow(this.#ownKeys.length)] as number;
    const history = this.#history.keys[keyIndex] as KeyHistory;
    const seq = ++history.attempted;
    const isDelete = this.#random.nextFloat() < 0.25;
    if (isDelete) history.deletes.add(seq);
    const value = isDelete ? null : new Uint8Array(new Uint32Array([0, seq]).buffer);
    if (value) new DataView(value.buffer).setUint32(0, seq);
    for (let attempt = 0; attempt < 12; attempt++) {
      const reply = await this.#ask(keyIndex, value, false);
      if (reply?.kind === 'ok') {
        history.acknowledged = seq;
        this.#history.writes++;
        this.#saw(keyIndex, seq, reply.lsn);
        return;
      }
      await this.#world.clock.sleep(10 + this.#random.nextFloat() * 40);
      await this.#refresh(this.#world.partitionOf(keyIndex));
    }
  }

  async #read(keyIndex: number): Promise<void> {
    const history = this.#history.keys[keyIndex] as KeyHistory;
    // Often by a fresh map, which may name a copy; sometimes by an old one, which may name a former owner.
    if (this.#random.nextFloat() < 0.5) await this.#refresh(this.#world.partitionOf(keyIndex));
    for (let attempt = 0; attempt < 6; attempt++) {
      const record = this.#records.get(this.#world.partitionOf(keyIndex));
      const toCopy = this.#random.nextFloat() < (record?.migration?.readWeight ?? 0);
      const acknowledgedBefore = history.acknowledged;
      const reply = await this.#ask(keyIndex, undefined, toCopy);
      if (reply?.kind === 'ok') {
        const seen = this.#seenSeq.get(keyIndex) ?? 0;
        // An owner answers with all that was acknowledged before; a copy at least with what this session has seen.
        const seq = history.explain(reply.value, toCopy ? seen : Math.max(seen, acknowledgedBefore));
        if (seq === null)
          this.#world.onViolation(
            `${this.#name} read ${describe(reply.value)} of key ${keyIndex} from the ${toCopy ? 'copy' : 'owner'}, ` +
              `after ${acknowledgedBefore} was acknowledged and ${seen} seen`,
          );
        else this.#saw(keyIndex, seq, reply.lsn);
        if (toCopy) this.#history.copyReads++;
        else this.#history.ownerReads++;
        return;
      }
      await this.#world.clock.sleep(this.#random.nextFloat() * 20);
      await this.#refresh(this.#world.partitionOf(keyIndex));
    }
  }

  #saw(keyIndex: number, seq: number, lsn: number): void {
    const partitionId = this.#world.partitionOf(keyIndex);
    this.#seenSeq.set(keyIndex, Math.max(seq, this.#seenSeq.get(keyIndex) ?? 0));
    this.#seenLsn.set(partitionId, Math.max(lsn, this.#seenLsn.get(partitionId) ?? 0));
  }

  async #refresh(partitionId: number): Promise<void> {
    try {
      const record = await this.#reader.readPartition(partitionId);
      if (record) this.#records.set(partitionId, record);
    } catch {
      // The metadata store did not answer: go on by the last map, as a query node does.
    }
  }

  async #ask(
    keyIndex: number,
    value: Uint8Array | null | undefined,
    toCopy: boolean,
  ): Promise<DataReply | null> {
    const { clock, network, nodes } = this.#world;
    const partitionId = this.#world.partitionOf(keyIndex);
    if (!this.#records.has(partitionId)) await this.#refresh(partitionId);
    const record = this.#records.get(partitionId);
    if (!record) return null;
    const nodeId = toCopy && record.migration ? record.migration.targetNodeId : record.ownerNodeId;
    const request: DataRequest = {
      partitionId,
      epoch: record.epoch,
      key: `key-${keyIndex}`,
      value,
      minLsn: toCopy ? (this.#seenLsn.get(partitionId) ?? 0) : null,
    };
    const connection = this.#connection.get(nodeId) ?? 0;
    const isOpen = (): boolean => this.#connection.get(nodeId) === connection;
    this.#connection.set(nodeId, connection);
    return new Promise((resolve) => {
      clock.after(REPLY_TIMEOUT_MS, () => {
        if (isOpen()) this.#connection.set(nodeId, connection + 1);
        resolve(null);
      });
      if (network.isLost()) return;
      clock.after(0.2 + this.#random.nextFloat(), async () => {
        if (!isOpen()) return;
        const reply = await (nodes[nodeId] as SimNode).serve(request, this.#random.nextFloat() * 30);
        if (reply === null || network.isLost()) return;
        clock.after(0.2 + this.#random.nextFloat(), () => {
          resolve(reply);
        });
      });
    });
  }
}

const describe = (value: Uint8Array | undefined): string =>
  value ? `write ${new DataView(value.buffer, value.byteOffset).getUint32(0)}` : 'nothing';
