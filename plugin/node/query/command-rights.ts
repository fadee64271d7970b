/** Whether a client may do what it asks for: by its token's rights and key prefixes, in the words of Redis's access lists. */
import type { CommandSpec } from '../../commands/table.ts';
import type { RequestParser } from '../../resp/parser.ts';
import {
  type ClientAccess,
  mayNameKey,
  RIGHT_ADMIN,
  RIGHT_READ,
  type Rights,
} from '../../security/client-access.ts';

const NO_AUTHENTICATION = 'NOAUTH Authentication required.';
const NO_KEY = 'NOPERM this user has no permissions to access one of the keys used as arguments';
/** Redis has no words for these: its key patterns do not hold for commands that name no key. */
const NOT_ALL_KEYS =
  'NOPERM this user may only see keys that begin with its prefixes, and DBSIZE counts those of everybody';
const NO_SCAN =
  'NOPERM this user may only see keys that begin with its prefixes: SCAN needs MATCH with a pattern that begins so';
/** Longer arguments are no option of a command. */
const WORD_BYTES_MAX = 16;

/** @returns the error to answer with, or null when the command may be run. */
export function refusalOf(
  access: ClientAccess | null,
  spec: CommandSpec,
  parser: RequestParser,
): string | null {
  if (access === null) return spec.flags.includes('no_auth') ? null : NO_AUTHENTICATION;
  const wanted = spec.rights | moreRights(spec, parser);
  if ((access.rights & wanted) !== wanted)
    return `NOPERM this user has no permissions to run the '${spec.name.toLowerCase()}' command`;
  return access.prefixes.length === 0 ? null : keyRefusal(access, spec, parser);
}

/** What an option or a subcommand needs beside the command itself. */
function moreRights(spec: CommandSpec, parser: RequestParser): Rights {
  // SET … GET tells what was there.
  if (spec.name === 'SET') return hasWord(parser, 3, 'GET') ? RIGHT_READ : 0;
  // Names and addresses of everybody else.
  if (spec.name === 'CLIENT') return wordAt(parser, 1) === 'LIST' ? RIGHT_ADMIN : 0;
  return 0;
}

/** Of a client that is limited to prefixes. */
function keyRefusal(access: ClientAccess, spec: CommandSpec, parser: RequestParser): string | null {
  const { source, starts, ends, argumentCount } = parser;
  // These look at the keys of all: a scan may if it asks for nothing but what the client may name.
  if (spec.spread === 'all') return NOT_ALL_KEYS;
  if (spec.spread === 'scan') return mayScan(access, parser) ? null : NO_SCAN;
  if (spec.firstKey === 0) return null;
  const last = spec.lastKey < 0 ? argumentCount - 1 : Math.min(spec.lastKey, argumentCount - 1);
  for (let i = spec.firstKey; i <= last; i += spec.keyStep)
    if (!mayNameKey(access, source, starts[i], ends[i])) return NO_KEY;
  return null;
}

/** `SCAN cursor … MATCH pattern …`: the last pattern counts, and its letters before the first `*?[\` are what all that it matches begins with. */
function mayScan(access: ClientAccess, parser: RequestParser): boolean {
  const { source, starts, ends, argumentCount } = parser;
  let isBelow = false;
  for (let i = 2; i + 1 < argumentCount; i += 2) {
    if (wordAt(parser, i) !== 'MATCH') continue;
    const pattern = source.toString('latin1', starts[i + 1], ends[i + 1]);
    const literal = pattern.search(/[*?[\\]/);
    const end = literal < 0 ? ends[i + 1] : starts[i + 1] + literal;
    isBelow = mayNameKey(access, source, starts[i + 1], end);
  }
  return isBelow;
}

function hasWord(parser: RequestParser, from: number, word: string): boolean {
  for (let i = from; i < parser.argumentCount; i++) if (wordAt(parser, i) === word) return true;
  return false;
}

/** In upper case; empty where it is too long to be a word of a command. */
function wordAt({ source, starts, ends, argumentCount }: RequestParser, i: number): string {
  if (i >= argumentCount || ends[i] - starts[i] > WORD_BYTES_MAX) return '';
  return source.toString('latin1', starts[i], ends[i]).toUpperCase();
}
