/** Files with secrets: read only where nobody else can read them, and looked at again when they change. */
import { readFileSync, statSync } from 'node:fs';
import { ForeshardError } from '../../src/base/errors.ts';

/** More than any list of tokens or chain of certificates needs; a wrong path (a disk image) is refused before it is read. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/** Changes when the file does. @throws ForeshardError FORESHARD_CONFIG naming setting and file. */
export function stampOf(setting: string, file: string): string {
  return named(setting, file, () => {
    const { mtimeMs, size, ino } = statSync(file);
    return `${mtimeMs}/${size}/${ino}`;
  });
}

/** @throws ForeshardError FORESHARD_CONFIG naming setting and file. */
export function readNamedFile(setting: string, file: string): Buffer {
  return named(setting, file, () => {
    const stat = statSync(file);
    if (!stat.isFile()) throw new Error('it is not a file');
    if (stat.size > FILE_BYTES_MAX) throw new Error(`it has ${stat.size} bytes, more than ${FILE_BYTES_MAX}`);
    return readFileSync(file);
  });
}

/** As `readNamedFile`, and others must not be able to read it. */
export function readPrivateFile(setting: string, file: string): Buffer {
  const bytes = readNamedFile(setting, file);
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) !== 0)
    throw configError(`${setting}: ${file} can be read by others (mode ${mode.toString(8)}): chmod 600 it`);
  return bytes;
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
