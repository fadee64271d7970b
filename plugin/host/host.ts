import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { Settings } from '../../src/settings.ts';
import {
  emptyQueryNodeHooks,
  emptyStorageNodeHooks,
  type OnQueryCompleted,
  type QueryNodeHooks,
  type StorageNodeHooks,
} from '../hooks.ts';
import type { MetricSource } from '../metrics/metrics-page.ts';
import { describeFault, isOwnBug } from '../threads/faults.ts';
import type { ControlBody } from './control-messages.ts';
import { faultOrigin } from './fault-origin.ts';
import { guardControl, guardOnQueryCompleted, guardOnRoute, guardOnWriteCommitted } from './guards.ts';
import type { LoadedPlugin } from './load-plugins.ts';
import type {
  Attachment,
  NodeContext,
  QueryNodeAttachment,
  QueryNodeContext,
  StorageNodeAttachment,
  StorageNodeContext,
} from './plugin.ts';

type ContextOf<Context extends NodeContext> = Omit<Context, 'reportFault'>;

/** One plugin of this process, from before it is attached until the process ends: what it left behind may still fail. */
interface Member<A extends Attachment> {
  readonly plugin: LoadedPlugin;
  /** Null before it is attached, after it is detached, and for a plugin that has no part in this kind of node. */
  attachment: A | null;
  /** Set while it attaches. */
  failAttaching: ((fault: unknown) => void) | null;
  hasFailed: boolean;
  hasFailedAgain: boolean;
}

/**
 * Holds the plugins of one node process and keeps its hook slots filled. A plugin that fails is detached, and only it:
 * its hooks leave the slots, one line is logged, one is counted, and the database goes on by the last committed map.
 */
abstract class PluginHost<A extends Attachment & { readonly hooks: object }> {
  readonly #members: Member<A>[] = [];
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
    return this.attached.map(({ plugin }) => plugin.name);
  }

  get metricSources(): readonly MetricSource[] {
    return this.attached.flatMap(({ attachment }) => attachment?.metricSources ?? []);
  }

  /**
   * All plugins take them over, or none: those that have go back to the former ones when another cannot.
   *
   * @throws what a plugin throws.
   */
  async reload(settings: Settings, former: Settings): Promise<void> {
    const changed: Member<A>[] = [];
    try {
      for (const member of this.attached) {
        await member.attachment?.reload?.(settings);
        changed.push(member);
      }
    } catch (error) {
      for (const member of changed.reverse())
        await member.attachment?.reload?.(former).catch((fault) => this.detachAfterFault([member], fault));
      throw error;
    }
  }

  /** Makes plugins known whose code has run already, before they can be attached. */
  adopt(plugins: readonly LoadedPlugin[]): void {
    for (const plugin of plugins) this.#memberOf(plugin);
  }

  /** Detaches every plugin, the last attached first. */
  async close(): Promise<void> {
    const leaving = this.attached.reverse().map((member) => ({ member, attachment: member.attachment as A }));
    for (const { member } of leaving) member.attachment = null;
    this.fillSlots();
    for (const { member, attachment } of leaving) await this.#letGo(member, attachment);
  }

  protected get attached(): Member<A>[] {
    return this.#members.filter(({ attachment }) => attachment !== null);
  }

  protected async attach(
    plugin: LoadedPlugin,
    open: (reportFault: (error: unknown) => void) => Promise<A | null>,
  ): Promise<void> {
    const member = this.#memberOf(plugin);
    if (member.hasFailed) return;
    // A plugin may fail while it still attaches; then it never gets into the slots, and is not waited for.
    const faulted = new Promise<never>((_, reject) => {
      member.failAttaching = reject;
    });
    const opening = open((error) => this.detachAfterFault([member], error));
    try {
      const attachment = await Promise.race([faulted, opening]);
      if (attachment === null) return;
      if (typeof attachment?.hooks !== 'object' || attachment.hooks === null)
        throw new TypeError('attaching must return { hooks: { … }, detach() { … } }');
      member.attachment = attachment;
      this.fillSlots();
    } catch (error) {
      // A setting that is wrong is the operator's to mend before the node serves; anything else is the plugin's fault.
      if (error instanceof ForeshardError && error.code === 'FORESHARD_CONFIG') throw error;
      member.hasFailed = true;
      this.#logFault([member], error);
      void opening.then(
        (attachment) => attachment && this.#letGo(member, attachment),
        () => undefined,
      );
    } finally {
      member.failAttaching = null;
    }
  }

  /** For a node that has itself caught what a hook threw: detaches whoever fills that slot. */
  onHookFault(hook: string, error: unknown): void {
    const filling = this.attached.filter(
      ({ attachment }) => (attachment as { hooks: Record<string, unknown> }).hooks[hook],
    );
    this.detachAfterFault(filling, error);
  }

  /**
   * For what reached the process itself: an exception out of a timer, a rejection that nobody handled.
   *
   * The stack says whose it is. Where it does not, plugins of others are blamed as long as there are any, then our own.
   *
   * @returns whether the node may go on: a plugin answers for the fault. False for what the node or its engine did.
   */
  onProcessFault(fault: unknown, options: { readonly isRejection: boolean }): boolean {
    const others = this.#members.filter(({ plugin }) => plugin.file !== undefined);
    const builtIn = this.#members.filter(({ plugin }) => plugin.file === undefined);
    const origin = faultOrigin(
      fault,
      others.map(({ plugin }) => plugin.file as string),
    );
    let blamed: Member<A>[] = [];
    if (origin.kind === 'plugin')
      blamed = others.filter(({ plugin }) => origin.files.includes(plugin.file as string));
    // A peer that is down rejects too, and lmdb leaves rejections of failed commits: neither is anybody's bug.
    else if (options.isRejection && !isOwnBug(fault)) return false;
    else if (origin.kind === 'built-in') blamed = builtIn;
    else if (origin.kind === 'unknown')
      blamed = others.length > 0 ? others : builtIn.filter(({ hasFailed }) => !hasFailed);
    this.detachAfterFault(blamed, fault);
    return blamed.length > 0;
  }

  protected detachAfterFault(members: readonly Member<A>[], error: unknown): void {
    const leaving = members.filter(({ hasFailed }) => !hasFailed);
    for (const member of leaving) {
      member.hasFailed = true;
      member.failAttaching?.(error);
    }
    const detached = leaving.filter(({ failAttaching }) => failAttaching === null);
    if (detached.length > 0) this.#logFault(detached, error);
    else this.#logFailedAgain(members);
    const attachments = detached.map(({ attachment }) => attachment);
    for (const member of detached) member.attachment = null;
    this.fillSlots();
    detached.forEach((member, index) => {
      const attachment = attachments[index];
      if (attachment) void this.#letGo(member, attachment);
    });
  }

  /** Compiles the hooks of all attached plugins into the node's slots; `null` where none is used. */
  protected abstract fillSlots(): void;

  #memberOf(plugin: LoadedPlugin): Member<A> {
    const known = this.#members.find((member) => member.plugin === plugin);
    if (known !== undefined) return known;
    const member: Member<A> = {
      plugin,
      attachment: null,
      failAttaching: null,
      hasFailed: false,
      hasFailedAgain: false,
    };
    this.#members.push(member);
    return member;
  }

  #logFault(members: readonly Member<A>[], fault: unknown): void {
    this.#faultCount += members.length;
    this.#logger.error(
      { plugin: namesOf(members), ...describeFault(fault), faultCount: this.#faultCount },
      'plugin detached after a fault: the database goes on by the last committed map',
    );
  }

  /** A timer that its plugin has not stopped fails for ever: it is mentioned once. */
  #logFailedAgain(members: readonly Member<A>[]): void {
    const again = members.filter(({ hasFailed, hasFailedAgain, failAttaching }) => {
      return hasFailed && !hasFailedAgain && failAttaching === null;
    });
    if (again.length === 0) return;
    for (const member of again) member.hasFailedAgain = true;
    this.#logger.warn(
      { plugin: namesOf(again) },
      'a plugin goes on failing after it was detached: it has not stopped what it started. No more is said of it',
    );
  }

  async #letGo({ plugin }: Member<A>, attachment: A): Promise<void> {
    try {
      await attachment.detach();
    } catch (error) {
      this.#logger.warn(
        { plugin: plugin.name, ...describeFault(error) },
        'a plugin failed while it was detached',
      );
    }
  }
}

const namesOf = (members: readonly Member<Attachment>[]): string =>
  members.map(({ plugin }) => plugin.name).join(', ');

export class QueryNodeHost extends PluginHost<QueryNodeAttachment> {
  /** The node's slots: the host changes them, the node reads them at every query. */
  readonly hooks: QueryNodeHooks = emptyQueryNodeHooks();

  async attachAll(plugins: readonly LoadedPlugin[], context: ContextOf<QueryNodeContext>): Promise<void> {
    this.adopt(plugins);
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
      const reply = attachment?.control?.(body);
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
    for (const member of this.attached) {
      const { onQueryCompleted, onRoute } = (member.attachment as QueryNodeAttachment).hooks;
      const onFault = (error: unknown): void => this.detachAfterFault([member], error);
      if (onQueryCompleted) completed.push(guardOnQueryCompleted(onQueryCompleted, onFault));
      if (onRoute) routes.push(guardOnRoute(onRoute, onFault));
    }
    this.hooks.onQueryCompleted = completed.length === 0 ? null : callAll(completed);
    this.hooks.onRoute =
      routes.length === 0 ? null : (partitionId, clientId) => routes.some((on) => on(partitionId, clientId));
  }
}

export class StorageNodeHost extends PluginHost<StorageNodeAttachment> {
  readonly hooks: StorageNodeHooks = emptyStorageNodeHooks();

  /** After the node has opened its store: until then migration verbs are refused. */
  async attachAll(plugins: readonly LoadedPlugin[], context: ContextOf<StorageNodeContext>): Promise<void> {
    this.adopt(plugins);
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
    for (const member of this.attached) {
      const { hooks } = member.attachment as StorageNodeAttachment;
      const onFault = (error: unknown): void => this.detachAfterFault([member], error);
      if (hooks.onWriteCommitted) listeners.push(guardOnWriteCommitted(hooks.onWriteCommitted, onFault));
      // A verb has one answer, so one plugin: the first that has it.
      for (const verb of ['replicate', 'redirect', 'verify', 'remove'] as const) {
        const handler = hooks[verb];
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

function callAll(hooks: readonly OnQueryCompleted[]): OnQueryCompleted {
  if (hooks.length === 1) return hooks[0] as OnQueryCompleted;
  return (command, partition, node, client, key, offset, length, latency, request, reply, outcome) => {
    for (const hook of hooks)
      hook(command, partition, node, client, key, offset, length, latency, request, reply, outcome);
  };
}
