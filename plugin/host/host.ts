import { pathToFileURL } from 'node:url';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { ControlBody } from './control-messages.ts';
import { isOwnBug } from './faults.ts';
import {
  type ControlHandler,
  emptyQueryNodeHooks,
  emptyStorageNodeHooks,
  type OnQueryCompleted,
  type QueryNodeHooks,
  type StorageNodeHooks,
} from './hooks.ts';
import type {
  Attachment,
  NodeContext,
  PluginDefinition,
  QueryNodeAttachment,
  QueryNodeContext,
  StorageNodeAttachment,
  StorageNodeContext,
} from './plugin.ts';

type ContextOf<Context extends NodeContext> = Omit<Context, 'reportFault'>;

/**
 * Loads the modules of `plugin.modules`.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming the module that cannot be loaded or is no plugin.
 */
export async function loadPlugins(modules: readonly string[]): Promise<readonly PluginDefinition[]> {
  const plugins: PluginDefinition[] = [];
  for (const module of modules) plugins.push(await loadPlugin(module));
  return plugins;
}

async function loadPlugin(module: string): Promise<PluginDefinition> {
  let exported: { default?: unknown };
  try {
    exported =
      module === 'foreshard'
        ? await import('../index.ts')
        : await import(module.startsWith('/') ? pathToFileURL(module).href : module);
  } catch (cause) {
    throw configError(`plugin.modules: cannot load "${module}": ${(cause as Error).message}`, cause);
  }
  const plugin = exported.default as Partial<PluginDefinition> | undefined;
  if (typeof plugin?.name !== 'string')
    throw configError(
      `plugin.modules: "${module}" is no plugin: it must export default definePlugin({ name: … })`,
    );
  return plugin as PluginDefinition;
}

interface Attached<A extends Attachment> {
  readonly name: string;
  readonly attachment: A;
}

/**
 * Holds the plugins of one node process and keeps its hook slots filled. A plugin that fails is detached, and only it:
 * its hooks leave the slots, one line is logged, one is counted, and the database goes on by the last committed map.
 */
abstract class PluginHost<A extends Attachment> {
  protected attached: readonly Attached<A>[] = [];
  readonly #logger: Logger;
  #faultCount = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** How many plugins were detached because they failed. */
  get faultCount(): number {
    return this.#faultCount;
  }

  get attachedNames(): readonly string[] {
    return this.attached.map(({ name }) => name);
  }

  /** Detaches every plugin, the last attached first. */
  async close(): Promise<void> {
    const leaving = [...this.attached].reverse();
    this.attached = [];
    this.fillSlots();
    for (const { name, attachment } of leaving) await this.#letGo(name, attachment);
  }

  protected async attach(
    plugin: PluginDefinition,
    open: (reportFault: (error: unknown) => void) => Promise<A | null>,
  ): Promise<void> {
    // A plugin may fail while it still attaches; then it never gets into the slots.
    let faultWhileAttaching: unknown = null;
    try {
      const attachment = await open((error) => {
        const isAttached = this.attached.some(({ name }) => name === plugin.name);
        if (isAttached) this.detachAfterFault(plugin.name, error);
        else faultWhileAttaching ??= error;
      });
      if (attachment === null) return;
      if (faultWhileAttaching !== null) {
        await this.#letGo(plugin.name, attachment);
        throw faultWhileAttaching;
      }
      this.attached = [...this.attached, { name: plugin.name, attachment }];
      this.fillSlots();
    } catch (error) {
      // A setting that is wrong is the operator's to mend before the node serves; anything else is the plugin's fault.
      if (error instanceof ForeshardError && error.code === 'FORESHARD_CONFIG') throw error;
      this.#countFault(plugin.name, error);
    }
  }

  /** For a node that has itself caught what a hook threw: detaches whoever fills that slot. */
  onHookFault(hook: string, error: unknown): void {
    for (const { name, attachment } of this.attached)
      if ((attachment as { hooks?: Record<string, unknown> }).hooks?.[hook])
        this.detachAfterFault(name, error);
  }

  protected detachAfterFault(pluginName: string, error: unknown): void {
    const leaving = this.attached.find(({ name }) => name === pluginName);
    if (leaving === undefined) return;
    this.attached = this.attached.filter((other) => other !== leaving);
    this.fillSlots();
    this.#countFault(pluginName, error);
    void this.#letGo(pluginName, leaving.attachment);
  }

  /** Compiles the hooks of all attached plugins into the node's slots; `null` where none is used. */
  protected abstract fillSlots(): void;

  #countFault(pluginName: string, error: unknown): void {
    this.#faultCount++;
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    this.#logger.error(
      { plugin: pluginName, fault: message, stack, faultCount: this.#faultCount },
      'plugin detached after a fault: the database goes on by the last committed map',
    );
  }

  async #letGo(pluginName: string, attachment: A): Promise<void> {
    try {
      await attachment.detach();
    } catch (error) {
      this.#logger.warn(
        { plugin: pluginName, fault: String(error) },
        'a plugin failed while it was detached',
      );
    }
  }
}

export class QueryNodeHost extends PluginHost<QueryNodeAttachment> {
  /** The node's slots: the host changes them, the node reads them at every query. */
  readonly hooks: QueryNodeHooks = emptyQueryNodeHooks();

  async attachAll(plugins: readonly PluginDefinition[], context: ContextOf<QueryNodeContext>): Promise<void> {
    for (const plugin of plugins)
      await this.attach(plugin, async (reportFault) =>
        plugin.attachQueryNode === undefined
          ? null
          : plugin.attachQueryNode({
              ...context,
              logger: context.logger.child({ plugin: plugin.name }),
              reportFault,
            }),
      );
  }

  /** Asks the plugins, in order, until one answers. @throws ForeshardError FORESHARD_UNAVAILABLE when none does. */
  async control(body: ControlBody): Promise<unknown> {
    for (const { attachment } of this.attached) {
      const reply = attachment.control?.(body);
      if (reply !== undefined) return reply;
    }
    throw new ForeshardError(
      'FORESHARD_UNAVAILABLE',
      'restart',
      `no attached plugin answers "${body.operation}"`,
    );
  }

  protected fillSlots(): void {
    const completed: OnQueryCompleted[] = [];
    const routes: NonNullable<QueryNodeHooks['onRoute']>[] = [];
    for (const { name, attachment } of this.attached) {
      const { onQueryCompleted, onRoute } = attachment.hooks;
      if (onQueryCompleted)
        completed.push(
          guardOnQueryCompleted(onQueryCompleted, (error) => this.detachAfterFault(name, error)),
        );
      if (onRoute) routes.push(guardOnRoute(onRoute, (error) => this.detachAfterFault(name, error)));
    }
    this.hooks.onQueryCompleted = completed.length === 0 ? null : callAll(completed);
    this.hooks.onRoute =
      routes.length === 0 ? null : (partitionId, clientId) => routes.some((on) => on(partitionId, clientId));
  }
}

export class StorageNodeHost extends PluginHost<StorageNodeAttachment> {
  readonly hooks: StorageNodeHooks = emptyStorageNodeHooks();

  /** After the node has opened its store: until then migration verbs are refused. */
  async attachAll(
    plugins: readonly PluginDefinition[],
    context: ContextOf<StorageNodeContext>,
  ): Promise<void> {
    for (const plugin of plugins)
      await this.attach(plugin, async (reportFault) =>
        plugin.attachStorageNode === undefined
          ? null
          : plugin.attachStorageNode({
              ...context,
              logger: context.logger.child({ plugin: plugin.name }),
              reportFault,
            }),
      );
  }

  protected fillSlots(): void {
    const listeners: ((partitionId: number, lsn: number) => void)[] = [];
    const verbs: Pick<StorageNodeHooks, 'replicate' | 'redirect' | 'verify' | 'remove'> = {
      replicate: null,
      redirect: null,
      verify: null,
      remove: null,
    };
    for (const { name, attachment } of this.attached) {
      const onFault = (error: unknown): void => this.detachAfterFault(name, error);
      const { onWriteCommitted } = attachment.hooks;
      if (onWriteCommitted)
        listeners.push((partitionId, lsn) => {
          try {
            onWriteCommitted(partitionId, lsn);
          } catch (error) {
            onFault(error);
          }
        });
      // A verb has one answer, so one plugin: the first that has it.
      for (const verb of ['replicate', 'redirect', 'verify', 'remove'] as const) {
        const handler = attachment.hooks[verb];
        if (handler) verbs[verb] ??= guardControl(handler, onFault);
      }
    }
    Object.assign(this.hooks, verbs);
    this.hooks.onWriteCommitted =
      listeners.length === 0
        ? null
        : (partitionId, lsn) => {
            for (const listener of listeners) listener(partitionId, lsn);
          };
  }
}

// Guards spell their parameters out: a rest array would be an allocation per query.
function guardOnQueryCompleted(hook: OnQueryCompleted, onFault: (error: unknown) => void): OnQueryCompleted {
  return (command, partition, node, client, key, offset, length, latency, request, reply, outcome) => {
    try {
      hook(command, partition, node, client, key, offset, length, latency, request, reply, outcome);
    } catch (error) {
      onFault(error);
    }
  };
}

function guardOnRoute(
  hook: NonNullable<QueryNodeHooks['onRoute']>,
  onFault: (error: unknown) => void,
): NonNullable<QueryNodeHooks['onRoute']> {
  return (partitionId, clientId) => {
    try {
      return hook(partitionId, clientId);
    } catch (error) {
      onFault(error);
      return false; // The owner can always answer.
    }
  };
}

function callAll(hooks: readonly OnQueryCompleted[]): OnQueryCompleted {
  if (hooks.length === 1) return hooks[0] as OnQueryCompleted;
  return (command, partition, node, client, key, offset, length, latency, request, reply, outcome) => {
    for (const hook of hooks)
      hook(command, partition, node, client, key, offset, length, latency, request, reply, outcome);
  };
}

/** What the world did to a verb is its answer; our own bug detaches. */
function guardControl(handler: ControlHandler, onFault: (error: unknown) => void): ControlHandler {
  return async (operation, body) => {
    try {
      return await handler(operation, body);
    } catch (error) {
      if (isOwnBug(error)) onFault(error);
      throw error;
    }
  };
}

function configError(message: string, cause?: unknown): ForeshardError {
  return new ForeshardError('FORESHARD_CONFIG', 'fix-config', message, { cause });
}
