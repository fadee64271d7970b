import type { CommandSpec } from '../../commands/table.ts';
import type { Authentication } from '../../security/authentication.ts';
import { BAD_NAME, type ClientCommandHost, clientReply, isPrintable } from './client-command.ts';
import { commandReply } from './command-command.ts';
import type { ClientConnection } from './query-client.ts';
import { errorReply, OK, REDIS_VERSION, shortened, unknownSubcommand, write, wrongArity } from './replies.ts';

/** What the connection-level commands need of the node. */
export interface ConnectionCommandHost extends ClientCommandHost {
  readonly authentication: Authentication;
  /** A wrong password or token was given. */
  readonly onWrongPassword: (client: ClientConnection) => void;
  /** Text of INFO; sections in lower case, empty for the default ones. */
  readonly describe: (sections: readonly string[]) => string;
  /** CONFIG GET: name and value of what matches a glob pattern in lower case. */
  readonly config: (pattern: string) => readonly (readonly [name: string, value: string])[];
}

const PONG = Buffer.from('+PONG\r\n');
const WRONG_PASSWORD = 'WRONGPASS invalid username-password pair or user is disabled.';

/** Commands that the query node answers itself: the words are the command's arguments, 0 the name as sent. */
export class ConnectionCommands {
  readonly #host: ConnectionCommandHost;

  constructor(host: ConnectionCommandHost) {
    this.#host = host;
  }

  /** @returns the reply. */
  run(client: ClientConnection, spec: CommandSpec, words: readonly Buffer[]): Buffer {
    switch (spec.name) {
      case 'PING':
        return this.#ping(words);
      case 'ECHO':
        return write((writer) => writer.bulk(words[1]));
      case 'HELLO':
        return this.#hello(client, words);
      case 'AUTH':
        return this.#auth(client, words);
      case 'SELECT':
        return select(words[1].toString('latin1'));
      case 'CLIENT':
        return clientReply(client, words, this.#host);
      case 'COMMAND':
        return commandReply(client, words);
      case 'CONFIG':
        return this.#config(client, words);
      case 'INFO':
        return this.#info(client, words);
      case 'RESET':
        return this.#reset(client);
      default:
        return OK; // QUIT; the caller ends the connection
    }
  }

  #ping(words: readonly Buffer[]): Buffer {
    if (words.length === 1) return PONG;
    if (words.length > 2) return wrongArity('ping');
    return write((writer) => writer.bulk(words[1]));
  }

  /** @param user null where only a password or token was given. */
  #tryAuthenticate(client: ClientConnection, user: string | null, given: Buffer): boolean {
    const shown = this.#host.authentication.check(user, given);
    if (shown === null) {
      this.#host.onWrongPassword(client);
      return false;
    }
    client.access = shown.access;
    client.tokenDigest = shown.tokenDigest;
    return true;
  }

  #auth(client: ClientConnection, words: readonly Buffer[]): Buffer {
    if (words.length > 3) return errorReply('ERR syntax error');
    if (words.length === 2 && !this.#host.authentication.isRequired)
      return errorReply(
        'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
      );
    const user = words.length === 3 ? words[1].toString('utf8') : null;
    return this.#tryAuthenticate(client, user, words[words.length - 1]) ? OK : errorReply(WRONG_PASSWORD);
  }

  #hello(client: ClientConnection, words: readonly Buffer[]): Buffer {
    let protocol = client.isResp3 ? 3 : 2;
    if (words.length > 1) {
      const asked = words[1].toString('latin1');
      if (!/^-?\d+$/.test(asked)) return errorReply('ERR Protocol version is not an integer or out of range');
      if (asked !== '2' && asked !== '3') return errorReply('NOPROTO unsupported protocol version');
      protocol = Number(asked);
    }
    let name: string | null = null;
    let isShown = false;
    for (let i = 2; i < words.length; ) {
      const option = words[i].toString('latin1').toUpperCase();
      // Once each: every AUTH costs a digest and a search.
      if (option === 'AUTH' && i + 2 < words.length && !isShown) {
        isShown = true;
        if (!this.#tryAuthenticate(client, words[i + 1].toString('utf8'), words[i + 2]))
          return errorReply(WRONG_PASSWORD);
        i += 3;
      } else if (option === 'SETNAME' && i + 1 < words.length && name === null) {
        name = words[i + 1].toString('utf8');
        if (!isPrintable(name)) return errorReply(BAD_NAME);
        i += 2;
      } else return errorReply(`ERR Syntax error in HELLO option '${shortened(words[i])}'`);
    }
    if (client.access === null)
      return errorReply(
        'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
      );
    client.isResp3 = protocol === 3;
    if (name !== null) client.name = name;
    return write((writer) => {
      writer.map(7, client.isResp3);
      writer.bulkText('server');
      writer.bulkText('redis'); // what client libraries look for
      writer.bulkText('version');
      writer.bulkText(REDIS_VERSION);
      writer.bulkText('proto');
      writer.integer(protocol);
      writer.bulkText('id');
      writer.integer(client.id);
      writer.bulkText('mode');
      writer.bulkText('standalone');
      writer.bulkText('role');
      writer.bulkText('master');
      writer.bulkText('modules');
      writer.array(0);
    });
  }

  #config(client: ClientConnection, words: readonly Buffer[]): Buffer {
    const subcommand = words[1].toString('latin1').toUpperCase();
    if (subcommand === 'RESETSTAT') return words.length === 2 ? OK : wrongArity('config|resetstat');
    if (subcommand !== 'GET') return unknownSubcommand('CONFIG', words[1]);
    if (words.length < 3) return wrongArity('config|get');
    const found = new Map<string, string>();
    for (const word of words.slice(2))
      for (const [name, value] of this.#host.config(word.toString('latin1').toLowerCase()))
        found.set(name, value);
    return write((writer) => {
      writer.map(found.size, client.isResp3);
      for (const [name, value] of found) {
        writer.bulkText(name);
        writer.bulkText(value);
      }
    });
  }

  #info(client: ClientConnection, words: readonly Buffer[]): Buffer {
    const text = this.#host.describe(words.slice(1).map((word) => word.toString('latin1').toLowerCase()));
    if (!client.isResp3) return write((writer) => writer.bulkText(text));
    return Buffer.from(`=${Buffer.byteLength(text) + 4}\r\ntxt:${text}\r\n`);
  }

  #reset(client: ClientConnection): Buffer {
    client.isResp3 = false;
    client.name = '';
    client.access = this.#host.authentication.initial;
    client.tokenDigest = null;
    return Buffer.from('+RESET\r\n');
  }
}

function select(index: string): Buffer {
  if (!/^-?\d{1,10}$/.test(index)) return errorReply('ERR invalid DB index');
  return index === '0' ? OK : errorReply('ERR DB index is out of range');
}
