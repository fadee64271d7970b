import { bad, type LineParser, type LogRecord, type Rejection, skipped } from '../log-record.ts';
import { isRedisWrite, needsAllArguments, redisKeys } from '../redis-commands.ts';

/** `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`; servers before 2.6 name no client, later ones `lua` or a socket's path. */
const HEAD = /^\+?(\d{1,12})\.(\d{1,6}) (?:\[(\d+) ([^"]*?)\] |\(db \d+\) )?(?=")/;
const PORT = /:\d+$/;
const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|(.))/g;
const SIMPLE_ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b' };

const MALFORMED = bad('not a MONITOR line: a time, [db client] and words in quotes are expected');
const UNCLOSED = bad('a word in quotes is not closed');
const FROM_SCRIPT = skipped('command run by a script, counted with its EVAL or FCALL');
const SERVER_REPLY = skipped('reply of the server');

/**
 * What `redis-cli MONITOR` prints. Values are passed over: of a line only the name and the keys are kept.
 */
export class MonitorParser implements LineParser {
  parse(line: string): LogRecord | Rejection {
    const head = HEAD.exec(line);
    if (head === null) return /^\+?OK$/.test(line) ? SERVER_REPLY : MALFORMED;
    const [, seconds, fraction = '', , address = ''] = head;
    if (address === 'lua') return FROM_SCRIPT;
    const words = wordsOf(line, head[0].length);
    const name = words?.[0]?.toUpperCase();
    if (words === null || name === undefined || name === '') return UNCLOSED;
    return {
      timeMs: Number(seconds) * 1_000 + Math.floor(Number(fraction.padEnd(6, '0')) / 1_000),
      client: address.replace(PORT, ''),
      kind: 'command',
      query: name,
      keys: redisKeys(name, words.slice(1)),
      isWrite: isRedisWrite(name),
      latencyMs: undefined,
      bytes: undefined,
    };
  }
}

/** The name and its arguments from `at` on, as bytes; of a command with one key no more than that. Null where a quote stays open. */
function wordsOf(line: string, at: number): string[] | null {
  const words: string[] = [];
  let isOneKey = false;
  while (at < line.length && !(isOneKey && words.length === 2)) {
    if (line.charCodeAt(at) !== 34 /* " */) return null;
    let end = line.indexOf('"', at + 1);
    // A quote after an odd number of backslashes is part of the word.
    while (end !== -1 && isEscaped(line, end)) end = line.indexOf('"', end + 1);
    if (end === -1) return null;
    const word = line.slice(at + 1, end);
    words.push(word.includes('\\') ? unescaped(word) : word);
    if (words.length === 1) isOneKey = !needsAllArguments(word.toUpperCase());
    at = end + 2;
  }
  return words;
}

function isEscaped(line: string, at: number): boolean {
  let backslashes = 0;
  while (line.charCodeAt(at - 1 - backslashes) === 92 /* \ */) backslashes++;
  return backslashes % 2 === 1;
}

const unescaped = (word: string): string =>
  word.replace(ESCAPE, (_, hex: string | undefined, letter: string) =>
    hex === undefined ? (SIMPLE_ESCAPES[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
  );

export const looksLikeMonitor = (line: string): boolean => HEAD.test(line) || line === 'OK';
