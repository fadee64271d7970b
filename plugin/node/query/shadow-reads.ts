import { hashOfKey } from '../../capture/key-hash.ts';
import { COMMANDS, commandIndexOf } from '../../commands/table.ts';
import {
  type DataReplyReader,
  migrationMark,
  REQUEST_FLAG_COPY,
  REQUEST_HEADER_BYTES,
  STATUS_BEHIND,
  STATUS_OK,
} from '../../rpc/data.ts';
import type { CopyReadsOptions } from './copy-reads.ts';
import type { PendingQuery, Probe } from './query-pending.ts';
import type { ReadMeter } from './read-meter.ts';
import type { StorageLink } from './storage-links.ts';

/** Comparisons under way: mirrored reads never are more than a trickle, however slow the copy is. */
const OPEN_MAX = 16;
/** Larger replies are not mirrored: they would cost the copy more than they tell. */
const REPLY_BYTES_MAX = 64 * 1024;
const PTTL = commandIndexOf('PTTL');
/** Reads of one key whose answer follows from the data alone. TTL and PTTL also tell the time. */
const IS_COMPARABLE: readonly boolean[] = COMMANDS.map(
  ({ name, spread, isWrite }) => spread === 'single' && !isWrite && name !== 'TTL' && name !== 'PTTL',
);
const NEVER_EXPIRES = ':-1\r\n';

type ShadowOptions = Pick<CopyReadsOptions, 'pool' | 'limits' | 'nowMs' | 'counters' | 'linkOf'>;

/**
 * Mirrors a share of the reads that an owner has answered to the migration's copy, and compares the answers where both
 * sides stood at one lsn. The client has its answer before; nothing of this waits in anybody's queue, reaches the query
 * log, or is counted as the client's.
 */
export class ShadowReads {
  readonly #options: ShadowOptions;
  #openCount = 0;

  constructor(options: ShadowOptions) {
    this.#options = options;
  }

  /** @param query answered by `reader` at this moment; its encoded request is still there. */
  consider(query: PendingQuery, reader: DataReplyReader, meter: ReadMeter, target: StorageLink): void {
    const { shadowShare } = this.#options.limits;
    if (shadowShare === 0 || !IS_COMPARABLE[query.commandIndex] || reader.status !== STATUS_OK) return;
    if (this.#openCount >= OPEN_MAX || !target.rpc.isConnected || !isInShare(query.order, shadowShare))
      return;
    if (reader.replyEnd - reader.replyStart > REPLY_BYTES_MAX) return;
    this.#openCount++;
    const shadow = new Shadow(query, reader, meter, this.#options, () => this.#openCount--);
    shadow.ask(target, this.#options.linkOf(query.nodeId) as StorageLink);
  }
}

/** As evenly as a counter, and without its rhythm: a client that asks three things in turn is mirrored in all three. */
function isInShare(order: number, share: number): boolean {
  let hash = Math.imul(order + 1, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) / 4294967296 < share;
}

/**
 * One comparison. Where answers differ, both sides are asked when the key expires, still at that lsn: a key with an expiry
 * may have been there for one clock and gone for the other; one without, at either side, makes the difference a fault.
 */
class Shadow {
  readonly #meter: ReadMeter;
  readonly #options: ShadowOptions;
  readonly #end: () => void;
  readonly #commandIndex: number;
  readonly #partitionId: number;
  readonly #isResp3: boolean;
  readonly #epoch: number;
  readonly #request: Buffer;
  readonly #requestStart: number;
  readonly #requestEnd: number;
  readonly #keyBytes: number;
  readonly #lsn: number;
  readonly #expected: Buffer;
  #isSettled = false;

  constructor(
    query: PendingQuery,
    reader: DataReplyReader,
    meter: ReadMeter,
    options: ShadowOptions,
    end: () => void,
  ) {
    this.#meter = meter;
    this.#options = options;
    this.#end = end;
    this.#commandIndex = query.commandIndex;
    this.#partitionId = query.partitionId;
    this.#isResp3 = query.isResp3;
    this.#epoch = query.sentEpoch;
    this.#request = query.request;
    this.#requestStart = query.requestStart;
    this.#requestEnd = query.requestEnd;
    this.#keyBytes = query.keyBytes;
    this.#lsn = reader.lsn;
    this.#expected = reader.payload.subarray(reader.replyStart, reader.replyEnd);
  }

  ask(copy: StorageLink, owner: StorageLink): void {
    const { nowMs } = this.#options;
    const sentMs = nowMs();
    const requestId = this.#open(copy, {
      onReply: (reader) => {
        if (reader.status === STATUS_BEHIND) this.#meter.behind();
        else if (reader.status !== STATUS_OK) this.#meter.target.failed();
        else this.#meter.target.answered(nowMs() - sentMs);
        if (reader.status !== STATUS_OK || reader.lsn !== this.#lsn) this.#skip();
        else if (this.#expected.equals(answerOf(reader))) this.#settle();
        else this.#askForExpiry(copy, owner);
      },
      onLost: () => {
        this.#meter.target.failed();
        this.#skip();
      },
    });
    copy.rpc.requests.sendToCopy(this.#request, this.#requestStart, this.#requestEnd, {
      requestId,
      isResp3: this.#isResp3,
      epoch: this.#epoch,
      minLsn: this.#lsn,
      migrationId: this.#meter.migrationId,
    });
  }

  #askForExpiry(copy: StorageLink, owner: StorageLink): void {
    if (!copy.rpc.isConnected || !owner.rpc.isConnected) {
      this.#skip();
      return;
    }
    const answers: string[] = [];
    const take = (reader: DataReplyReader): void => {
      if (reader.status !== STATUS_OK || reader.lsn !== this.#lsn) this.#skip();
      else answers.push(answerOf(reader).toString('latin1'));
      if (answers.length < 2) return;
      if (answers.includes(NEVER_EXPIRES)) this.#unequal();
      else this.#skip();
    };
    for (const link of [copy, owner]) {
      const requestId = this.#open(link, { onReply: take, onLost: () => this.#skip() });
      const { requests } = link.rpc;
      const keyStart = this.#requestStart + REQUEST_HEADER_BYTES + 4;
      const flags = link === copy ? REQUEST_FLAG_COPY : 0;
      requests.begin(
        requestId,
        this.#partitionId,
        PTTL,
        flags,
        this.#epoch,
        this.#lsn,
        1,
        4 + this.#keyBytes,
        link === copy ? migrationMark(this.#meter.migrationId) : 0,
      );
      requests.argument(this.#request, keyStart, keyStart + this.#keyBytes);
      requests.end();
    }
  }

  #open(link: StorageLink, probe: Probe): number {
    const pending = this.#options.pool.acquire();
    pending.probe = probe;
    pending.partitionId = this.#partitionId;
    pending.nodeId = link.nodeId;
    if (link.inFlightCount++ === 0) link.lastAnswerMs = this.#options.nowMs();
    return pending.id;
  }

  #unequal(): void {
    const {
      counters,
      limits: { isKeyHashKept },
    } = this.#options;
    const keyStart = this.#requestStart + REQUEST_HEADER_BYTES + 4;
    const hash = hashOfKey(this.#request, keyStart, this.#keyBytes).toString(16).padStart(8, '0');
    const key = isKeyHashKept ? ` of the key with hash ${hash}` : '';
    this.#meter.shadowUnequalCount++;
    counters.shadowReadsUnequal++;
    this.#meter.evidence = `${COMMANDS[this.#commandIndex].name}${key} at lsn ${this.#lsn}`;
    this.#settle();
  }

  #skip(): void {
    if (this.#isSettled) return;
    this.#meter.shadowSkippedCount++;
    this.#isSettled = true;
    this.#end();
  }

  /** Compared, with whatever result. */
  #settle(): void {
    if (this.#isSettled) return;
    this.#meter.shadowComparedCount++;
    this.#options.counters.shadowReads++;
    this.#isSettled = true;
    this.#end();
  }
}

const answerOf = (reader: DataReplyReader): Buffer =>
  reader.payload.subarray(reader.replyStart, reader.replyEnd);
