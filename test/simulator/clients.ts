/** Clients with sessions that write and read while partitions move, as a query node would for them. */
import type { Random } from '../../src/base/random.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { SimClock } from './clock.ts';
import { decodeValue, encodeValue, type History } from './history.ts';
import type { Life } from './life.ts';
import { NOTHING, type RegisterOperation } from './linearizability.ts';
import type { Mutant } from './mutants.ts';
import type { SimNetwork } from './network.ts';
import type { QueryReports } from './query-reports.ts';
import type { DataReply, DataRequest, RecordReader, SimNode } from './storage-node.ts';

const REPLY_TIMEOUT_MS = 80;
const WRITE_ATTEMPTS_MAX = 12;
const READ_ATTEMPTS_MAX = 6;
/** Of the owner's answers while a copy can be read. */
const MIRRORED_SHARE = 0.2;
/** How long a request waits in a storage node's queues at most. */
const WORK_MS_MAX = 30;

export interface ClientWorld {
  readonly clock: SimClock;
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly history: History;
  readonly reports: QueryReports;
  readonly mutant: Mutant;
  /** [key] its name and partition. */
  readonly keys: readonly { readonly name: string; readonly partitionId: number }[];
  /** A number that no other write has. */
  readonly nextValue: () => number;
  readonly onViolation: (what: string) => void;
}

/** No later epoch settles it. */
const UNSETTLED_EPOCH = Number.POSITIVE_INFINITY;

type Key = ClientWorld['keys'][number];

export class SimClient {
  readonly #life: Life;
  readonly #world: ClientWorld;
  readonly #random: Random;
  readonly #reader: RecordReader;
  readonly #thinkMs: number;
  readonly #records = new Map<number, PartitionRecord>();
  /** The session's token, by partition: the highest lsn seen. */
  readonly #seenLsn = new Map<number, number>();
  /** What the session has really seen, whatever a planted bug makes of the token. */
  readonly #floorLsn = new Map<number, number>();
  /** The last takeover that the session has heard of. */
  readonly #lineageEpoch = new Map<number, number>();
  /** Writes whose outcome is not known, with the epoch they were sent at. */
  #open: { readonly operation: RegisterOperation; readonly partitionId: number; readonly epoch: number }[] =
    [];

  constructor(
    options: { life: Life; random: Random; reader: RecordReader; thinkMs: number },
    world: ClientWorld,
  ) {
    this.#life = options.life;
    this.#random = options.random;
    this.#reader = options.reader;
    this.#thinkMs = options.thinkMs;
    this.#world = world;
  }

  async run(operationCount: number): Promise<void> {
    const { keys } = this.#world;
    for (let i = 0; i < operationCount; i++) {
      const key = keys[this.#random.nextBelow(keys.length)] as Key;
      if (this.#random.nextFloat() < 0.5) await this.#write(key);
      else await this.#read(key);
      await this.#sleep(this.#random.nextFloat() * this.#thinkMs);
    }
  }

  /** A write is sent again only after a refusal: one without an answer may have been done, or may yet be. */
  async #write(key: Key): Promise<void> {
    const { clock, mutant } = this.#world;
    const isDelete = this.#random.nextFloat() < 0.25;
    const value = isDelete ? NOTHING : this.#world.nextValue();
    const bytes = isDelete ? null : encodeValue(value);
    let calledAtMs = Number.NaN;
    for (let attempt = 0; attempt < WRITE_ATTEMPTS_MAX; attempt++) {
      const record = await this.#recordOf(key.partitionId);
      if (record) {
        // What was refused never was: the operation begins with the attempt that was not.
        if (!mutant.session?.resendsUnanswered || attempt === 0) calledAtMs = clock.nowMs();
        const reply = await this.#ask(record.ownerNodeId, record, key, { value: bytes, minLsn: null });
        const isAnswered = reply !== null && reply.kind !== 'unknown';
        if (reply?.kind === 'ok') return this.#wrote(key, { value, calledAtMs, lsn: reply.lsn });
        if (!isAnswered && !mutant.session?.resendsUnanswered)
          return this.#leftOpen(key, { value, calledAtMs, epoch: record.epoch });
      }
      await this.#sleep(10 + this.#random.nextFloat() * 40);
      await this.#refresh(key.partitionId);
    }
    // Whether one of its attempts was done is not known either.
    if (mutant.session?.resendsUnanswered)
      await this.#leftOpen(key, { value, calledAtMs, epoch: UNSETTLED_EPOCH });
  }

  #wrote(key: Key, { value, calledAtMs, lsn }: { value: number; calledAtMs: number; lsn: number }): void {
    const { clock, history, mutant } = this.#world;
    const returnedAtMs = clock.nowMs();
    history
      .key(key.name)
      .operations.push({ kind: 'write', value, calledAtMs, returnedAtMs, mayBeLost: false });
    history.writes++;
    this.#saw(key.partitionId, lsn, !mutant.session?.forgetsWrites);
  }

  async #leftOpen(
    { name, partitionId }: Key,
    { value, calledAtMs, epoch }: { value: number; calledAtMs: number; epoch: number },
  ): Promise<void> {
    const operation: RegisterOperation = {
      kind: 'write',
      value,
      calledAtMs,
      returnedAtMs: Number.POSITIVE_INFINITY,
      mayBeLost: true,
    };
    this.#world.history.key(name).operations.push(operation);
    this.#open.push({ operation, partitionId, epoch });
    await this.#refresh(partitionId);
  }

  async #read(key: Key): Promise<void> {
    const { clock, history } = this.#world;
    // Sometimes by a fresh map, which may name a copy; often by an old one, which may name a former owner.
    if (this.#random.nextFloat() < 0.3) await this.#refresh(key.partitionId);
    for (let attempt = 0; attempt < READ_ATTEMPTS_MAX; attempt++) {
      const record = await this.#recordOf(key.partitionId);
      if (record) {
        const { migration } = record;
        const isByCopy = migration !== null && this.#random.nextFloat() < migration.readWeight;
        const calledAtMs = clock.nowMs();
        const floorLsn = this.#seenLsn.get(key.partitionId) ?? 0;
        const nodeId = isByCopy ? migration.targetNodeId : record.ownerNodeId;
        const minLsn = isByCopy ? floorLsn : null;
        const reply = await this.#ask(nodeId, record, key, { value: undefined, minLsn });
        this.#measure(record, { isByCopy, reply, tookMs: clock.nowMs() - calledAtMs });
        if (reply?.kind === 'ok') {
          const value = decodeValue(reply.value);
          if (!isByCopy)
            history.key(key.name).operations.push({
              kind: 'read',
              value,
              calledAtMs,
              returnedAtMs: clock.nowMs(),
              mayBeLost: false,
            });
          this.#checkSession(key, value, reply.lsn, isByCopy);
          if (isByCopy) history.copyReads++;
          else {
            history.ownerReads++;
            await this.#mirror(record, key, reply);
          }
          return;
        }
      }
      await this.#sleep(this.#random.nextFloat() * 20);
      await this.#refresh(key.partitionId);
    }
  }

  /** As a query node counts reads of a partition whose copy can be read. */
  #measure(
    record: PartitionRecord,
    { isByCopy, reply, tookMs }: { isByCopy: boolean; reply: DataReply | null; tookMs: number },
  ): void {
    const { reports } = this.#world;
    const meter = reports.meterOf(this.#life.name, record);
    if (meter === null) return;
    const side = isByCopy ? meter.target : meter.source;
    if (reply?.kind === 'ok') side.answered(tookMs);
    else if (isByCopy && reply?.kind === 'refused') meter.behind();
    else side.failed();
    if (isByCopy) reports.copyRead(meter, reply === null);
  }

  /** The copy is asked as well, and where both stood at one lsn the answers must be equal. */
  async #mirror(
    record: PartitionRecord,
    key: Key,
    answer: DataReply & { readonly kind: 'ok' },
  ): Promise<void> {
    const meter = this.#world.reports.meterOf(this.#life.name, record);
    if (meter === null || record.migration === null || this.#random.nextFloat() >= MIRRORED_SHARE) return;
    const { targetNodeId } = record.migration;
    const mirrored = await this.#ask(targetNodeId, record, key, { value: undefined, minLsn: answer.lsn });
    if (mirrored?.kind !== 'ok' || mirrored.lsn !== answer.lsn) return;
    meter.shadowComparedCount++;
    if (decodeValue(mirrored.value) === decodeValue(answer.value)) return;
    meter.shadowUnequalCount++;
    meter.evidence = key.name;
  }

  /** I12, read your writes, monotonic reads: the answer is the state at its lsn, and none before what the session knows. */
  #checkSession(key: Key, value: number, lsn: number, isByCopy: boolean): void {
    const { history, onViolation } = this.#world;
    const floorLsn = this.#floorLsn.get(key.partitionId) ?? 0;
    const expected = history.key(key.name).valueAt(lsn);
    const who = `${this.#life.name} read ${value} of ${key.name} from the ${isByCopy ? 'copy' : 'owner'} at lsn ${lsn}`;
    if (lsn < floorLsn) onViolation(`${who}, and has seen ${floorLsn}`);
    else if (value !== expected) onViolation(`${who}, where it was ${expected}`);
    this.#saw(key.partitionId, lsn);
  }

  #saw(partitionId: number, lsn: number, isInToken = true): void {
    raise(this.#floorLsn, partitionId, lsn);
    if (isInToken) raise(this.#seenLsn, partitionId, lsn);
  }

  async #recordOf(partitionId: number): Promise<PartitionRecord | undefined> {
    if (!this.#records.has(partitionId)) await this.#refresh(partitionId);
    return this.#records.get(partitionId);
  }

  async #refresh(partitionId: number): Promise<void> {
    try {
      const record = await this.#reader.readPartition(partitionId);
      if (!record) return;
      this.#records.set(partitionId, record);
      this.#settle(record);
    } catch {
      // The metadata store did not answer: go on by the last map, as a query node does.
    }
  }

  /** The epoch has moved on: what was sent at an older one has been done by now, or is fenced off for good. */
  #settle({ partitionId, epoch, lineage }: PartitionRecord): void {
    // The session is told of its loss, and goes on from what is left.
    if (lineage && lineage.epoch > (this.#lineageEpoch.get(partitionId) ?? 0)) {
      this.#lineageEpoch.set(partitionId, lineage.epoch);
      for (const lsns of [this.#seenLsn, this.#floorLsn])
        lsns.set(partitionId, Math.min(lineage.lsn, lsns.get(partitionId) ?? 0));
    }
    const nowMs = this.#world.clock.nowMs();
    this.#open = this.#open.filter((open) => {
      if (open.partitionId !== partitionId || open.epoch >= epoch) return true;
      open.operation.returnedAtMs = nowMs;
      return false;
    });
  }

  #sleep(ms: number): Promise<void> {
    return this.#world.clock.sleep(ms);
  }

  /** @returns null when no answer came. */
  #ask(
    nodeId: number,
    { partitionId, epoch }: PartitionRecord,
    key: Key,
    what: Pick<DataRequest, 'value' | 'minLsn'>,
  ): Promise<DataReply | null> {
    const { clock, network, nodes } = this.#world;
    const request: DataRequest = { partitionId, epoch, key: key.name, ...what };
    const [client, node] = [this.#life.name, `n${nodeId}`];
    return new Promise((resolve) => {
      const timeout = clock.after(REPLY_TIMEOUT_MS, () => resolve(null));
      network.sendRequest(client, node, () =>
        nodes[nodeId]?.receive(request, this.#random.nextFloat() * WORK_MS_MAX, (reply) =>
          network.sendRequest(node, client, () => {
            clock.cancel(timeout);
            resolve(reply);
          }),
        ),
      );
    });
  }
}

function raise(lsns: Map<number, number>, partitionId: number, lsn: number): void {
  lsns.set(partitionId, Math.max(lsn, lsns.get(partitionId) ?? 0));
}
