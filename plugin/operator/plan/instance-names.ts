import type { ForeshardError } from '../../../src/base/errors.ts';
import type { PlanInstanceFile } from './instance-schema.ts';
import { mistakeIn } from './read-instance.ts';

/** Which partition and node of a file has which name. */
export class InstanceNames {
  readonly #file: string;
  readonly #nodes: ReadonlyMap<string, number>;
  readonly #partitions: ReadonlyMap<string, number>;

  /** @throws ForeshardError FORESHARD_CONFIG for two of one name. */
  constructor(file: string, { nodes, partitions }: PlanInstanceFile) {
    this.#file = file;
    this.#nodes = this.#indexed('nodes', nodes);
    this.#partitions = this.#indexed('partitions', partitions);
  }

  /** @param place where the name stands. */
  node(id: string, place: string): number {
    return this.#find(this.#nodes, id, place);
  }

  partition(id: string, place: string): number {
    return this.#find(this.#partitions, id, place);
  }

  mistake(what: string): ForeshardError {
    return mistakeIn(this.#file, what);
  }

  #indexed(place: string, list: readonly { readonly id: string }[]): Map<string, number> {
    const index = new Map<string, number>();
    list.forEach(({ id }, i) => {
      const other = index.get(id);
      if (other !== undefined)
        throw this.mistake(`${place}[${i}].id is "${id}", as ${place}[${other}].id is`);
      index.set(id, i);
    });
    return index;
  }

  #find(index: ReadonlyMap<string, number>, id: string, place: string): number {
    const found = index.get(id);
    if (found === undefined) throw this.mistake(`${place} names "${id}", which the file does not have`);
    return found;
  }
}
