import type { Random } from '../../src/base/random.ts';

/** A real parser, and a grammar of what it is made for. */
export interface FuzzTarget {
  readonly name: string;
  /** An input that means something, or nearly. */
  generate(random: Random): Buffer;
  /** Changes an input in the terms of its own structure: fields, frames, words. */
  mutate(input: Buffer, random: Random): Buffer;
  /**
   * Parses, and checks what must hold of any result; whatever it throws beside a ForeshardError is a finding.
   *
   * @returns the result, which is held while the heap is measured, and what kind of result it is: a new kind is worth keeping the input for.
   */
  run(input: Buffer): Outcome | Promise<Outcome>;
  close?(): void;
}

export interface Outcome {
  readonly kind: string;
  readonly value: unknown;
}
