import { COMMANDS } from '../../commands/table.ts';

/** What it takes to move the mean half way up at once, and down within some ten replies: too much costs only time. */
const RISE = 1 / 2;
const FALL = 1 / 16;

/**
 * How large the reply to a query will be, before it is sent: by what the same command got from the same partition before,
 * or else by what was written there. A guess, so that one client's large values do not fill links and memory all at once;
 * where it is wrong, the limits on what has already come hold.
 */
export class ReplyEstimate {
  /** f32[partition][command]: running mean; 0 while nothing is known. */
  readonly #replyBytes: Float32Array;
  /** f32[partition]: running mean of the requests that wrote. */
  readonly #writtenBytes: Float32Array;

  constructor(partitionCount: number) {
    this.#replyBytes = new Float32Array(partitionCount * COMMANDS.length);
    this.#writtenBytes = new Float32Array(partitionCount);
  }

  expect(partitionId: number, commandIndex: number): number {
    const known = this.#replyBytes[partitionId * COMMANDS.length + commandIndex];
    if (known > 0 || COMMANDS[commandIndex].isWrite) return known | 0;
    return this.#writtenBytes[partitionId] | 0;
  }

  learn(partitionId: number, commandIndex: number, requestBytes: number, replyBytes: number): void {
    moveMean(this.#replyBytes, partitionId * COMMANDS.length + commandIndex, replyBytes);
    if (COMMANDS[commandIndex].isWrite) moveMean(this.#writtenBytes, partitionId, requestBytes);
  }
}

function moveMean(means: Float32Array, index: number, sample: number): void {
  const difference = sample - means[index];
  means[index] += difference * (difference > 0 ? RISE : FALL);
}
