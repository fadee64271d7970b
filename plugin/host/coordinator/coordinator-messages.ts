/**
 * What the other threads of a query node may ask of its coordinator thread, and what it tells them.
 *
 *   main thread     --setClock, migrationStatus, metrics--> coordinator thread
 *   analysis thread --admit, migrationStatus-------------> coordinator thread
 *   analysis thread <--term, unasked---------------------- coordinator thread
 */
import type { AdmissionReport } from '../../../src/controller.ts';
import type { AdmissionOptions } from '../../../src/migration/queue/planned-moves.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import type { MetadataCondition } from '../../../src/ports/metadata-store.ts';
import type { Reading } from '../../metrics/reading.ts';
import type { Answer } from '../../threads/thread-calls.ts';
import type { ControlReplies } from '../control-messages.ts';

export type CoordinatorBody =
  /** A plan to carry out, and the term in which it was made: in another one it is not carried out. */
  | {
      readonly operation: 'admit';
      readonly proposal: Proposal;
      readonly fence: MetadataCondition;
      readonly options: AdmissionOptions;
    }
  | { readonly operation: 'migrationStatus' }
  | { readonly operation: 'metrics' }
  /** The time of a replay, by which the timetable's hours come. */
  | { readonly operation: 'setClock'; readonly nowMs: number };

export interface CoordinatorReplies {
  readonly admit: AdmissionReport;
  readonly migrationStatus: ControlReplies['migrationStatus'];
  readonly metrics: readonly Reading[];
  readonly setClock: ControlReplies['setClock'];
}

/** From the coordinator thread to the analysis thread. */
export type CoordinatorMessage = Answer | TermMessage;

/** The leader's fence while this process is the coordinator: what the analysis thread writes carries it. Null: it is not. */
export interface TermMessage {
  readonly kind: 'term';
  readonly fence: MetadataCondition | null;
}
