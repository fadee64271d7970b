/** Files with secrets: read only where nobody else can read them, and looked at again when they change. */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { ForeshardError } from '../../src/base/errors.ts';

/** More than any list of tokens or chain of certificates needs; a wrong path (a disk image) is refused before it is read. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Changes when the file does, its mode and owner included. By the time of change of its entry: what copies files may set that of their
 * content back, and a token that was taken out of a list of the same length would go on to hold.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming setting and file.
 */
export function stampOf(setting: string, file: string): string {
  return named(setting, file, () => {
    const { ctimeNs, size, ino, dev } = statSync(file, { bigint: true });
    return `${ctimeNs}/${size}/${ino}/${dev}`;
  });
}

/** @throws ForeshardError FORESHARD_CONFIG naming setting and file. */
export function readNamedFile(setting: string, file: string): Buffer {
  return readChecked(setting, file, () => null);
}

/** As `readNamedFile`, and nobody else may be able to read or replace it: found out before a byte is read. */
export function readPrivateFile(setting: string, file: string): Buffer {
  return readChecked(setting, file, whyNotPrivate);
}

/** What is wrong with a file that holds a secret, and the remedy; null if nothing. */
export function whyNotPrivate({ mode, uid }: Pick<Stats, 'mode' | 'uid'>): string | null {
  const permissions = mode & 0o777;
  if ((permissions & 0o077) !== 0)
    return `can be read by others (mode ${permissions.toString(8)}): chmod 600 it`;
  const ownUid = process.getuid?.() ?? uid;
  return uid === ownUid || uid === 0
    ? null
    : `belongs to another user (uid ${uid}), who could read and change it: run this as that user, or chown it to uid ${ownUid}`;
}

/**
 * One descriptor is opened, judged and read: between a look at a path and a read of it, another file could take its place.
 * Without O_NONBLOCK, opening a pipe would wait for somebody who writes to it.
 */
function readChecked(setting: string, file: string, refusal: (stat: Stats) => string | null): Buffer {
  const descriptor = named(setting, file, () => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK));
  try {
    const stat = fstatSync(descriptor);
    const why = stat.isFile() ? refusal(stat) : null;
    if (why !== null) throw configError(`${setting}: ${file} ${why}`);
    return named(setting, file, () => {
      if (!stat.isFile()) throw new Error('it is not a file');
      if (stat.size > FILE_BYTES_MAX)
        throw new Error(`it has ${stat.size} bytes, more than ${FILE_BYTES_MAX}`);
      return readFileSync(descriptor);
    });
  } finally {
    closeSync(descriptor);
  }
}

function named<T>(setting: string, file: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    throw configError(`${setting}: cannot read ${file}: ${(cause as Error).message}`, cause);
  }
}

const configError = (message: string, cause?: unknown): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', message, { cause });
