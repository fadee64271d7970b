import { departuresKey, type SeedEntry } from './workload.ts';

/** What the clients were told is stored. A counter whose reply never came may stand one higher for each such reply. */
export class Ledger {
  readonly #seeded: readonly SeedEntry[];
  readonly #acknowledged = new Map<string, number>();
  readonly #unknown = new Map<string, number>();

  constructor(seeded: readonly SeedEntry[]) {
    this.#seeded = seeded;
  }

  acknowledge(origin: string, destination: string): void {
    increment(this.#acknowledged, departuresKey(origin, destination));
  }

  /** An increment that failed, or whose outcome nobody knows. */
  doubt(origin: string, destination: string): void {
    increment(this.#unknown, departuresKey(origin, destination));
  }

  /** Reads back every key and compares it with what was acknowledged. */
  async verify(client: ReadBackClient): Promise<Verification> {
    const stored = new Set<string>();
    for await (const key of client.scanAll()) stored.add(key);
    let keysLost = 0;
    let keysWrong = 0;
    const examples: string[] = [];
    const complain = (key: string, what: string): void => {
      if (examples.length < 5) examples.push(`${key}: ${what}`);
    };
    for (let i = 0; i < this.#seeded.length; i += READ_BACK_BATCH) {
      const batch = this.#seeded.slice(i, i + READ_BACK_BATCH);
      const values = await Promise.all(
        batch.map((entry) => (entry.kind === 'string' ? client.get(entry.key) : client.hGetAll(entry.key))),
      );
      batch.forEach((entry, index) => {
        const value = values[index];
        const isThere = value !== null && (typeof value === 'string' || Object.keys(value).length > 0);
        if (!isThere || !stored.has(entry.key)) {
          keysLost++;
          complain(entry.key, isThere ? 'not found by SCAN' : 'missing');
        } else if (!this.#agrees(entry, value)) {
          keysWrong++;
          complain(entry.key, `holds ${JSON.stringify(value).slice(0, 60)}`);
        }
        stored.delete(entry.key);
      });
    }
    for (const key of stored) complain(key, 'was never written');
    return { keysChecked: this.#seeded.length, keysLost, keysWrong: keysWrong + stored.size, examples };
  }

  #agrees(entry: SeedEntry, value: string | Record<string, string>): boolean {
    if (entry.kind === 'hash') {
      if (typeof value === 'string') return false;
      const names = Object.keys(entry.fields);
      return (
        names.length === Object.keys(value).length &&
        names.every((name) => value[name] === entry.fields[name])
      );
    }
    if (!entry.key.startsWith('departures:')) return value === entry.value;
    const least = Number(entry.value) + (this.#acknowledged.get(entry.key) ?? 0);
    const most = least + (this.#unknown.get(entry.key) ?? 0);
    return Number(value) >= least && Number(value) <= most;
  }
}

/** Keys read at once: enough to pipeline, little enough to keep memory flat. */
const READ_BACK_BATCH = 500;

export interface ReadBackClient {
  get(key: string): Promise<string | null>;
  hGetAll(key: string): Promise<Record<string, string>>;
  scanAll(): AsyncIterable<string>;
}

export interface Verification {
  readonly keysChecked: number;
  /** Written and acknowledged, but gone. */
  readonly keysLost: number;
  /** There, but not what was acknowledged, or never written at all. */
  readonly keysWrong: number;
  /** The first few, for people. */
  readonly examples: readonly string[];
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
