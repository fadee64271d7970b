/** Replies of the query node's own, in the words of Redis. */
import { RespWriter } from '../../resp/writer.ts';

/** Libraries choose their dialect by it: the commands of the table behave as in this version. */
export const REDIS_VERSION = '7.0.15';

export const OK = Buffer.from('+OK\r\n');

export function write(fill: (writer: RespWriter) => void): Buffer {
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
export const shortened = (word: Buffer): string =>
  word
    .subarray(0, UNKNOWN_TEXT_MAX)
    .toString('latin1')
    .replace(/[^ -~]/g, ' ');

export function unknownSubcommand(command: string, word: Buffer): Buffer {
  return errorReply(`ERR unknown subcommand '${shortened(word)}'. Try ${command} HELP.`);
}
