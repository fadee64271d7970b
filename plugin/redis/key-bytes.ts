/** Keys of applications are short; a longer one is encoded for itself. */
const SCRATCH_BYTES = 512;

/**
 * The bytes of a key that a client library holds as a string or as bytes, without an allocation for the usual key: short and
 * ASCII. Valid until the next `take`.
 */
export class KeyBytes {
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  bytes: Uint8Array = this.#scratch;
  length = 0;

  take(key: string | Uint8Array): void {
    if (typeof key !== 'string') {
      this.bytes = key;
      this.length = key.length;
      return;
    }
    const { length } = key;
    if (length > SCRATCH_BYTES) {
      this.#encode(key);
      return;
    }
    const scratch = this.#scratch;
    for (let i = 0; i < length; i++) {
      const code = key.charCodeAt(i);
      // UTF-8, as the library sends it: beyond ASCII a character is more than one byte.
      if (code > 0x7f) {
        this.#encode(key);
        return;
      }
      scratch[i] = code;
    }
    this.bytes = scratch;
    this.length = length;
  }

  #encode(key: string): void {
    this.bytes = Buffer.from(key);
    this.length = this.bytes.length;
  }
}
