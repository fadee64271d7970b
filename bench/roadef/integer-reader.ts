import { closeSync, openSync, readSync } from 'node:fs';
import { ForeshardError } from '../../src/base/errors.ts';

const CHUNK_BYTES = 1 << 16;
const ZERO = 48;
const NEWLINE = 10;

/**
 * White-space separated non-negative integers of a file, one after the other: a model of 50,000 processes holds a million
 * of them, and none is kept as text. Close it.
 */
export class IntegerReader {
  readonly #path: string;
  readonly #file: number;
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  #at = 0;
  #end = 0;
  #line = 1;

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, 'r');
  }

  close(): void {
    closeSync(this.#file);
  }

  /**
   * @param what is said in the error when the file ends here, or holds something else.
   * @throws ForeshardError FORESHARD_CORRUPT
   */
  next(what: string, bounds: { readonly min?: number; readonly max?: number } = {}): number {
    let byte = this.#skipSpace();
    if (byte < 0) throw this.#error(`ends before ${what}`);
    let value = 0;
    for (; byte >= ZERO && byte <= ZERO + 9; byte = this.#advance()) value = value * 10 + (byte - ZERO);
    if (byte >= 0 && !isSpace(byte))
      throw this.#error(`has ${JSON.stringify(String.fromCharCode(byte))} in ${what}, an integer`);
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = bounds;
    if (value < min || value > max) throw this.#error(`has ${value} for ${what}, which is in ${min}..${max}`);
    return value;
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when there is more than `what` in the file. */
  expectEnd(what: string): void {
    if (this.#skipSpace() >= 0) throw this.#error(`goes on after ${what}`);
  }

  #skipSpace(): number {
    let byte = this.#peek();
    while (byte >= 0 && isSpace(byte)) {
      if (byte === NEWLINE) this.#line++;
      byte = this.#advance();
    }
    return byte;
  }

  #advance(): number {
    this.#at++;
    return this.#peek();
  }

  /** -1 at the end of the file. */
  #peek(): number {
    if (this.#at === this.#end) {
      this.#end = readSync(this.#file, this.#chunk, 0, CHUNK_BYTES, null);
      this.#at = 0;
      if (this.#end === 0) return -1;
    }
    return this.#chunk[this.#at] as number;
  }

  #error(message: string): ForeshardError {
    return new ForeshardError('FORESHARD_CORRUPT', 'fix-config', `${this.#path}:${this.#line} ${message}`);
  }
}

function isSpace(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}
