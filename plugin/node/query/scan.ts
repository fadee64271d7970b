import { SLOT_COUNT } from '../../../src/model/partition-map.ts';
import { SCAN_WORD_BYTES_MAX, scanWordTooLong } from '../../commands/scan-limits.ts';
import { commandIndexOf } from '../../commands/table.ts';
import { elementEnd, lineEnd, readNumberLine } from '../../resp/reply-reader.ts';
import { RespWriter } from '../../resp/writer.ts';
import type { ParsedRequest } from './gather.ts';
import type { ClientConnection } from './query-client.ts';
import type { PartSink, PendingQuery } from './query-pending.ts';
import type { Router } from './router.ts';

const SCANPART = commandIndexOf('SCANPART');
const MINUS = 45;
const COUNT_DEFAULT = 10;
const COUNT_MAX = 1_000_000;
/** The cursor, and every option a few times over; Redis lets them be repeated. */
const ARGUMENTS_MAX = 16;
/** Empty or small partitions one call walks through before it gives the client its turn: bounds the time of a call. */
const PARTITIONS_PER_CALL_MAX = 64;
/** A cursor is slot * 2^32 + hash. */
const HASH_RANGE = 2 ** 32;
const CURSOR_MAX = SLOT_COUNT * HASH_RANGE;

export interface ScanOptions {
  readonly cursor: number;
  readonly count: number;
  readonly match: Buffer | null;
  readonly type: Buffer | null;
}

/** @returns the options, or the text of an error reply. */
export function parseScan(request: ParsedRequest): ScanOptions | string {
  const { source, starts, ends, argumentCount } = request;
  const text = (i: number): string => source.toString('latin1', starts[i], ends[i]);
  const cursor = /^\d{1,20}$/.test(text(1)) ? Number(text(1)) : Number.NaN;
  if (!(cursor < CURSOR_MAX)) return 'ERR invalid cursor';
  if (argumentCount > ARGUMENTS_MAX) return 'ERR syntax error';
  let count = COUNT_DEFAULT;
  let match: Buffer | null = null;
  let type: Buffer | null = null;
  for (let i = 2; i < argumentCount; i += 2) {
    const option = text(i).toUpperCase();
    if (i + 1 >= argumentCount || !['COUNT', 'MATCH', 'TYPE'].includes(option)) return 'ERR syntax error';
    const bytes = ends[i + 1] - starts[i + 1];
    if (bytes > SCAN_WORD_BYTES_MAX) return scanWordTooLong(option, bytes);
    // Copied: the request's memory may be gone when the walk comes to its next partition.
    const value = Buffer.from(source.subarray(starts[i + 1], ends[i + 1]));
    if (option === 'MATCH') match = value;
    else if (option === 'TYPE') type = value;
    else {
      if (!/^-?\d{1,15}$/.test(value.toString('latin1')))
        return 'ERR value is not an integer or out of range';
      count = Number(value.toString('latin1'));
      if (count < 1) return 'ERR syntax error';
    }
  }
  return { cursor, count: Math.min(count, COUNT_MAX), match, type };
}

/** One SCAN call: partition after partition from the cursor on, until it has as many keys as asked for. */
class ScanWalk implements PartSink {
  readonly #router: Router;
  readonly #client: ClientConnection;
  readonly #pending: PendingQuery;
  readonly #options: ScanOptions;
  readonly #keys = new RespWriter();
  #keyCount = 0;
  #partitionsVisited = 0;

  constructor(router: Router, client: ClientConnection, pending: PendingQuery, options: ScanOptions) {
    this.#router = router;
    this.#client = client;
    this.#pending = pending;
    this.#options = options;
  }

  visit(cursor: number): void {
    const partitionId = Math.floor(cursor / HASH_RANGE) >> this.#router.table.slotShift;
    const { count, match, type } = this.#options;
    const words: Buffer[] = [Buffer.from(String(cursor)), Buffer.from('COUNT'), Buffer.from(String(count))];
    if (match !== null) words.push(Buffer.from('MATCH'), match);
    if (type !== null) words.push(Buffer.from('TYPE'), type);
    this.#partitionsVisited++;
    this.#router.sendOwn(this.#router.newPart(this, partitionId, SCANPART, this.#client), partitionId, words);
  }

  onPart(part: PendingQuery): void {
    const { reply, replyStart, replyEnd } = part;
    if (reply[replyStart] === MINUS) {
      const error = Buffer.from(reply.subarray(replyStart, replyEnd));
      this.#finish(error);
      return;
    }
    const cursorStart = lineEnd(reply, replyStart); // after *2
    const digits = lineEnd(reply, cursorStart);
    const keysStart = elementEnd(reply, cursorStart);
    let cursor = Number(reply.toString('latin1', digits, keysStart - 2));
    this.#keyCount += readNumberLine(reply, keysStart);
    this.#keys.raw(reply, lineEnd(reply, keysStart), replyEnd);
    if (cursor === 0) {
      cursor = this.#startOfPartition(part.partIndex + 1);
      const isEnough =
        this.#keyCount >= this.#options.count || this.#partitionsVisited >= PARTITIONS_PER_CALL_MAX;
      if (cursor !== 0 && !isEnough) {
        this.visit(cursor);
        return;
      }
    }
    const writer = new RespWriter(this.#keys.length + 64);
    writer.array(2);
    writer.bulkText(String(cursor));
    writer.array(this.#keyCount);
    writer.raw(this.#keys.buffer, 0, this.#keys.length);
    this.#finish(writer.take());
  }

  #startOfPartition(partitionId: number): number {
    const { partitionCount, slotShift } = this.#router.table;
    return partitionId >= partitionCount ? 0 : (partitionId << slotShift) * HASH_RANGE;
  }

  #finish(reply: Buffer): void {
    this.#client.answer(this.#pending, reply, 0, reply.length);
  }
}

export function sendScan(
  router: Router,
  client: ClientConnection,
  pending: PendingQuery,
  options: ScanOptions,
): void {
  new ScanWalk(router, client, pending, options).visit(options.cursor);
}
