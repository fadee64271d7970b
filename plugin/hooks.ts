/**
 * The hook points of a database node. A hook that nobody uses is `null`, so that the query path pays one comparison.
 * Hooks are called synchronously on the node's event loop: they must not await, allocate per call, or throw. One that
 * throws is detached by the host, which says so; the database goes on by the last committed map.
 */
export interface QueryNodeHooks {
  /**
   * Before a read is sent: true sends it to the migration's target instead of the owner. Only asked while the
   * partition has a read weight above 0; the copy itself still refuses a read it is behind for.
   */
  onRoute: ((partitionId: number, clientId: number) => boolean) | null;
  /**
   * After a query (or each partition's part of one) was answered. `key` is valid during the call only:
   * bytes keyOffset..keyOffset+keyLength of the buffer.
   */
  onQueryCompleted: OnQueryCompleted | null;
}

export type OnQueryCompleted = (
  commandIndex: number,
  partitionId: number,
  nodeId: number,
  clientId: number,
  key: Uint8Array,
  keyOffset: number,
  keyLength: number,
  latencyUs: number,
  requestBytes: number,
  replyBytes: number,
  outcome: number,
) => void;

/** Migration verbs reach a storage node as control messages; the plugin answers them. Without it they are refused. */
export interface StorageNodeHooks {
  /** After a group commit became durable: the lsn each touched partition has reached. */
  onWriteCommitted: ((partitionId: number, lsn: number) => void) | null;
  replicate: ControlHandler | null;
  redirect: ControlHandler | null;
  verify: ControlHandler | null;
  remove: ControlHandler | null;
}

export type ControlHandler = (operation: string, body: Record<string, unknown>) => Promise<ControlReply>;

export interface ControlReply {
  readonly body: Record<string, unknown>;
  /** Raw bytes that travel beside the body: snapshot or log entries. */
  readonly bulk?: Uint8Array;
}

export const emptyQueryNodeHooks = (): QueryNodeHooks => ({ onRoute: null, onQueryCompleted: null });
export const emptyStorageNodeHooks = (): StorageNodeHooks => ({
  onWriteCommitted: null,
  replicate: null,
  redirect: null,
  verify: null,
  remove: null,
});
