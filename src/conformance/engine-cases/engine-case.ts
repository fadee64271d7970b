import type { EngineCapabilities } from '../../ports/storage-engine.ts';
import type { MoveParts } from '../hand-made-move.ts';

export interface EngineCase {
  /** A behaviour. */
  readonly name: string;
  readonly needs?: keyof EngineCapabilities;
  readonly check: (parts: MoveParts) => Promise<void>;
}
