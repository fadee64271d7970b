import type { ControlReply } from '../../hooks.ts';

/** How control requests of migrations reach a storage node. Real ones go over `plugin/rpc`; a simulation loses some. */
export interface MigrationTransport {
  /**
   * @throws ForeshardError FORESHARD_UNAVAILABLE when it certainly was not done, FORESHARD_UNKNOWN_OUTCOME when it may have
   * been, or the node's own error.
   */
  request(nodeId: number, operation: string, body: Record<string, unknown>): Promise<ControlReply>;
}
