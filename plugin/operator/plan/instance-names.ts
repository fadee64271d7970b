import type { ForeshardError } from '../../../src/base/errors.ts';
import type { PlanInstanceFile } from './instance-schema.ts';
import { mistakeIn } from './read-instance.ts';

/** More say no more than the first few. */
const MISTAKES_SHOWN = 20;

/** Which partition and node of a file has which name, and what is wrong with names and numbers, gathered until `assertNoMistakes`. */
export class InstanceNames {
  readonly #file: string;
  readonly #nodes: ReadonlyMap<string, number>;
  readonly #partitions: ReadonlyMap<string, number>;
  readonly #mistakes: string[] = [];

  constructor(file: string, { nodes, partitions }: PlanInstanceFile) {
    this.#file = file;
    this.#nodes = this.#indexed('nodes', nodes);
    this.#partitions = this.#indexed('partitions', partitions);
  }

  /** @param place where the name stands; of a name that there is not it is noted, and the first is taken. */
  node(id: string, place: string): number {
    return this.#find(this.#nodes, id, place);
  }

  partition(id: string, place: string): number {
    return this.#find(this.#partitions, id, place);
  }

  /** What is read on goes wrong at most until `assertNoMistakes`. */
  note(mistake: string): void {
    this.#mistakes.push(mistake);
  }

  /** @throws ForeshardError FORESHARD_CONFIG naming what has been noted. */
  assertNoMistakes(): void {
    const count = this.#mistakes.length;
    if (count === 0) return;
    const more = count > MISTAKES_SHOWN ? `; and ${count - MISTAKES_SHOWN} more` : '';
    throw this.mistake(this.#mistakes.slice(0, MISTAKES_SHOWN).join('; ') + more);
  }

  mistake(what: string): ForeshardError {
    return mistakeIn(this.#file, what);
  }

  #indexed(place: string, list: readonly { readonly id: string }[]): Map<string, number> {
    const index = new Map<string, number>();
    list.forEach(({ id }, i) => {
      const other = index.get(id);
      if (other !== undefined) this.note(`${place}[${i}].id is "${id}", as ${place}[${other}].id is`);
      index.set(id, i);
    });
    return index;
  }

  #find(index: ReadonlyMap<string, number>, id: string, place: string): number {
    const found = index.get(id);
    if (found === undefined) this.note(`${place} names "${id}", which the file does not have`);
    return found ?? 0;
  }
}
