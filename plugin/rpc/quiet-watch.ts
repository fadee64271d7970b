import type { FrameStage } from './frames.ts';

/** In looks, which a clock makes every so often: a process that was stopped has not looked, and takes nobody for quiet. */
export interface QuietLimits {
  readonly lookMs: number;
  /** Nothing has come at all. */
  readonly idleLooksMax: number;
  /** The header of a frame was begun and is not whole. */
  readonly headerLooksMax: number;
  /** Its payload is not. */
  readonly payloadLooksMax: number;
}

/** A peer that has nothing to say says so every 20 s (see `RpcClient`). The largest frame takes 30 s on a line of half a megabyte a second. */
export const DEFAULT_QUIET_LIMITS: QuietLimits = {
  lookMs: 1_000,
  idleLooksMax: 60,
  headerLooksMax: 5,
  payloadLooksMax: 30,
};

/** How far a connection is. */
export interface ReadingProgress {
  readonly chunkCount: number;
  readonly frameCount: number;
  readonly stage: FrameStage;
}

/** Looks at one connection from time to time: whether it still says something, and comes to the end of what it says. */
export class QuietWatch {
  readonly #limits: QuietLimits;
  #chunkCount = -1;
  #frameCount = -1;
  #quietLooks = 0;
  #sameFrameLooks = 0;

  constructor(limits: QuietLimits) {
    this.#limits = limits;
  }

  /** @returns why the connection has to end; null if it need not. */
  look({ chunkCount, frameCount, stage }: ReadingProgress): string | null {
    const { lookMs, idleLooksMax, headerLooksMax, payloadLooksMax } = this.#limits;
    this.#quietLooks = chunkCount === this.#chunkCount ? this.#quietLooks + 1 : 0;
    const isSameFrame = stage !== 'between' && frameCount === this.#frameCount;
    this.#sameFrameLooks = isSameFrame ? this.#sameFrameLooks + 1 : 0;
    this.#chunkCount = chunkCount;
    this.#frameCount = frameCount;
    const looksMax = stage === 'header' ? headerLooksMax : payloadLooksMax;
    if (this.#sameFrameLooks >= looksMax)
      return `the ${stage} of a frame has not come within ${looksMax * lookMs} ms`;
    return this.#quietLooks >= idleLooksMax ? `nothing has come for ${idleLooksMax * lookMs} ms` : null;
  }
}
