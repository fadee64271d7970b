import type { SlotMoveSettings } from '../../../../src/redis-settings.ts';

export type PaceLimits = Pick<
  SlotMoveSettings,
  'windowSlotsMax' | 'keysPerMigrateMax' | 'pieceMsMax' | 'latencyMsMax' | 'pauseMsMax'
>;

/**
 * A MIGRATE to a target that hangs holds the source until its timeout, one after another, also when we are gone: a piece has no
 * more of them, and two pieces are on their way.
 */
const PIECE_MIGRATES_MAX = 4;
/** While the server works at one, the next is there. */
const PIECES_IN_FLIGHT_MAX = 2;
/** Looks are short, and can well be shorter. */
const BUSY_LOOKS_DIVISOR = 8;
/** From so many commands of applications a second on, at source and target together, somebody may be kept waiting. */
const CLIENTS_PER_SECOND_MIN = 20;
/** Nobody notices a longer piece where nobody asks. */
const ALONE_PIECE_FACTOR = 4;
/**
 * Where somebody asks: more slots together are fewer syncs of config files and fewer questions a slot, and more clients that are
 * redirected. 32 take some 15 ms, and a client meets one of them in 300 operations, where those 2,000 slots are all that it asks for.
 */
const BUSY_WINDOW_SHARE = 1 / 2;
/** Of a window's time, between two: clients learn where its slots are, and what has queued up is served. */
const BUSY_REST_SHARE = 0.8;

/** So many keys at first: some 2 ms of a server's time with small values. */
const PIECE_KEYS_START = 64;
const PIECE_KEYS_MAX = 2_000;
/** Windows grow by so many slots. */
const WINDOW_SLOTS_STEP = 4;
/** They shrink no further: below, the steps of a move are paid for nearly every slot alone, and the move hardly ends. */
const WINDOW_SHARE_MIN = 1 / 8;
/**
 * A machine that is slow by itself is no quicker for our waiting: the least latency of late is what it takes anyhow, as the base
 * delay of LEDBAT (RFC 6817), and only what is well above it is our doing.
 */
const BASE_REPORTS_KEPT = 50;
const BASE_FACTOR = 1.5;
/** Of the last pieces. */
const PIECES_KEPT = 50;
/** Pieces that take so much longer than they may, most of them, are too large, whatever the quickest have shown. */
const TOO_LONG_FACTOR = 4;
/** Pauses begin here, where pieces are small already. */
const PAUSE_MS_MIN = 1;
const PIECE_KEYS_SMALL = 8;

/**
 * How fast keys move: how many in one write, and how long to rest between two. A server serves nobody while it carries out
 * what it has read in one go, so a piece is kept at `pieceMsMax`; and what clients would notice besides, PINGs on
 * connections of their own do as well: above `latencyMsMax` the pace is halved, below it grows slowly again. Where no application
 * asks anything, nobody waits, and slots move as fast as the limits allow.
 *
 * @see Chiu and Jain 1989, additive increase, multiplicative decrease
 */
export class Pace {
  readonly #limits: PaceLimits;
  #pieceKeys = PIECE_KEYS_START;
  #pauseMs = 0;
  #windowSlots: number;
  #hasClients = true;
  readonly #latenciesMs: number[] = [];
  readonly #pieces: { readonly elapsedMs: number; readonly msPerKey: number }[] = [];

  constructor(limits: PaceLimits) {
    this.#limits = limits;
    this.#windowSlots = this.#busyWindowMax;
  }

  /** How many slots may be open together: clients of all of them are redirected. */
  get windowSlots(): number {
    return this.#hasClients ? Math.max(1, Math.floor(this.#windowSlots)) : this.#limits.windowSlotsMax;
  }

  /** MIGRATEs in one write: others are served between two writes. */
  get pieceMigrates(): number {
    return this.#hasClients ? 1 : PIECE_MIGRATES_MAX;
  }

  /** Writes on their way together. With two of them a server that is done finds the next one there, and serves nobody in between. */
  get piecesInFlight(): number {
    return this.#hasClients ? 1 : PIECES_IN_FLIGHT_MAX;
  }

  /** What the keys looked at in one write may cost, in keys moved. */
  get lookKeys(): number {
    return this.#hasClients ? this.pieceKeys / BUSY_LOOKS_DIVISOR : this.pieceKeys;
  }

  /** Whether the next window is looked at while one moves: that keeps two processors busy. */
  get looksAhead(): boolean {
    return !this.#hasClients;
  }

  /** How long to rest after a window that took so long. */
  restMs(windowMs: number): number {
    return this.#hasClients ? windowMs * BUSY_REST_SHARE : 0;
  }

  get pieceKeys(): number {
    return Math.max(1, Math.floor(this.#pieceKeys));
  }

  get keysPerMigrate(): number {
    return Math.min(this.#limits.keysPerMigrateMax, this.pieceKeys);
  }

  get pauseMs(): number {
    return this.#hasClients ? this.#pauseMs : 0;
  }

  get #busyWindowMax(): number {
    return this.#limits.windowSlotsMax * BUSY_WINDOW_SHARE;
  }

  /** Until it is known whether anybody asks. */
  beCareful(): void {
    this.#hasClients = true;
  }

  /** How many commands a second applications send to the two servers. */
  onClients(perSecond: number): void {
    this.#hasClients = perSecond >= CLIENTS_PER_SECOND_MIN;
  }

  /** How long a piece of so many keys kept a server busy. */
  onPiece({ keyCount, elapsedMs }: { readonly keyCount: number; readonly elapsedMs: number }): void {
    const pieceMsMax = this.#limits.pieceMsMax * (this.#hasClients ? 1 : ALONE_PIECE_FACTOR);
    this.#pieces.push({ elapsedMs, msPerKey: elapsedMs / Math.max(1, keyCount) });
    if (this.#pieces.length > PIECES_KEPT) this.#pieces.shift();
    // A piece that was cut short by the end of a stage says little of a full one.
    if (elapsedMs > pieceMsMax && this.#isTooLarge(keyCount, pieceMsMax))
      this.#pieceKeys = Math.max(1, Math.min(this.#pieceKeys, keyCount) * 0.8);
    else if (keyCount >= this.pieceKeys * 0.8 && elapsedMs < pieceMsMax * 0.7)
      this.#pieceKeys = Math.min(PIECE_KEYS_MAX, this.#pieceKeys + Math.max(1, this.#pieceKeys * 0.05));
  }

  /** By what keys take at best: what a busy machine adds does not become less with fewer of them. */
  #isTooLarge(keyCount: number, pieceMsMax: number): boolean {
    const leastMsPerKey = Math.min(...this.#pieces.map(({ msPerKey }) => msPerKey));
    if (leastMsPerKey * keyCount > pieceMsMax) return true;
    const elapsed = this.#pieces.map(({ elapsedMs }) => elapsedMs).sort((a, b) => a - b);
    return (elapsed[elapsed.length >> 1] as number) > pieceMsMax * TOO_LONG_FACTOR;
  }

  /** The 99th percentile of the last PINGs. */
  onLatency(p99Ms: number): void {
    if (!this.#hasClients) return;
    const { latencyMsMax, pauseMsMax, windowSlotsMax } = this.#limits;
    this.#latenciesMs.push(p99Ms);
    if (this.#latenciesMs.length > BASE_REPORTS_KEPT) this.#latenciesMs.shift();
    if (p99Ms <= Math.max(latencyMsMax, Math.min(...this.#latenciesMs) * BASE_FACTOR)) {
      this.#pauseMs = this.#pauseMs > PAUSE_MS_MIN ? this.#pauseMs - PAUSE_MS_MIN : 0;
      this.#windowSlots = Math.min(this.#busyWindowMax, this.#windowSlots + WINDOW_SLOTS_STEP);
      return;
    }
    this.#windowSlots = Math.max(windowSlotsMax * WINDOW_SHARE_MIN, this.#windowSlots / 2);
    if (this.#pieceKeys > PIECE_KEYS_SMALL) this.#pieceKeys /= 2;
    else this.#pauseMs = Math.min(pauseMsMax, Math.max(PAUSE_MS_MIN, this.#pauseMs * 2));
  }
}
