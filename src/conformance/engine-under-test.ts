/** What the author of a storage engine hands to the conformance suite. */
import type { NodeId, PartitionId } from '../model/ids.ts';
import type { Lsn, PartitionRecord } from '../model/migration.ts';
import type { StorageEngine } from '../ports/storage-engine.ts';

/** The map as the suite writes it. An engine that makes sure of a command by the map reads it here. */
export interface ConformanceMap {
  /** Linearizable; undefined for a partition that nobody owns. */
  readPartition(partitionId: number): Promise<PartitionRecord | undefined>;
}

/** A client's request to one node, as a query node would send it. */
export interface ClientRequest {
  readonly nodeId: NodeId;
  readonly partitionId: PartitionId;
  /** By which the client believes that the node owns the partition. */
  readonly epoch: number;
  /** Text of printable ASCII, of which the suite makes a few hundred. */
  readonly key: string;
}

export type ClientReply =
  /** `lsn` is where the partition stood when the request was served; `value` null where there is no such key, or was a write. */
  | { readonly isServed: true; readonly lsn: Lsn; readonly value: string | null }
  /** Certainly nothing was done. */
  | { readonly isServed: false };

/** Two nodes of an engine, 0 and 1, which reach each other, with stores of their own that outlive a restart. */
export interface EngineUnderTest {
  readonly engine: StorageEngine;
  storeIdOf(nodeId: NodeId): string;
  /** The node that a record names owns the partition from now on, empty, at the record's epoch: a cluster is formed. */
  own(record: PartitionRecord): Promise<void>;
  /**
   * Resolves when it would be acknowledged: it is durable then. While a fence stands it may stay without an answer.
   *
   * @param value null deletes.
   */
  write(request: ClientRequest & { readonly value: string | null }): Promise<ClientReply>;
  /** The same holds. @param copyOf set where a copy may answer: the migration it belongs to, and the least lsn that the client has to see. */
  read(
    request: ClientRequest & {
      readonly copyOf?: { readonly migrationId: number; readonly minLsn: Lsn } | undefined;
    },
  ): Promise<ClientReply>;
  /** Ends a node without warning, as a crash would, and starts it on what it has left behind. Resolves when it answers. */
  restart(nodeId: NodeId): Promise<void>;
  close(): Promise<void>;
}

export type OpenEngine = (map: ConformanceMap) => Promise<EngineUnderTest>;
