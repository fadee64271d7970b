import { COMMANDS, type CommandSpec, findCommand, isArityRight } from '../../commands/table.ts';
import {
  PARSE_NEED_MORE,
  PARSE_OVERSIZED,
  PARSE_PROTOCOL_ERROR,
  PARSE_REQUEST,
  REQUEST_BYTES_MAX,
  type RequestParser,
} from '../../resp/parser.ts';
import { REQUEST_HEADER_BYTES } from '../../rpc/data.ts';
import { FULL_ACCESS } from '../../security/client-access.ts';
import { refusalOf } from './command-rights.ts';
import type { ConnectionCommands } from './connection-commands.ts';
import { expectSplit, sendSplit, sendToAll } from './gather.ts';
import type { ClientConnection } from './query-client.ts';
import type { QueryCounters } from './query-counters.ts';
import type { PendingPool, PendingQuery } from './query-pending.ts';
import { errorReply, unknownCommand, wrongArity } from './replies.ts';
import type { Router } from './router.ts';
import { parseScan, sendScan } from './scan.ts';

/** What the wire's u16 can count. */
const ARGUMENTS_MAX = 65_535;
/** Of a command that the query node answers itself, the name not counted. */
const CONNECTION_ARGUMENTS_MAX = 128;
/** Of an unknown command; the error shows no more. */
const UNKNOWN_WORDS_MAX = 64;
/** Queries whose replies are no larger than this, by all that is known, are limited by their count alone. */
const SMALL_REPLY_BYTES = 16 * 1024;
/** Large replies one client may have on their way: enough to keep a link busy, too little to keep others waiting. */
const CLIENT_REPLY_BYTES_MAX = 4 * 1024 * 1024;
/** The same of all clients; one more may go while there is less. */
const REPLY_BYTES_MAX = 16 * 1024 * 1024;
/** A key's length is a u16 on disk, and some of it goes to what stands beside the key. */
const KEY_BYTES_MAX = 1900;
// Browsers can be made to send these; Redis ends such connections too, before the body is taken for commands.
const HTTP_WORDS: ReadonlySet<string> = new Set(['POST', 'HOST:']);

/** Turns a client's bytes into commands, and each command into a reply or a query on its way. */
export class Dispatcher {
  readonly #router: Router;
  readonly #pool: PendingPool;
  readonly #counters: QueryCounters;
  readonly #connectionCommands: ConnectionCommands;
  /** Clients whose parser holds a request that has to wait. */
  readonly #deferred = new Set<ClientConnection>();

  constructor(options: {
    readonly router: Router;
    readonly pool: PendingPool;
    readonly counters: QueryCounters;
    readonly connectionCommands: ConnectionCommands;
  }) {
    this.#router = options.router;
    this.#pool = options.pool;
    this.#counters = options.counters;
    this.#connectionCommands = options.connectionCommands;
  }

  /** Takes as many requests as are there and may go. @returns false when the client has to wait: it wants to be called again. */
  run(client: ClientConnection): boolean {
    const { parser } = client;
    if (this.#deferred.delete(client) && !this.#dispatch(client, parser)) return false;
    for (;;) {
      if (client.isEnding) return true;
      const isFull = !client.canAccept || !this.#router.canAccept;
      if (isFull && parser.hasInput) return false;
      const result = isFull ? PARSE_NEED_MORE : parser.next();
      if (result === PARSE_NEED_MORE) {
        if (client.hasInputEnded) client.endAfterReplies();
        return true;
      }
      if (result === PARSE_REQUEST) {
        this.#counters.commands++;
        if (!this.#dispatch(client, parser)) return false;
      } else this.#onUnparsable(client, result);
    }
  }

  forget(client: ClientConnection): void {
    this.#deferred.delete(client);
  }

  #onUnparsable(client: ClientConnection, result: number): void {
    if (result === PARSE_OVERSIZED) this.#counters.oversizedRequests++;
    this.#refuse(client, errorReply(client.parser.error));
    if (result === PARSE_PROTOCOL_ERROR) {
      this.#counters.protocolErrors++;
      client.endAfterReplies();
    }
  }

  #refuse(client: ClientConnection, reply: Buffer): void {
    this.#counters.errors++;
    client.reply(reply);
  }

  /** @returns false when the request stays in the parser: a read at a copy is to be answered first, or there is no room for the reply. */
  #dispatch(client: ClientConnection, parser: RequestParser): boolean {
    const { source, starts, ends, argumentCount } = parser;
    const commandIndex = findCommand(source, starts[0], ends[0]);
    const spec = COMMANDS[commandIndex] as CommandSpec | undefined;
    if (spec === undefined || spec.spread === 'partition') {
      this.#onUnknown(client, parser);
      return true;
    }
    if (!isArityRight(spec, argumentCount - 1)) {
      this.#refuse(client, wrongArity(spec.name));
      return true;
    }
    const { access } = client;
    if (access !== FULL_ACCESS) {
      const refusal = refusalOf(access, spec, parser);
      if (refusal !== null) {
        if (access !== null) this.#counters.permissionRefusals++;
        this.#refuse(client, errorReply(refusal));
        return true;
      }
    }
    client.lastCommand = spec.name;
    client.lastActiveMs = this.#router.nowMs;
    if (spec.spread === 'connection') {
      if (argumentCount - 1 > CONNECTION_ARGUMENTS_MAX) {
        this.#refuse(client, tooManyArguments(argumentCount - 1, CONNECTION_ARGUMENTS_MAX));
        return true;
      }
      client.reply(this.#connectionCommands.run(client, spec, wordsOf(parser)));
      if (spec.name === 'QUIT') client.endAfterReplies();
      return true;
    }
    const problem = keyProblem(spec, parser);
    if (problem !== null) {
      this.#refuse(client, problem);
      return true;
    }
    return this.#route(client, spec, parser);
  }

  #route(client: ClientConnection, spec: CommandSpec, parser: RequestParser): boolean {
    const { source, starts, ends, argumentCount } = parser;
    if (spec.spread === 'single') {
      const partitionId = this.#router.partitionOf(source, starts[1], ends[1]);
      if (client.copyPartition === partitionId) return this.#defer(client);
      const replyBytes = this.#router.completion.estimate.expect(partitionId, spec.index);
      if (!this.#admits(client, replyBytes)) return this.#defer(client);
      const pending = this.#newPending(client, spec, replyBytes);
      this.#router.sendParsed(pending, partitionId, source, starts, ends, argumentCount);
      return true;
    }
    if (client.copyPartition >= 0) return this.#defer(client);
    if (spec.spread === 'split') {
      const replyBytes = expectSplit(this.#router, spec, parser);
      if (!this.#admits(client, replyBytes)) return this.#defer(client);
      sendSplit(this.#router, client, this.#newPending(client, spec, replyBytes), parser);
    } else if (spec.spread === 'all') sendToAll(this.#router, client, this.#newPending(client, spec));
    else {
      const options = parseScan(parser);
      if (typeof options === 'string') this.#refuse(client, errorReply(options));
      else sendScan(this.#router, client, this.#newPending(client, spec), options);
    }
    return true;
  }

  /** A client with nothing on its way always may, whatever the size: one reply has to fit. */
  #admits(client: ClientConnection, replyBytes: number): boolean {
    if (replyBytes <= SMALL_REPLY_BYTES) return true;
    const isRoomForClient =
      client.inFlightCount === 0 || client.replyBytes + replyBytes <= CLIENT_REPLY_BYTES_MAX;
    return isRoomForClient && this.#pool.replyBytes < REPLY_BYTES_MAX;
  }

  #defer(client: ClientConnection): boolean {
    this.#deferred.add(client);
    return false;
  }

  #newPending(client: ClientConnection, spec: CommandSpec, replyBytes = 0): PendingQuery {
    const pending = this.#pool.acquire();
    pending.commandIndex = spec.index;
    pending.clientId = client.id;
    pending.isResp3 = client.isResp3;
    client.enqueue(pending);
    if (replyBytes > SMALL_REPLY_BYTES) this.#pool.reckon(pending, replyBytes);
    return pending;
  }

  #onUnknown(client: ClientConnection, parser: RequestParser): void {
    const words = wordsOf(parser, UNKNOWN_WORDS_MAX);
    if (HTTP_WORDS.has(words[0].toString('latin1').toUpperCase())) client.endAfterReplies();
    else this.#refuse(client, unknownCommand(words));
  }
}

const tooManyArguments = (count: number, max: number): Buffer =>
  errorReply(`ERR ${count} arguments; the limit is ${max}`);

function wordsOf(parser: RequestParser, max = parser.argumentCount): Buffer[] {
  const words: Buffer[] = [];
  for (let i = 0; i < Math.min(max, parser.argumentCount); i++)
    words.push(parser.source.subarray(parser.starts[i], parser.ends[i]));
  return words;
}

/** What the embedded engine cannot hold, found before anything is sent. @returns the error reply, or null. */
function keyProblem(spec: CommandSpec, parser: RequestParser): Buffer | null {
  const { starts, ends, argumentCount } = parser;
  if (spec.keyStep === 2 && argumentCount % 2 === 0) return wrongArity(spec.name);
  if (argumentCount - 1 > ARGUMENTS_MAX) return tooManyArguments(argumentCount - 1, ARGUMENTS_MAX);
  if (ends[argumentCount - 1] - starts[0] + REQUEST_HEADER_BYTES > REQUEST_BYTES_MAX)
    return errorReply(`ERR a request of more than ${REQUEST_BYTES_MAX} bytes; send fewer values at a time`);
  if (spec.firstKey === 0) return null;
  const last = spec.lastKey < 0 ? argumentCount - 1 : spec.lastKey;
  for (let i = spec.firstKey; i <= last; i += spec.keyStep)
    if (ends[i] - starts[i] > KEY_BYTES_MAX)
      return errorReply(`ERR a key of ${ends[i] - starts[i]} bytes; the limit is ${KEY_BYTES_MAX}`);
  return null;
}
