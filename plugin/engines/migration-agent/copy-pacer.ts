import type { Clock } from '../../../src/base/clock.ts';
import {
  firstPace,
  nextPace,
  type Pace,
  type PaceLimits,
} from '../../../src/migration/throttle/copy-pace.ts';
import {
  firstPiece,
  nextPiece,
  type PieceLimits,
  type PieceSize,
} from '../../../src/migration/throttle/piece-size.ts';
import { Throttle } from '../../../src/migration/throttle/throttle.ts';
import type { CopyProgress, CopyRates } from '../../../src/ports/storage-engine.ts';

/** A slow copy comes in small pieces, not in seldom ones: each is a pause for clients. */
const PIECES_PER_SECOND_MIN = 20;
/** How soon a late event loop is answered. */
const WINDOW_MS = 100;

export interface CopyPacerComponents {
  readonly clock: Clock;
  /** How late this process's event loop was in about the last tenth of a second, milliseconds. */
  readonly loopLagMs: () => number;
}

/**
 * The pace of one copy at its target: within the coordinator's rates, and halved by itself when the event loop of either node
 * is late. The coordinator hears of that a second later, clients feel it at once.
 */
export class CopyPacer {
  readonly #components: CopyPacerComponents;
  readonly #pieceLimits: PieceLimits;
  readonly #bytes: Throttle;
  readonly #entries: Throttle;
  #rates: CopyRates;
  #pace: Pace;
  #piece: PieceSize;
  #windowStartMs: number;
  #windowBytes = 0;
  #sourceLagMs = 0;
  #usedPerSecond = 0;
  copiedEntries = 0;
  /** Where the owner stood when it last answered. */
  ownerLsn = 0;

  constructor(rates: CopyRates, pieceLimits: PieceLimits, components: CopyPacerComponents) {
    const { clock } = components;
    this.#components = components;
    this.#pieceLimits = pieceLimits;
    this.#rates = rates;
    this.#pace = firstPace(this.#limits());
    this.#piece = firstPiece(pieceLimits);
    this.#bytes = new Throttle(this.#rate(), clock);
    this.#entries = new Throttle(rates.entriesPerSecond, clock);
    this.#windowStartMs = clock.monotonicMs();
  }

  get pieceBytes(): number {
    const often = this.#rate() / PIECES_PER_SECOND_MIN;
    return Math.round(Math.min(this.#piece.bytes, Math.max(this.#pieceLimits.bytesMin, often)));
  }

  setRates(rates: CopyRates): void {
    const isSame =
      rates.bytesPerSecond === this.#rates.bytesPerSecond &&
      rates.entriesPerSecond === this.#rates.entriesPerSecond &&
      rates.bytesPerSecondMin === this.#rates.bytesPerSecondMin &&
      rates.loopLagMsMax === this.#rates.loopLagMsMax;
    if (isSame) return;
    this.#rates = rates;
    this.#entries.setRate(rates.entriesPerSecond);
    this.#bytes.setRate(this.#rate());
  }

  /** The source has answered. */
  heard({ ownerLsn, loopLagMs }: { readonly ownerLsn: number; readonly loopLagMs: number }): void {
    this.ownerLsn = Math.max(this.ownerLsn, ownerLsn);
    this.#sourceLagMs = Math.max(this.#sourceLagMs, loopLagMs);
  }

  /** A piece was applied, which held the event loop for so long. */
  applied(piece: { readonly bytes: number; readonly entries: number; readonly tookMs: number }): void {
    this.#piece = nextPiece(this.#piece, piece.tookMs, this.#pieceLimits);
    this.copiedEntries += piece.entries;
    this.#windowBytes += piece.bytes;
    this.#bytes.spend(piece.bytes);
    this.#entries.spend(piece.entries);
    this.#closeWindow();
  }

  /** Waits until what was applied is paid for. */
  async rest(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const debtMs = Math.max(this.#bytes.debtMs(), this.#entries.debtMs());
      if (debtMs === 0) return;
      await this.#components.clock.sleep(Math.min(WINDOW_MS, debtMs), signal);
      this.#closeWindow();
    }
  }

  progress(): CopyProgress {
    return {
      copiedEntries: this.copiedEntries,
      ownerLsn: this.ownerLsn,
      bytesPerSecond: Math.round(this.#usedPerSecond),
      limitBytesPerSecond: Math.round(this.#rate()),
      pieceBytes: this.pieceBytes,
      reason: this.#pace.reason,
    };
  }

  #limits(): PaceLimits {
    const { bytesPerSecond, bytesPerSecondMin } = this.#rates;
    return { ceiling: bytesPerSecond, floor: Math.min(bytesPerSecond, bytesPerSecondMin) };
  }

  #rate(): number {
    const { bytesPerSecond, loopLagMsMax } = this.#rates;
    return loopLagMsMax === 0 ? bytesPerSecond : Math.min(bytesPerSecond, this.#pace.rate);
  }

  #closeWindow(): void {
    const nowMs = this.#components.clock.monotonicMs();
    const elapsedMs = nowMs - this.#windowStartMs;
    if (elapsedMs < WINDOW_MS) return;
    this.#usedPerSecond = (this.#windowBytes / elapsedMs) * 1000;
    const sample = { used: this.#usedPerSecond, distress: this.#distress() };
    // A pause is no window in which nothing hurt.
    if (this.#rates.bytesPerSecond > 0) this.#pace = nextPace(this.#pace, sample, this.#limits());
    this.#bytes.setRate(this.#rate());
    this.#windowStartMs = nowMs;
    this.#windowBytes = 0;
    this.#sourceLagMs = 0;
  }

  #distress(): string | null {
    const { loopLagMsMax } = this.#rates;
    if (loopLagMsMax === 0) return null;
    const ownMs = this.#components.loopLagMs();
    if (ownMs > loopLagMsMax)
      return `the target's event loop was ${ownMs.toFixed(0)} ms late, at most ${loopLagMsMax} ms`;
    if (this.#sourceLagMs > loopLagMsMax)
      return `the source's event loop was ${this.#sourceLagMs.toFixed(0)} ms late, at most ${loopLagMsMax} ms`;
    return null;
  }
}
