/**
 * Questions and answers between two threads of one process: over a worker, its parent's port, or a channel. Each question
 * has an id and gets exactly one answer with that id.
 */
import type { MessagePort } from 'node:worker_threads';
import { type ErrorCode, ForeshardError, type Remedy } from '../../src/base/errors.ts';

export interface Call {
  readonly id: number;
  readonly body: unknown;
}

export type Answer =
  | { readonly kind: 'reply'; readonly id: number; readonly body: unknown }
  | {
      readonly kind: 'error';
      readonly id: number;
      readonly code: ErrorCode;
      readonly remedy: Remedy;
      readonly message: string;
    };

interface Waiting {
  resolve(reply: unknown): void;
  reject(error: Error): void;
}

/** The side that asks. */
export class Caller {
  readonly #post: (call: Call, transfer: readonly MessagePort[]) => void;
  readonly #waiting = new Map<number, Waiting>();
  #idNext = 1;

  constructor(post: (call: Call, transfer: readonly MessagePort[]) => void) {
    this.#post = post;
  }

  ask(body: unknown, transfer: readonly MessagePort[] = []): Promise<unknown> {
    const id = this.#idNext++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#post({ id, body }, transfer);
    });
  }

  take(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.kind === 'reply') waiting?.resolve(answer.body);
    else waiting?.reject(new ForeshardError(answer.code, answer.remedy, answer.message));
  }

  /** Nobody will answer any more. */
  fail(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

/** The side that answers, when it could not. */
export function errorAnswer(id: number, error: unknown): Answer {
  const message = error instanceof Error ? error.message : String(error);
  const { code, remedy } =
    error instanceof ForeshardError
      ? error
      : { code: 'FORESHARD_UNAVAILABLE' as const, remedy: 'report' as const };
  return { kind: 'error', id, code, remedy, message };
}
