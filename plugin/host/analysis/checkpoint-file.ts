import { createHash } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Packr } from 'msgpackr';
import { ForeshardError } from '../../../src/base/errors.ts';
import { makeFolder } from '../../make-folder.ts';

/** First bytes of the file: another kind of file, or another layout of this one, is told by them. */
const MAGIC = Buffer.from('FSHCKPT1');
const DIGEST_BYTES = 32;
const BODY_OFFSET = MAGIC.length + DIGEST_BYTES;

/**
 * Plain data in one file that is either whole or not there: written beside, flushed, then renamed. Magic, SHA-256 of the body,
 * body in MessagePack. Not for what must not be lost: whoever reads it must be able to do without.
 */
export class CheckpointFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * @returns undefined where nothing has been written yet.
   * @throws ForeshardError FORESHARD_CORRUPT when the file is not what `write` wrote.
   */
  async read(): Promise<unknown> {
    let bytes: Buffer;
    try {
      bytes = await readFile(this.#path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#corrupt('cannot be read', cause);
    }
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC))
      throw this.#corrupt('is no checkpoint of this version');
    const body = bytes.subarray(BODY_OFFSET);
    if (!digestOf(body).equals(bytes.subarray(MAGIC.length, BODY_OFFSET)))
      throw this.#corrupt('is damaged: its digest does not fit');
    return packr().unpack(body);
  }

  /** @throws Error of the file system; the file before stays as it was. */
  async write(state: unknown): Promise<void> {
    const body = packr().pack(state);
    const folder = dirname(this.#path);
    makeFolder(folder);
    const beside = `${this.#path}.new`;
    const file = await open(beside, 'w', 0o600);
    try {
      await file.writeFile(Buffer.concat([MAGIC, digestOf(body), body]));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, this.#path);
    const entry = await open(folder, 'r');
    await entry.sync().finally(() => entry.close());
  }

  #corrupt(why: string, cause?: unknown): ForeshardError {
    return new ForeshardError('FORESHARD_CORRUPT', 'report', `checkpoint ${this.#path} ${why}`, { cause });
  }
}

const digestOf = (body: Uint8Array): Buffer => createHash('sha256').update(body).digest();

/** Without `moreTypes` typed arrays come back as other types. One for each use: it keeps a buffer of the last size. */
const packr = (): Packr => new Packr({ useRecords: false, moreTypes: true });
