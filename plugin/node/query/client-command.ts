import type { ClientConnection } from './query-client.ts';
import { errorReply, OK, unknownSubcommand, write, wrongArity } from './replies.ts';

export interface ClientCommandHost {
  readonly clients: () => Iterable<ClientConnection>;
  readonly nowMs: () => number;
}

/** CLIENT: who is connected, and what each has said of itself. */
export function clientReply(
  client: ClientConnection,
  words: readonly Buffer[],
  host: ClientCommandHost,
): Buffer {
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
        ? write((writer) => writer.bulkText(`${lineOf(client, host.nowMs())}\n`))
        : wrongArity('client|info');
    case 'LIST':
      return clientList(words, host);
    case 'NO-EVICT':
    case 'NO-TOUCH': {
      if (words.length !== 3) return wrongArity(`client|${subcommand.toLowerCase()}`);
      return /^(on|off)$/i.test(value) ? OK : errorReply('ERR syntax error');
    }
    default:
      return unknownSubcommand('CLIENT', words[1]);
  }
}

function clientList(words: readonly Buffer[], { clients, nowMs }: ClientCommandHost): Buffer {
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
  const lines = [...clients()].filter(isListed).map((client) => `${lineOf(client, nowMs())}\n`);
  return write((writer) => writer.bulkText(lines.join('')));
}

function lineOf(client: ClientConnection, nowMs: number): string {
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

export const BAD_NAME = 'ERR Client names cannot contain spaces, newlines or special characters.';
export const isPrintable = (text: string): boolean => /^[!-~]*$/.test(text);
