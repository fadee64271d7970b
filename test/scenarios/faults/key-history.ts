/**
 * What one client knows of one key that it alone writes, and what the database may therefore answer. Writes are numbered;
 * replies of one connection come in the order of its requests, so when a read is answered every write before it is too.
 */

type Outcome = 'open' | 'acknowledged' | 'refused' | 'unknown';

interface NumberedWrite {
  readonly isDelete: boolean;
  outcome: Outcome;
}

export class KeyHistory {
  readonly key: string;
  /** [seq - 1]; seq 0 is the key before anybody wrote it. */
  readonly #writes: NumberedWrite[] = [];
  /** The newest state that this session has seen, by an acknowledgement or a read. */
  #sessionFloor = 0;
  /** Some outcome is not known: such a write may happen at any later time, so this key tells nothing sharp any more. */
  isBlurred = false;

  constructor(key: string) {
    this.key = key;
  }

  get acknowledgedCount(): number {
    return this.#writes.filter((write) => write.outcome === 'acknowledged').length;
  }

  /** @returns the write's number. */
  beginWrite(isDelete: boolean): number {
    return this.#writes.push({ isDelete, outcome: 'open' });
  }

  endWrite(seq: number, outcome: Exclude<Outcome, 'open'>): void {
    this.#write(seq).outcome = outcome;
    if (outcome === 'acknowledged') this.#sessionFloor = Math.max(this.#sessionFloor, seq);
    if (outcome === 'unknown') this.isBlurred = true;
  }

  /**
   * Read-your-writes and monotonic reads.
   *
   * @param value what the database said; null for nothing there.
   * @returns what is wrong with it, or null. The floor rises to what was read.
   */
  endRead(value: string | null): string | null {
    const floor = this.#sessionFloor;
    const found = this.#possibleStates(value).find((seq) => seq >= floor || this.#isUnknown(seq));
    if (found === undefined)
      return `${this.key} read ${value}, but state ${floor} had been seen or acknowledged`;
    if (!this.#isUnknown(found)) this.#sessionFloor = Math.max(floor, found);
    return null;
  }

  /** A new connection, perhaps to another query node: nothing is promised across. */
  beginSession(): void {
    this.#sessionFloor = 0;
  }

  /** After everything has healed. @returns what is wrong with what the owner holds, or null. */
  checkFinal(value: string | null): string | null {
    const last = this.#writes.findLastIndex((write) => write.outcome === 'acknowledged') + 1;
    const isAllowed = this.#possibleStates(value).some((seq) => seq === last || this.#isUnknown(seq));
    return isAllowed ? null : `${this.key} holds ${value}, the last acknowledged write is ${last}`;
  }

  /** States that look like `value` and that are not excluded by a refusal: a refused write has not happened, ever. */
  #possibleStates(value: string | null): number[] {
    if (value !== null) {
      const seq = Number(value);
      const write = this.#writes[seq - 1];
      return write !== undefined && !write.isDelete && write.outcome !== 'refused' ? [seq] : [];
    }
    const states = [0];
    this.#writes.forEach((write, index) => {
      if (write.isDelete && write.outcome !== 'refused') states.push(index + 1);
    });
    return states;
  }

  #isUnknown(seq: number): boolean {
    return this.#writes[seq - 1]?.outcome === 'unknown';
  }

  #write(seq: number): NumberedWrite {
    return this.#writes[seq - 1] as NumberedWrite;
  }
}

/**
 * A counter that one client alone increments: each acknowledged INCR must answer exactly one more than the last. One that
 * was applied twice, or got lost, shows at once.
 */
export class CounterHistory {
  readonly key: string;
  acknowledgedCount = 0;
  #unknownCount = 0;

  constructor(key: string) {
    this.key = key;
  }

  get isBlurred(): boolean {
    return this.#unknownCount > 0;
  }

  /** @returns what is wrong with the answer, or null. */
  acknowledged(value: number): string | null {
    this.acknowledgedCount++;
    return this.#violationIn(value, 'answered');
  }

  unknown(): void {
    this.#unknownCount++;
  }

  checkFinal(value: number): string | null {
    return this.#violationIn(value, 'holds');
  }

  #violationIn(value: number, verb: string): string | null {
    const [least, most] = [this.acknowledgedCount, this.acknowledgedCount + this.#unknownCount];
    if (value >= least && value <= most) return null;
    return `counter ${this.key} ${verb} ${value}, ${least} increments were acknowledged, ${this.#unknownCount} are unknown`;
  }
}
