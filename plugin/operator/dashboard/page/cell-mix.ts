import { percent } from './format.ts';
import type { MixAnswer } from './records.ts';

/** A pointer that crosses the map asks of the cell where it rests. */
const REST_MS = 120;
const KEPT_MAX = 256;

/** Who asks the partitions of a row for what: asked for when somebody rests on them, and kept for a while. */
export class CellMix {
  readonly #ask: (first: number, last: number) => Promise<MixAnswer>;
  readonly #kept = new Map<string, string>();
  #timer: number | undefined;
  #wanted = '';

  constructor(ask: (first: number, last: number) => Promise<MixAnswer>) {
    this.#ask = ask;
  }

  /** Calls back with a line, at once where it is known; not at all if another row is looked at before. */
  show(first: number, last: number, tell: (line: string) => void): void {
    const key = `${first}-${last}`;
    const known = this.#kept.get(key);
    if (known !== undefined) tell(known);
    if (key === this.#wanted) return;
    this.#wanted = key;
    clearTimeout(this.#timer);
    if (known !== undefined) return;
    this.#timer = setTimeout(async () => {
      const line = await this.#ask(first, last).then(asLine, () => '');
      if (this.#kept.size >= KEPT_MAX) this.#kept.clear();
      this.#kept.set(key, line);
      if (key === this.#wanted) tell(line);
    }, REST_MS) as unknown as number;
  }

  /** What is asked for changes with the hours. */
  forget(): void {
    this.#kept.clear();
    this.#wanted = '';
  }
}

function asLine({ templates, clients }: MixAnswer): string {
  if (templates.length === 0) return 'not among the most frequent query types';
  const list = (shares: MixAnswer['templates']): string =>
    shares.map(([name, share]) => `${name} ${percent(share)}`).join(', ');
  return `${list(templates)}; by ${list(clients)}`;
}
