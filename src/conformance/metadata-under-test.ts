/** What the author of a metadata store hands to the conformance suite. */
import type { MetadataStore } from '../ports/metadata-store.ts';

/** One store, empty below `prefix`. */
export interface MetadataUnderTest {
  /** A client as another process would have one: it shares nothing with the others but the store. The suite closes it. */
  connect(): Promise<MetadataStore>;
  /** Below it nothing has been written, and nobody else writes. */
  readonly prefix: string;
  /** The least time to live that the store can keep, in milliseconds; what is not told is a second, as of etcd. */
  readonly ttlMsMin?: number;
  /** Makes the store forget what has changed so far, as a compaction of etcd does. Left out where it never forgets. */
  compact?(client: MetadataStore): Promise<void>;
  /** After its clients. */
  close(): Promise<void>;
}

export type OpenMetadata = () => Promise<MetadataUnderTest>;
