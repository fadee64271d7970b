import { COMMANDS, findCommand } from '../../../plugin/commands/table.ts';
import { refusalOf } from '../../../plugin/node/query/command-rights.ts';
import { ConnectionCommands } from '../../../plugin/node/query/connection-commands.ts';
import type { ClientConnection } from '../../../plugin/node/query/query-client.ts';
import { unknownCommand } from '../../../plugin/node/query/replies.ts';
import {
  PARSE_NEED_MORE,
  PARSE_OVERSIZED,
  PARSE_PROTOCOL_ERROR,
  RequestParser,
} from '../../../plugin/resp/parser.ts';
import { Authentication } from '../../../plugin/security/authentication.ts';
import { FULL_ACCESS } from '../../../plugin/security/client-access.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Random } from '../../../src/base/random.ts';
import { decodeReply } from '../../support/resp-client.ts';
import { mutateBytes, oneIn, pick } from '../mutate.ts';
import type { FuzzTarget, Outcome } from '../target.ts';

const VALUE_BYTES_MAX = 64 * 1024;
const LIMITED = { user: 'fuzz', rights: 1, prefixes: [Buffer.from('k')] };
const WORDS = [
  'k',
  'key',
  '',
  'GET',
  'MATCH',
  'k*',
  '0',
  '-1',
  '3',
  'AUTH',
  'SETNAME',
  'LIST',
  'ID',
  '\r\n',
  '\x1b[31m',
  'x'.repeat(300),
  '999999999999',
];
const NUMBERS = [
  '-1',
  '0',
  '1',
  '4097',
  '1048577',
  '2147483648',
  '9999999999',
  '99999999999',
  '01',
  '+1',
  'x',
  '',
];

/** Clients' bytes: cut into requests the same way however they arrive, and every reply made of them is whole and on its lines. */
export class RespTarget implements FuzzTarget {
  readonly name = 'resp';
  /** What of the last input is kept: a connection keeps its parser and nothing else. */
  #held: RequestParser | null = null;
  readonly #commands = new ConnectionCommands({
    authentication: new Authentication({ password: 'secret', users: null }),
    onWrongPassword: () => {},
    clients: () => [],
    nowMs: () => 0,
    describe: (sections) => sections.join(','),
    config: (pattern) => [[pattern, '']],
  });

  generate(random: Random): Buffer {
    const requests = Array.from({ length: 1 + random.nextBelow(4) }, () => {
      const name = oneIn(8, random) ? pick(WORDS, random) : pick(COMMANDS, random).name;
      const words = [name, ...Array.from({ length: random.nextBelow(6) }, () => pick(WORDS, random))];
      if (oneIn(5, random)) return Buffer.from(`${words.join(' ')}\r\n`);
      const count = oneIn(12, random) ? pick(NUMBERS, random) : words.length;
      const bulks = words.map(
        (word) => `$${oneIn(20, random) ? pick(NUMBERS, random) : Buffer.byteLength(word)}\r\n${word}\r\n`,
      );
      return Buffer.from(`*${count}\r\n${bulks.join('')}`);
    });
    return Buffer.concat(requests);
  }

  mutate(input: Buffer, random: Random): Buffer {
    if (!oneIn(3, random)) return mutateBytes(input, random);
    // A length, wherever there is one, becomes another.
    const text = input.toString('latin1');
    const at = random.nextBelow(text.length + 1);
    return Buffer.from(
      text.slice(0, at) + text.slice(at).replace(/([*$])-?\d+/, `$1${pick(NUMBERS, random)}`),
      'latin1',
    );
  }

  run(input: Buffer): Outcome {
    const whole = this.#parse(input, input.length, true);
    const cut = this.#parse(input, 1 + (input.length % 7), true);
    if (whole.join('\n') !== cut.join('\n'))
      throw new Error(
        `cut otherwise it means something else: ${JSON.stringify([whole.slice(-2), cut.slice(-2)])}`,
      );
    this.#parse(input, 11, false);
    const error = /^ERR Protocol error: .*$/s.exec(whole.at(-1) ?? '')?.[0];
    if (error !== undefined) throw new ForeshardError('FORESHARD_CORRUPT', 'retry', error);
    const kind = whole
      .map((line) => line.replace(/\d+/g, '0').slice(0, 40))
      .slice(0, 6)
      .join('|');
    return { kind, value: this.#held };
  }

  #parse(input: Buffer, chunkBytes: number, isAuthenticated: boolean): string[] {
    const parser = new RequestParser(VALUE_BYTES_MAX);
    this.#held = parser;
    parser.isAuthenticated = isAuthenticated;
    const seen: string[] = [];
    for (let at = 0; at < input.length; at += chunkBytes) {
      // Copied: the parser reads in place, and a socket's chunk is its own.
      parser.feed(Buffer.from(input.subarray(at, at + chunkBytes)));
      for (let result = parser.next(); result !== PARSE_NEED_MORE; result = parser.next()) {
        if (result === PARSE_PROTOCOL_ERROR) return [...seen, parser.error];
        if (result === PARSE_OVERSIZED) seen.push(parser.error);
        else seen.push(this.#request(parser));
      }
    }
    return seen;
  }

  #request(parser: RequestParser): string {
    const words: Buffer[] = [];
    for (let i = 0; i < parser.argumentCount; i++)
      words.push(Buffer.from(parser.source.subarray(parser.starts[i], parser.ends[i])));
    const spec = COMMANDS[findCommand(parser.source, parser.starts[0] ?? 0, parser.ends[0] ?? 0)];
    if (spec === undefined) assertReply(unknownCommand(words));
    else {
      for (const access of [null, LIMITED, FULL_ACCESS]) refusalOf(access, spec, parser);
      const isEnough = spec.arity >= 0 ? words.length === spec.arity : words.length >= -spec.arity;
      if (spec.spread === 'connection' && isEnough) assertReply(this.#commands.run(newClient(), spec, words));
    }
    return words.map((word) => word.toString('latin1')).join(' ');
  }
}

/** As much of a client as the commands of a connection look at. */
const newClient = (): ClientConnection =>
  ({
    id: 1,
    name: '',
    address: '',
    access: FULL_ACCESS,
    isResp3: false,
    createdMs: 0,
    lastActiveMs: 0,
    libraryName: '',
    libraryVersion: '',
  }) as unknown as ClientConnection;

/** One whole reply and nothing behind it: whoever gets a line break of theirs into a reply forges the next. */
function assertReply(reply: Buffer): void {
  const end = decodeReply(reply, 0)?.end;
  const isOnOneLine = reply[0] === 43 || reply[0] === 45;
  if (end !== reply.length || (isOnOneLine && /[\r\n]/.test(reply.toString('latin1').slice(0, -2))))
    throw new Error(
      `a reply of ${reply.length} bytes ends at ${end}: ${JSON.stringify(reply.toString('latin1').slice(0, 200))}`,
    );
}
