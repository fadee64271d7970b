import type { Clock } from './base/clock.ts';
import type { Logger } from './base/logger.ts';
import type { Random } from './base/random.ts';
import type { MetadataStore } from './ports/metadata-store.ts';

/** What acts, and is passed in: time, chance, stores. Settings are what an operator tunes, and are data. */
export interface Components {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metadata: MetadataStore;
}
