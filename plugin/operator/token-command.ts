import type { Command } from 'commander';
import { ForeshardError } from '../../src/base/errors.ts';
import { parseRights } from '../security/client-access.ts';
import { assertUserName, newToken, tokenDigest, userLine } from '../security/client-users.ts';
import { withJson } from './flags.ts';
import { printJson, printLine } from './output.ts';

interface TokenFlags {
  readonly user: string;
  readonly rights: string;
  readonly prefix?: readonly string[];
  readonly json?: boolean;
}

export function addTokenCommand(program: Command): void {
  withJson(program.command('token').description('tokens of clients').command('create'))
    .requiredOption('--user <name>', 'whose it is')
    .requiredOption('--rights <list>', 'of read, write and admin, such as read,write')
    .option('--prefix <prefix...>', 'only keys that begin so')
    .description('make a token, and the line for security.usersFile by which nodes know it')
    .action((flags: TokenFlags) => createToken(flags));
}

/**
 * `foreshard token create`: a new token, shown this once, and the line by which nodes know it. Nothing is written: where the
 * users file is, and on how many machines, the operator knows.
 *
 * @throws ForeshardError FORESHARD_CONFIG.
 */
function createToken({ user, rights: rightsWord, prefix: prefixes = [], json }: TokenFlags): void {
  assertUserName(user, '--user');
  const rights = parseRights(rightsWord);
  if (rights === null)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `--rights: found "${rightsWord}", it must be a list of read, write, admin, such as "read,write"`,
    );
  const token = newToken();
  const line = userLine({ user, rights, prefixes, digest: tokenDigest(token) });
  if (json === true) {
    printJson({ token, line });
    return;
  }
  printLine(`token, shown this once: ${token}`);
  printLine(`line for security.usersFile: ${line}`);
}
