import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { MetadataStore } from '../ports/metadata-store.ts';
import type { StorageEngine } from '../ports/storage-engine.ts';
import type { Committer } from './records/committer.ts';
import type { RecordCodec } from './records/records.ts';

/** What everybody who does a part of the coordinator's work has in hand; each adds its own. */
export interface CoordinatorParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly engine: StorageEngine;
  readonly metadata: MetadataStore;
  readonly codec: RecordCodec;
  readonly committer: Committer;
}
