import type { Components } from '../../src/components.ts';
import type { PartitionStore } from '../../src/ports/partition-store.ts';
import type { NodePressure } from '../../src/ports/storage-engine.ts';
import type { Settings } from '../../src/settings.ts';
import type { QueryNodeHooks, StorageNodeHooks } from '../hooks.ts';
import type { MetricSource } from '../metrics/metrics-page.ts';
import type { ControlBody } from './control-messages.ts';

/**
 * A plugin: what a module named in `plugin.modules` exports as its default. It is asked once by the process of a node,
 * and answers with the hooks it wants to fill. Foreshard's own is `plugin/index.ts`; write another like it:
 *
 *   export default definePlugin({
 *     name: 'count-queries',
 *     attachQueryNode: () => { let count = 0; return { hooks: { onQueryCompleted: () => { count++; } }, detach() {} }; },
 *   });
 */
export interface PluginDefinition {
  readonly name: string;
  attachQueryNode?(context: QueryNodeContext): Promise<QueryNodeAttachment> | QueryNodeAttachment;
  attachStorageNode?(context: StorageNodeContext): Promise<StorageNodeAttachment> | StorageNodeAttachment;
}

export interface NodeContext extends Components {
  readonly settings: Settings;
  readonly nodeId: number;
  /**
   * For faults that no hook call sees (a thread that died, a timer's InvariantError): detaches this plugin.
   * The database goes on by the last committed map.
   */
  reportFault(error: unknown): void;
}

export type QueryNodeContext = NodeContext;

/** What a plugin on a storage node works on. */
export interface OpenedStore {
  readonly store: PartitionStore;
  /** Whether writes are taken: no commit has failed, and there is room. */
  readonly isWritable: () => boolean;
  /** How busy this process was in the last second. */
  readonly pressure: () => NodePressure;
  /** How late its event loop was at most in about the last tenth of a second. */
  readonly loopLagMs: () => number;
}

export interface StorageNodeContext extends NodeContext, OpenedStore {}

export interface Attachment {
  /** Parts of the plugin that tell metrics when somebody asks for them: its threads. */
  readonly metricSources?: readonly MetricSource[];
  /** Settings have changed that may change while a node runs. @throws when they cannot be applied: the old ones hold then. */
  reload?(settings: Settings): Promise<void>;
  /** Stops everything the plugin started. Called once, at the end or after a fault; hooks are no longer called then. */
  detach(): Promise<void> | void;
}

export interface QueryNodeAttachment extends Attachment {
  readonly hooks: Partial<QueryNodeHooks>;
  /** Answers what a parent process asks (control-messages.ts); undefined for operations that are not this plugin's. */
  control?(body: ControlBody): Promise<unknown> | undefined;
}

export interface StorageNodeAttachment extends Attachment {
  readonly hooks: Partial<StorageNodeHooks>;
}

/** Gives a plugin definition its type. */
export const definePlugin = (definition: PluginDefinition): PluginDefinition => definition;
