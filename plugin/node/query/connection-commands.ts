import { COMMANDS, type CommandSpec, commandByName } from '../../commands/table.ts';
import { RespWriter } from '../../resp/writer.ts';
import type { Authentication } from '../../security/authentication.ts';
import type { ClientConnection } from './query-client.ts';

/** What the connection-level commands need of the node. */
export interface ConnectionCommandHost {
  readonly authentication: Authentication;
  /** A wrong password or token was given. */
  readonly onWrongPassword: (client: ClientConnection) => void;
  readonly clients: () => Iterable<ClientConnection>;
  readonly nowMs: () => number;
  /** Text of INFO; sections in lower case, empty for the default ones. */
  readonly describe: (sections: readonly string[]) => string;
  /** CONFIG GET: name and value of what matches a glob pattern in lower case. */
  readonly config: (pattern: string) => readonly (readonly [name: string, value: string])[];
}

const OK = Buffer.from('+OK\r\n');
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
        return this.#client(client, words);
      case 'COMMAND':
        return command(client, words);
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

  #client(client: ClientConnection, words: readonly Buffer[]): Buffer {
    const subcommand = words[1].toString('latin1').toUpperCase();
    const value = words[2]?.toString('utf8') ?? '';
    const isOneWord = words.length === 2;
    switch (subcommand) {
      case 'ID':
        return isOneWord ? write((writer) => writer.integer(client.id)) : wrongArity('client|id');
      case 'GETNAME':
        if (!isOneWord) return wrongArity('client|getname');
        return write((writer) =>
          client.name === '' ? writer.nil(client.isResp3) : writer.bulkText(client.name),
        );
      case 'SETNAME':
        if (words.length !== 3) return wrongArity('client|setname');
        if (!isPrintable(value)) return errorReply(BAD_NAME);
        client.name = value;
        return OK;
      case 'SETINFO':
        return setLibrary(client, words);
      case 'INFO':
        return isOneWord
          ? write((writer) => writer.bulkText(`${this.#line(client)}\n`))
          : wrongArity('client|info');
      case 'LIST':
        return this.#clientList(words);
      case 'NO-EVICT':
      case 'NO-TOUCH': {
        if (words.length !== 3) return wrongArity(`client|${subcommand.toLowerCase()}`);
        return /^(on|off)$/i.test(value) ? OK : errorReply('ERR syntax error');
      }
      default:
        return unknownSubcommand('CLIENT', words[1]);
    }
  }

  #clientList(words: readonly Buffer[]): Buffer {
    let isListed: (client: ClientConnection) => boolean = () => true;
    if (words.length > 2) {
      const option = words[2].toString('latin1').toUpperCase();
      if (option === 'ID' && words.length > 3) {
        const ids = new Set(words.slice(3).map((word) => word.toString('latin1')));
        isListed = (client) => ids.has(String(client.id));
      } else if (option === 'TYPE' && words.length === 4) {
        const type = words[3].toString('latin1').toLowerCase();
        if (!['normal', 'master', 'replica', 'slave', 'pubsub'].includes(type))
          return errorReply(`ERR Unknown client type '${type}'`);
        isListed = () => type === 'normal';
      } else return errorReply('ERR syntax error');
    }
    const lines = [...this.#host.clients()].filter(isListed).map((client) => `${this.#line(client)}\n`);
    return write((writer) => writer.bulkText(lines.join('')));
  }

  #line(client: ClientConnection): string {
    const nowMs = this.#host.nowMs();
    const seconds = (sinceMs: number): number => Math.floor((nowMs - sinceMs) / 1000);
    return [
      `id=${client.id}`,
      `addr=${client.address}`,
      `name=${client.name}`,
      `age=${seconds(client.createdMs)}`,
      `idle=${seconds(client.lastActiveMs)}`,
      'flags=N',
      'db=0',
      `resp=${client.isResp3 ? 3 : 2}`,
      `cmd=${client.lastCommand || 'NULL'}`,
      `user=${client.access?.user ?? '(none)'}`,
      `lib-name=${client.libraryName}`,
      `lib-ver=${client.libraryVersion}`,
    ].join(' ');
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

/** Libraries choose their dialect by it: the commands of the table behave as in this version. */
export const REDIS_VERSION = '7.0.15';

const BAD_NAME = 'ERR Client names cannot contain spaces, newlines or special characters.';
const isPrintable = (text: string): boolean => /^[!-~]*$/.test(text);

function write(fill: (writer: RespWriter) => void): Buffer {
  const writer = new RespWriter();
  fill(writer);
  return writer.take();
}

/** `text` begins with the code, such as `ERR`. */
export function errorReply(text: string): Buffer {
  return write((writer) => writer.error(text));
}

export function wrongArity(name: string): Buffer {
  return errorReply(`ERR wrong number of arguments for '${name.toLowerCase()}' command`);
}

const UNKNOWN_TEXT_MAX = 128;

/** As Redis words it, with the first arguments, all made harmless and short. */
export function unknownCommand(words: readonly Buffer[]): Buffer {
  let shown = '';
  for (const word of words.slice(1)) {
    if (shown.length >= UNKNOWN_TEXT_MAX) break;
    shown += `'${shortened(word).slice(0, UNKNOWN_TEXT_MAX - shown.length)}' `;
  }
  return errorReply(`ERR unknown command '${shortened(words[0])}', with args beginning with: ${shown}`);
}

/** What a client sent, as it may stand in an error. */
const shortened = (word: Buffer): string =>
  word
    .subarray(0, UNKNOWN_TEXT_MAX)
    .toString('latin1')
    .replace(/[^ -~]/g, ' ');

function unknownSubcommand(command: string, word: Buffer): Buffer {
  return errorReply(`ERR unknown subcommand '${shortened(word)}'. Try ${command} HELP.`);
}

function select(index: string): Buffer {
  if (!/^-?\d{1,10}$/.test(index)) return errorReply('ERR invalid DB index');
  return index === '0' ? OK : errorReply('ERR DB index is out of range');
}

function setLibrary(client: ClientConnection, words: readonly Buffer[]): Buffer {
  if (words.length !== 4) return wrongArity('client|setinfo');
  const attribute = words[2].toString('latin1').toUpperCase();
  const value = words[3].toString('utf8');
  if (!isPrintable(value))
    return errorReply(
      `ERR ${attribute.toLowerCase()} cannot contain spaces, newlines or special characters.`,
    );
  if (attribute === 'LIB-NAME') client.libraryName = value;
  else if (attribute === 'LIB-VER') client.libraryVersion = value;
  else return errorReply(`ERR Unrecognized option '${attribute}'`);
  return OK;
}

/** Internal commands are nobody's business. */
const PUBLIC_COMMANDS = COMMANDS.filter((spec) => spec.spread !== 'partition');

/** Every client library asks for it as it connects, and it never changes. */
const ALL_COMMANDS = {
  resp2: describeCommands(PUBLIC_COMMANDS, false),
  resp3: describeCommands(PUBLIC_COMMANDS, true),
};

function command(client: ClientConnection, words: readonly Buffer[]): Buffer {
  const { isResp3 } = client;
  if (words.length === 1) return isResp3 ? ALL_COMMANDS.resp3 : ALL_COMMANDS.resp2;
  const subcommand = words[1].toString('latin1').toUpperCase();
  const named = words.slice(2).map((word) => {
    const spec = commandByName(word.toString('latin1').toUpperCase());
    return spec?.spread === 'partition' ? undefined : spec;
  });
  switch (subcommand) {
    case 'COUNT':
      return words.length === 2
        ? write((writer) => writer.integer(PUBLIC_COMMANDS.length))
        : wrongArity('command|count');
    case 'INFO':
      return describeCommands(words.length === 2 ? PUBLIC_COMMANDS : named, isResp3);
    case 'LIST':
      if (words.length !== 2) return errorReply('ERR syntax error');
      return write((writer) => {
        writer.array(PUBLIC_COMMANDS.length);
        for (const spec of PUBLIC_COMMANDS) writer.bulkText(spec.name.toLowerCase());
      });
    case 'DOCS':
      return documentCommands(words.length === 2 ? PUBLIC_COMMANDS : named, isResp3);
    case 'GETKEYS':
      return commandKeys(words);
    default:
      return unknownSubcommand('COMMAND', words[1]);
  }
}

function describeCommands(specs: readonly (CommandSpec | undefined)[], isResp3: boolean): Buffer {
  return write((writer) => {
    writer.array(specs.length);
    for (const spec of specs) {
      if (spec === undefined) {
        if (isResp3) writer.nil(true);
        else writer.array(-1);
        continue;
      }
      writer.array(10);
      writer.bulkText(spec.name.toLowerCase());
      writer.integer(spec.arity);
      writer.set(spec.flags.length, isResp3);
      for (const flag of spec.flags) writer.simple(flag);
      writer.integer(spec.firstKey);
      writer.integer(spec.lastKey);
      writer.integer(spec.keyStep);
      writer.set(0, isResp3); // access categories
      writer.array(0); // tips
      writer.array(0); // key specifications
      writer.array(0); // subcommands
    }
  });
}

function documentCommands(specs: readonly (CommandSpec | undefined)[], isResp3: boolean): Buffer {
  const known = specs.filter((spec) => spec !== undefined);
  return write((writer) => {
    writer.map(known.length, isResp3);
    for (const spec of known) {
      writer.bulkText(spec.name.toLowerCase());
      writer.map(2, isResp3);
      writer.bulkText('summary');
      writer.bulkText(`${spec.name} as in Redis ${REDIS_VERSION}.`);
      writer.bulkText('since');
      writer.bulkText('1.0.0');
    }
  });
}

function commandKeys(words: readonly Buffer[]): Buffer {
  const spec = words.length > 2 ? commandByName(words[2].toString('latin1').toUpperCase()) : undefined;
  if (spec === undefined) return errorReply('ERR Invalid command specified');
  if (spec.firstKey === 0) return errorReply('ERR The command has no key arguments');
  const keys: Buffer[] = [];
  const last = spec.lastKey < 0 ? words.length - 1 : 2 + spec.lastKey;
  for (let i = 2 + spec.firstKey; i <= last && i < words.length; i += spec.keyStep) keys.push(words[i]);
  return write((writer) => {
    writer.array(keys.length);
    for (const key of keys) writer.bulk(key);
  });
}
