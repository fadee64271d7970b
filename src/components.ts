import type { Clock } from './base/clock.ts';
import type { Logger } from './base/logger.ts';
import type { MetadataStore } from './ports/metadata-store.ts';

/**
 * What acts, and is passed in: time, log lines, the store that all processes share. Settings are what an operator tunes,
 * and are data. A room that needs more (chance, kernels, an engine) extends this by its own components.
 */
export interface Components {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metadata: MetadataStore;
}
