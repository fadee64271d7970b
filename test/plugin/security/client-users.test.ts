import { createHash } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { COMMANDS } from '../../../plugin/commands/table.ts';
import { refusalOf } from '../../../plugin/node/query/command-rights.ts';
import { PARSE_REQUEST, RequestParser } from '../../../plugin/resp/parser.ts';
import {
  type ClientAccess,
  parseRights,
  RIGHT_ADMIN,
  RIGHT_READ,
  RIGHT_WRITE,
  rightsText,
} from '../../../plugin/security/client-access.ts';
import {
  ClientUsers,
  newToken,
  parseUsers,
  tokenDigest,
  userLine,
} from '../../../plugin/security/client-users.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { KeptLog } from '../../support/kept-log.ts';
import { encodeCommand } from '../../support/resp-client.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('users and tokens of clients');

const lineOf = (user: string, rights: string, token: string, prefixes: readonly string[] = []): string =>
  userLine({ user, rights: parseRights(rights) as number, prefixes, digest: tokenDigest(token) });

const withUsers = (lines: readonly string[], use: (users: ClientUsers, file: string, log: KeptLog) => void) =>
  withTemporaryFolder((folder) => {
    const file = join(folder, 'users');
    writeFileSync(file, lines.join('\n'), { mode: 0o600 });
    const log = new KeptLog();
    use(new ClientUsers(file, log), file, log);
  });

test('a token has 256 random bits, and its line says nothing of it but a hash', () => {
  const tokens = new Set(Array.from({ length: 100 }, newToken));
  check.is(tokens.size, 100);
  for (const token of tokens) {
    check.is(Buffer.from(token.slice(4), 'base64url').length, 32);
    check.not.match(lineOf('app', 'read', token), token.slice(4, 20));
  }
});

test('what is printed is read back, odd prefixes included', () => {
  const prefixes = ['cart:', 'a b#%', 'zeile\n', 'grün'];
  const line = lineOf('app', 'read,write', newToken(), prefixes);
  check.is(line.split('\n').length, 1);
  const [token] = parseUsers(`# people\n\n${line} # the shop\n`, 'f');
  check.equal(token?.prefixes, prefixes);
  check.is(rightsText(token?.rights ?? 0), 'read,write');
});

test('a token is known by itself or with its user, not with another', () => {
  const [mine, other] = [newToken(), newToken()];
  return withUsers([lineOf('app', 'read', mine), lineOf('ops', 'admin', other)], (users) => {
    check.is(users.find(null, Buffer.from(mine))?.access.user, 'app');
    check.is(users.find('app', Buffer.from(mine))?.access.rights, RIGHT_READ);
    check.is(users.find('ops', Buffer.from(mine)), null);
    check.is(users.find(null, Buffer.from(newToken())), null);
    check.is(users.find('app', Buffer.from('')), null);
  });
});

test('the hash of a password that somebody chose lets nobody in, though its line is in the file', () => {
  const hash = createHash('sha256').update('hunter2').digest('hex');
  return withUsers([`app read sha256:${hash}`], (users) => {
    check.is(users.find('app', Buffer.from('hunter2')), null);
  });
});

test('two tokens of one user hold side by side, so that one can replace the other', () => {
  const [old, young] = [newToken(), newToken()];
  return withUsers([lineOf('app', 'read', old), lineOf('app', 'read,write', young)], (users) => {
    check.is(users.find('app', Buffer.from(old))?.access.rights, RIGHT_READ);
    check.is(users.find('app', Buffer.from(young))?.access.rights, RIGHT_READ | RIGHT_WRITE);
  });
});

test('a changed file counts at once; a broken one leaves the former in use, and says so once', () => {
  const [first, second] = [newToken(), newToken()];
  return withUsers([lineOf('app', 'read', first)], (users, file, log) => {
    const digest = users.find('app', Buffer.from(first))?.digest as Buffer;
    check.is(users.refresh(), false, 'nothing has changed');
    writeFileSync(file, `${lineOf('app', 'read', second)}\n`);
    check.is(users.refresh(), true);
    check.is(users.accessOf(digest), null, 'the first is gone');
    check.ok(users.find('app', Buffer.from(second)));
    writeFileSync(file, 'app everything\n');
    check.is(users.refresh(), false);
    check.is(users.refresh(), false);
    check.ok(users.find('app', Buffer.from(second)), 'the former stay');
    check.is(log.lines.filter(({ level }) => level === 'warn').length, 1);
    check.match(log.text, /users:1/);
  });
});

test('a file that others can read is refused, and so is every line that is not right, without showing it', () => {
  const token = newToken();
  return withTemporaryFolder((folder) => {
    const file = join(folder, 'users');
    writeFileSync(file, lineOf('app', 'read', token), { mode: 0o600 });
    chmodSync(file, 0o644);
    check.throws(() => new ClientUsers(file, new KeptLog()), /can be read by others \(mode 644\)/);
    const digest = 'a'.repeat(64);
    for (const wrong of [
      `app read ${token}`,
      `app ${token}`,
      token,
      `default read sha256:${digest}`,
      `a/b read sha256:${digest}`,
      `app read,read sha256:${digest}`,
      `app root sha256:${digest}`,
      `app read sha256:${digest.toUpperCase()}`,
      `app read sha256:${digest} cart:`,
      `app read sha256:${digest} prefix=%zz`,
    ])
      try {
        parseUsers(`\n${wrong}`, 'users');
        check.unreachable(wrong);
      } catch (error) {
        check.instance(error, ForeshardError, wrong);
        check.match((error as Error).message, /^users:2: /);
        check.not.match((error as Error).message, token.slice(4));
      }
  });
});

function refusal(access: ClientAccess | null, ...words: string[]): string | null {
  const parser = new RequestParser(1 << 20);
  parser.feed(encodeCommand(words));
  check.is(parser.next(), PARSE_REQUEST);
  const spec = COMMANDS.find(({ name }) => name === words[0]) ?? check.unreachable();
  return refusalOf(access, spec as (typeof COMMANDS)[number], parser);
}

const access = (rights: number, ...prefixes: string[]): ClientAccess => ({
  user: 'app',
  rights,
  prefixes: prefixes.map((prefix) => Buffer.from(prefix)),
});

test('every command but those of the connection needs a right; who has none may do none of them', () => {
  const WITHOUT = ['PING', 'HELLO', 'AUTH', 'CLIENT', 'COMMAND', 'SELECT', 'QUIT', 'INFO', 'ECHO', 'RESET'];
  for (const { name, rights, isWrite, flags } of COMMANDS) {
    check.is(rights === 0, WITHOUT.includes(name), name);
    if (isWrite) check.ok((rights & RIGHT_WRITE) !== 0, name);
    if (flags.includes('readonly')) check.is(rights, RIGHT_READ, name);
    const answer = refusal(access(0), name, 'a', 'b', 'c');
    if (rights === 0) check.is(answer, null, name);
    else check.is(answer, `NOPERM this user has no permissions to run the '${name.toLowerCase()}' command`);
    if (!flags.includes('no_auth')) check.match(refusal(null, name, 'a', 'b') ?? '', /^NOAUTH/, name);
  }
});

test('a write whose reply tells what was there needs both rights', () => {
  const writer = access(RIGHT_WRITE);
  check.is(refusal(writer, 'SET', 'k', 'v', 'EX', '5'), null);
  for (const words of [
    ['SET', 'k', 'v', 'get'],
    ['GETDEL', 'k'],
    ['INCR', 'k'],
    ['HINCRBY', 'k', 'f', '1'],
    ['GET', 'k'],
  ])
    check.match(refusal(writer, ...words) ?? '', /^NOPERM/, words[0]);
  check.is(refusal(access(RIGHT_READ | RIGHT_WRITE), 'SET', 'k', 'v', 'GET'), null);
  check.match(refusal(access(RIGHT_READ | RIGHT_WRITE), 'CLIENT', 'list') ?? '', /^NOPERM/);
  check.is(refusal(access(RIGHT_ADMIN), 'CLIENT', 'LIST'), null);
});

test('prefixes hold for every key of a command, and for what a scan may find', () => {
  const mine = access(RIGHT_READ | RIGHT_WRITE, 'cart:', 'user:7:');
  check.is(refusal(mine, 'MGET', 'cart:1', 'user:7:name'), null);
  check.match(refusal(mine, 'MGET', 'cart:1', 'user:8:name') ?? '', /one of the keys/);
  check.match(refusal(mine, 'GET', 'cart') ?? '', /one of the keys/);
  check.is(refusal(mine, 'MSET', 'cart:1', 'other:value', 'cart:2', ''), null, 'values are no keys');
  check.match(refusal(mine, 'MSET', 'cart:1', '', 'other', '') ?? '', /one of the keys/);
  check.is(refusal(mine, 'SCAN', '0', 'match', 'cart:*'), null);
  for (const words of [
    [],
    ['MATCH', '*'],
    ['MATCH', '[c]art:*'],
    ['MATCH', 'cart:*', 'MATCH', '*'],
    ['COUNT', '5'],
    ['MATCH', '\\cart:'],
  ])
    check.match(refusal(mine, 'SCAN', '0', ...words) ?? '', /^NOPERM .*SCAN needs MATCH/, words.join(' '));
  check.match(refusal(mine, 'DBSIZE') ?? '', /^NOPERM .*DBSIZE counts those of everybody/);
});

test.run();
