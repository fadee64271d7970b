import { assert } from '../../../src/base/assert.ts';
import { COMMANDS, type CommandSpec, commandIndexOf } from '../../commands/table.ts';
import { elementEnd, lineEnd, readNumberLine } from '../../resp/reply-reader.ts';
import { RespWriter } from '../../resp/writer.ts';
import type { ClientConnection } from './query-client.ts';
import type { PartSink, PendingQuery } from './query-pending.ts';
import type { Router } from './router.ts';

const MINUS = 45;
const MGET = commandIndexOf('MGET');
const MSET = commandIndexOf('MSET');
const KEYCOUNT = commandIndexOf('KEYCOUNT');
const NO_ARGUMENTS: readonly Buffer[] = [];

/** A command's arguments as the parser found them; 0 is the name. */
export interface ParsedRequest {
  readonly source: Buffer;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly argumentCount: number;
}

/** A command over several partitions: waits for all parts, then makes one reply of them. */
class Gather implements PartSink {
  readonly #pending: PendingQuery;
  readonly #client: ClientConnection;
  readonly #commandIndex: number;
  readonly #replies: (readonly [bytes: Buffer, start: number])[];
  /** MGET: which elements of the reply each part holds. */
  readonly #positions: readonly (readonly number[])[];
  #missing: number;

  constructor(
    pending: PendingQuery,
    client: ClientConnection,
    commandIndex: number,
    parts: number | readonly (readonly number[])[],
  ) {
    this.#pending = pending;
    this.#client = client;
    this.#commandIndex = commandIndex;
    this.#positions = typeof parts === 'number' ? [] : parts;
    this.#missing = typeof parts === 'number' ? parts : parts.length;
    this.#replies = new Array(this.#missing);
  }

  onPart(part: PendingQuery): void {
    this.#replies[part.partIndex] = [part.reply, part.replyStart];
    if (--this.#missing > 0) return;
    const reply = this.#assemble();
    this.#client.answer(this.#pending, reply, 0, reply.length);
  }

  #assemble(): Buffer {
    const errors = this.#replies
      .filter(([bytes, start]) => bytes[start] === MINUS)
      .map(([bytes, start]) => bytes.subarray(start, lineEnd(bytes, start)));
    if (errors.length > 0) return this.#assembleFailure(errors);
    if (this.#commandIndex === MSET) return Buffer.from('+OK\r\n');
    const writer = new RespWriter();
    if (this.#commandIndex === MGET) this.#writeElements(writer);
    else writer.integer(this.#replies.reduce((sum, [bytes, start]) => sum + readNumberLine(bytes, start), 0));
    return writer.take();
  }

  /** One error for the whole command. Where a part was, or may have been, written, it must not read as "not done". */
  #assembleFailure(errors: readonly Buffer[]): Buffer {
    const { name, isWrite } = COMMANDS[this.#commandIndex];
    const unknown = errors.find((error) => error.toString('latin1', 1).startsWith('UNKNOWNOUTCOME'));
    const isPartDone = errors.length < this.#replies.length;
    if (!isWrite || (unknown === undefined && !isPartDone)) return errors[0];
    const why = (unknown ?? errors[0]).toString('utf8', 1).trimEnd();
    return Buffer.from(
      `-UNKNOWNOUTCOME ${name} over several partitions was done in part: ${errors.length} of ${this.#replies.length} parts answered with an error, the first: ${why}\r\n`,
    );
  }

  #writeElements(writer: RespWriter): void {
    const count = this.#positions.reduce((sum, positions) => sum + positions.length, 0);
    const starts = new Array<number>(count);
    const sources = new Array<Buffer>(count);
    for (const [partIndex, [bytes, start]] of this.#replies.entries()) {
      const positions = this.#positions[partIndex];
      assert(readNumberLine(bytes, start) === positions.length, 'a part of MGET has one element a key');
      let offset = lineEnd(bytes, start);
      for (const position of positions) {
        sources[position] = bytes;
        starts[position] = offset;
        offset = elementEnd(bytes, offset);
      }
    }
    writer.array(count);
    for (let i = 0; i < count; i++) writer.raw(sources[i], starts[i], elementEnd(sources[i], starts[i]));
  }
}

/** How large the replies of all parts will be, each partition's by what it answered before. */
export function expectSplit(router: Router, { index, keyStep }: CommandSpec, request: ParsedRequest): number {
  const { source, starts, ends, argumentCount } = request;
  let bytes = 0;
  let previous = -1;
  for (let i = 1; i < argumentCount; i += keyStep) {
    const partitionId = router.partitionOf(source, starts[i], ends[i]);
    if (partitionId !== previous) bytes += router.completion.estimate.expect(partitionId, index);
    previous = partitionId;
  }
  return bytes;
}

/**
 * MGET, MSET, DEL, UNLINK, EXISTS: one request for each partition that has a key of it, or the command as it is where all
 * keys are in one. `pending` is enqueued at the client.
 */
export function sendSplit(
  router: Router,
  client: ClientConnection,
  pending: PendingQuery,
  request: ParsedRequest,
): void {
  const { source, starts, ends, argumentCount } = request;
  const { keyStep } = COMMANDS[pending.commandIndex];
  const byPartition = new Map<number, number[]>();
  for (let i = 1; i < argumentCount; i += keyStep) {
    const partitionId = router.partitionOf(source, starts[i], ends[i]);
    const keys = byPartition.get(partitionId);
    if (keys === undefined) byPartition.set(partitionId, [i]);
    else keys.push(i);
  }
  if (byPartition.size === 1) {
    const [partitionId] = byPartition.keys();
    router.sendParsed(pending, partitionId as number, source, starts, ends, argumentCount);
    return;
  }
  const keyArguments = [...byPartition.values()];
  const gather = new Gather(
    pending,
    client,
    pending.commandIndex,
    keyArguments.map((keys) => keys.map((i) => (i - 1) / keyStep)),
  );
  let partIndex = 0;
  for (const [partitionId, keys] of byPartition) {
    const part = router.newPart(gather, partIndex++, pending.commandIndex, client);
    const pick = keyStep === 1 ? keys : keys.flatMap((i) => [i, i + 1]);
    router.sendPicked(part, partitionId, source, starts, ends, pick);
  }
}

/** DBSIZE: the keys of every partition. */
export function sendToAll(router: Router, client: ClientConnection, pending: PendingQuery): void {
  const { partitionCount } = router.table;
  const gather = new Gather(pending, client, pending.commandIndex, partitionCount);
  for (let p = 0; p < partitionCount; p++)
    router.sendOwn(router.newPart(gather, p, KEYCOUNT, client), p, NO_ARGUMENTS);
}
