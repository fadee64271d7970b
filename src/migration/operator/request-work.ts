/** What is common to all that operators ask of the coordinator: how a request is worked on, and how it ends. */
import type { Logger } from '../../base/logger.ts';
import type { MetadataWrite } from '../../ports/metadata-store.ts';
import type { Pending } from '../records/controls.ts';
import type { AuditRecord, CoordinatorRequest, RecordCodec } from '../records/records.ts';

/** What a node said, or why it said nothing. */
export type Heard<T> = { readonly answer: T } | { readonly silence: string };

export async function heard<T>(question: Promise<T>): Promise<Heard<T>> {
  try {
    return { answer: await question };
  } catch (error) {
    return { silence: error instanceof Error ? error.message : String(error) };
  }
}

/** Answers under way, by the key of their request: a node that does not answer must not hold up the tick. */
export class RequestWork {
  readonly #logger: Logger;
  readonly #inHand = new Map<string, Promise<void>>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Begins, unless it has begun. A request whose answer fails, or is lost, is found again at the next tick. */
  take(key: string, answer: () => Promise<void>): void {
    if (this.#inHand.has(key)) return;
    const work = answer()
      .catch((error) =>
        this.#logger.warn(
          { key, error: String(error) },
          'a request of an operator could not be answered, it is tried again',
        ),
      )
      .finally(() => this.#inHand.delete(key));
    this.#inHand.set(key, work);
  }

  async settled(): Promise<void> {
    while (this.#inHand.size > 0) await Promise.all(this.#inHand.values());
  }
}

export const TOO_LATE = 'no coordinator was there in time; nothing was done: ask again';

/** The end of a request and its place in the audit: committed together with what was done. */
export function closingWrites(
  { key, request }: Pending<CoordinatorRequest>,
  answer: Pick<AuditRecord, 'atMs' | 'action' | 'partitionId' | 'outcome' | 'message'>,
  codec: RecordCodec,
): MetadataWrite[] {
  const { requestId, by, reason } = request;
  return [
    { kind: 'delete', key },
    {
      kind: 'put',
      key: codec.keys.audit(requestId),
      value: codec.encodeAudit({ requestId, by, reason, ...answer }),
    },
  ];
}
